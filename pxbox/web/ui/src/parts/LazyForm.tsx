/** The form, fetched when one is first needed; what breaks in it leaves the rest standing. */

import { Component, type ComponentChildren, type VNode } from 'preact'

import type { Taking } from '../form/Form'
import { t } from '../lib/texts'
import { lazily } from './lazily'

interface Props {
  schema: unknown
  uiHints?: unknown
  value: unknown
  onChange: (value: unknown) => void
  onSend?: (answer: unknown, files: string[]) => void
  files?: Taking
  refused?: { pointer: string; message: string; keyword?: string }[]
  readonly?: boolean
  children?: ComponentChildren
}

const Form = lazily<Props>(() => import('../form/Form'))

export function LazyForm(props: Props): VNode {
  return <Guard><Form {...props} /></Guard>
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
