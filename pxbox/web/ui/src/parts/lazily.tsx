/** A component that is fetched when it is first shown. */

import type { ComponentType, VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import { t } from '../lib/texts'
import { Failed, Loading } from './parts'

export function lazily<Props extends object>(load: () => Promise<{ default: ComponentType<Props> }>): ComponentType<Props> {
  let loaded: ComponentType<Props> | null = null
  return function Lazy(props: Props): VNode {
    const [, drawn] = useState(0)
    const [failed, fail] = useState(false)
    const fetchIt = (): void => {
      fail(false)
      load().then((module) => {
        loaded = module.default
        drawn(1)
      }, () => fail(true))
    }
    useEffect(() => { if (!loaded) fetchIt() }, [])
    if (failed) return <Failed why={t('error.offline')} again={fetchIt} />
    const Loaded = loaded
    return Loaded ? <Loaded {...props} /> : <Loading />
  }
}
