/** What is around every view: where one can go, whether the broker hears us, and short words. */

import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import { useKeys, useNow, useShared } from '../lib/hooks'
import { follow, href, type Route } from '../lib/route'
import { signOut, whyNot } from '../lib/session'
import { t, type Text } from '../lib/texts'
import { fromNow } from '../lib/times'
import { hush, onToast, say, undo, type Toast } from '../lib/toast'
import { Dialog } from './parts'

const VIEWS: [string, Text, string][] = [
  ['', 'nav.inbox', 'M3 13h5l2 3h4l2-3h5M3 13v6h18v-6M3 13l3-8h12l3 8'],
  ['mine', 'nav.mine', 'M4 12l16-8-6 16-3-6z'],
  ['ask', 'nav.ask', 'M12 5v14M5 12h14'],
  ['flows', 'nav.flows', 'M6 4v6a4 4 0 0 0 4 4h8M14 10l4 4-4 4M6 14v6'],
]
const KEYS: [string, Text][] = [
  ['j', 'keys.j'], ['k', 'keys.k'], ['Enter', 'keys.enter'], ['c', 'keys.c'], ['h', 'keys.h'], ['u', 'keys.u'], ['#', 'keys.hash'],
  ['x', 'keys.x'], ['/', 'keys.slash'], ['z', 'keys.z'], ['Esc', 'keys.esc'], ['Ctrl ↵', 'keys.send'], ['?', 'keys.help'],
]

export function Shell({ route, children }: { route: Route; children: ComponentChildren }): VNode {
  const { session, live: state, expiring } = useShared()
  const [keys, showKeys] = useState(false)
  useKeys({ '?': () => showKeys(true) })
  const leave = async (): Promise<void> => {
    try {
      await signOut()
    } catch (problem) {
      say(whyNot(problem))
    }
  }
  return (
    <div class="shell" onClick={follow}>
      <a class="skip" href="#main">{t('app.skip')}</a>
      <header class="side">
        <a class="brand" href="/"><img src="/favicon.svg" alt="" width="28" height="28" /> {t('app.name')}</a>
        <nav aria-label={t('app.menu')}>
          <ul>
            {VIEWS.map(([view, text, path]) => (
              <li><a href={href({ view })} aria-current={(route.view ?? '') === view ? 'page' : undefined}>
                <svg viewBox="0 0 24 24" aria-hidden="true"><path d={path} /></svg>{t(text)}</a></li>
            ))}
          </ul>
        </nav>
        <div class="who">
          <p class={`live ${state}`} role="status">{t(`live.${state}` as Text)}</p>
          <p class="name">{session?.handle ?? session?.sub}</p>
          <p><button class="small quiet" onClick={() => void leave()}>{t('app.signOut')}</button>
            <button class="small quiet keys" onClick={() => showKeys(true)} aria-label={t('keys.open')}>?</button></p>
        </div>
      </header>
      <div class="content">
        {expiring && <Expiring at={expiring} />}
        {children}
      </div>
      <Words />
      {keys && (
        <Dialog title={t('keys.title')} close={() => showKeys(false)}>
          <dl class="keylist">{KEYS.map(([key, text]) => <div><dt><kbd>{key}</kbd></dt><dd>{t(text)}</dd></div>)}</dl>
        </Dialog>
      )}
    </div>
  )
}

function Expiring({ at }: { at: string }): VNode {
  const now = useNow(5000)
  return <p class="note" role="status">{t('sign.expiring', { when: fromNow(at, now) })}</p>
}

function Words(): VNode {
  const [toast, set] = useState<Toast | null>(null)
  useEffect(() => onToast(set), [])
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toast && (
        <div class="toast"><span>{toast.text}</span>
          {toast.undo && <button class="small" onClick={() => void undo()}>{t('app.undo')} <kbd>z</kbd></button>}
          <button class="icon" onClick={hush} aria-label={t('app.close')}>✕</button></div>
      )}
    </div>
  )
}
