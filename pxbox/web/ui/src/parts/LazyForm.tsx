/** The form, fetched when one is first needed; what breaks in it leaves the rest standing. */

import { Component, type ComponentChildren, type ComponentType, type VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import { t } from '../lib/texts'
import { Failed, Loading } from './parts'

interface Props {
  schema: unknown
  uiHints?: unknown
  value: unknown
  onChange: (value: unknown) => void
  onSend?: (answer: unknown) => void
  refused?: { pointer: string; message: string; keyword?: string }[]
  readonly?: boolean
  children?: ComponentChildren
}

let loaded: ComponentType<Props> | null = null

export function LazyForm(props: Props): VNode {
  const [Form, set] = useState<{ of: ComponentType<Props> } | null>(loaded && { of: loaded })
  const [failed, fail] = useState(false)
  const load = (): void => {
    fail(false)
    import('../form/Form').then((module) => {
      loaded = module.default as unknown as ComponentType<Props>
      set({ of: loaded })
    }, () => fail(true))
  }
  useEffect(() => { if (!Form) load() }, [])
  if (failed) return <Failed why={t('error.offline')} again={load} />
  return Form ? <Guard><Form.of {...props} /></Guard> : <Loading />
}

class Guard extends Component<{ children: ComponentChildren }, { broken: boolean }> {
  override state = { broken: false }

  override componentDidCatch(): void {
    this.setState({ broken: true })
  }

  override render(): ComponentChildren {
    if (!this.state.broken) return this.props.children
    return <p class="note" role="alert">{t('app.new')} <button class="small" onClick={() => location.reload()}>{t('app.reload')}</button></p>
  }
}
