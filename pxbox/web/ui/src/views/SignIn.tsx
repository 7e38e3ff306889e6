/** Where one comes in: by a link made for it, or with a token. */

import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import { Refused } from '../client'
import { client, signedIn, whyNot } from '../lib/session'
import { t } from '../lib/texts'

/** The code in a sign-in link, taken from the address so that it stays in no history. */
export function takeLink(): string | null {
  const code = new URLSearchParams(location.hash.slice(1)).get('link')
  if (code) history.replaceState(null, '', location.pathname + location.search)
  return code
}

function given(text: string): { token: string } | { link: string } {
  const link = /#link=([^&\s]+)/.exec(text)
  return link ? { link: decodeURIComponent(link[1]!) } : { token: text.trim() }
}

export function SignIn({ link, again }: { link?: string | null; again?: boolean }): VNode {
  const [text, write] = useState('')
  const [bad, complain] = useState('')
  const [busy, setBusy] = useState(Boolean(link))
  const enter = async (by: { token: string } | { link: string }): Promise<void> => {
    setBusy(true)
    try {
      const session = await client.signIn(by)
      if (session) return signedIn(session)
    } catch (error) {
      const used = 'link' in by && error instanceof Refused
      complain(used ? t('sign.used') : t('sign.bad', { why: error instanceof Refused ? error.message : whyNot(error) }))
    }
    setBusy(false)
  }
  useEffect(() => { if (link) void enter({ link }) }, [])
  const Frame = again ? 'div' : 'main'
  return (
    <Frame class="sign" id={again ? undefined : 'main'}>
      {!again && <><img src="/favicon.svg" alt="" width="48" height="48" /><h1>{t('sign.title')}</h1></>}
      <p>{again ? t('sign.expired') : t('sign.intro')}</p>
      <form onSubmit={(event) => { event.preventDefault(); void enter(given(text)) }}>
        <label for="token">{t('sign.token')}</label>
        <input id="token" type="password" autocomplete="off" required value={text} aria-invalid={bad !== ''} aria-describedby="bad"
          onInput={(event) => write(event.currentTarget.value)} />
        <p class="error" id="bad" role="alert">{bad}</p>
        <button class="main" disabled={busy || text === ''}>{t('sign.go')}</button>
      </form>
      <p class="help">{t('sign.how')} <code>pxbox token link</code></p>
    </Frame>
  )
}
