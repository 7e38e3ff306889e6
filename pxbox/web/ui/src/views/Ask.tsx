/** A request made by hand, with the form that they will see beside it. */

import type { VNode } from 'preact'
import { useMemo, useRef, useState } from 'preact/hooks'

import { Refused, type CreateRequest } from '../client'
import { go } from '../lib/route'
import { client, whyNot } from '../lib/session'
import { t } from '../lib/texts'
import { say } from '../lib/toast'
import { LazyForm } from '../parts/LazyForm'

const EXAMPLE = JSON.stringify({
  title: 'Where shall we meet?',
  type: 'object',
  required: ['place'],
  properties: {
    place: { type: 'string', title: 'Place', minLength: 1 },
    day: { type: 'string', format: 'date', title: 'Day' },
    online: { type: 'boolean', title: 'Also online?' },
  },
}, null, 2)

function parsed(text: string): unknown {
  try {
    return text.trim() === '' ? undefined : JSON.parse(text)
  } catch {
    return undefined
  }
}

export function Ask(): VNode {
  const [given, set] = useState({ to: '', why: '', schema: EXAMPLE, hints: '', prefill: '', due: '' })
  const [bad, complain] = useState('')
  const [tried, setTried] = useState<unknown>(undefined)
  const key = useRef(crypto.randomUUID())
  const write = (name: keyof typeof given) => (event: { currentTarget: { value: string } }): void => {
    key.current = crypto.randomUUID()
    set({ ...given, [name]: event.currentTarget.value })
  }
  const schema = useMemo(() => parsed(given.schema), [given.schema])
  const prefill = useMemo(() => parsed(given.prefill), [given.prefill])
  const shown = schema !== null && typeof schema === 'object' && !Array.isArray(schema)
  const send = async (event: Event): Promise<void> => {
    event.preventDefault()
    const to = given.to.split(',').map((one) => one.trim()).filter(Boolean)
    const body = {
      schema, to: to.length === 1 ? to[0] : to, ...(given.why && { why: given.why }), ...(prefill !== undefined && { prefill }),
      ...(given.hints && { uiHints: parsed(given.hints) }), ...(given.due && { deadlineAt: new Date(given.due).toISOString() }),
    }
    try {
      const made = await client.create(body as CreateRequest, key.current)
      say(t('ask.sent'))
      go({ view: 'mine', id: made.id })
    } catch (problem) {
      const places = problem instanceof Refused ? (problem.problem.errors ?? []).map((one) => `${one.pointer} ${one.message}`).join('; ') : ''
      complain([whyNot(problem), places].filter(Boolean).join(': '))
    }
  }
  return (
    <main id="main" class="ask">
      <header class="top"><h1>{t('ask.title')}</h1></header>
      <div class="halves">
        <form class="form" onSubmit={(event) => void send(event)}>
          <div class="field"><label for="to">{t('ask.to')}</label><div class="help" id="to-help">{t('ask.toHint')}</div>
            <input id="to" required value={given.to} onInput={write('to')} aria-describedby="to-help" autocapitalize="off" /></div>
          <div class="field"><label for="why">{t('ask.why')}</label><input id="why" maxLength={1000} value={given.why} onInput={write('why')} /></div>
          <div class="field"><label for="due">{t('ask.due')}</label><input id="due" type="datetime-local" value={given.due} onInput={write('due')} /></div>
          <div class="field"><label for="schema">{t('ask.schema')}</label>
            <textarea id="schema" class="code" rows={14} spellcheck={false} value={given.schema} onInput={write('schema')} aria-invalid={!shown} /></div>
          <details><summary>{t('ask.prefill')}</summary>
            <textarea class="code" rows={4} aria-label={t('ask.prefill')} value={given.prefill} onInput={write('prefill')} /></details>
          <details><summary>{t('ask.hints')}</summary>
            <textarea class="code" rows={4} aria-label={t('ask.hints')} value={given.hints} onInput={write('hints')} /></details>
          <p class="error" role="alert">{bad}</p>
          <div class="bar"><button class="main" disabled={!shown || given.to.trim() === ''}>{t('ask.go')}</button></div>
        </form>
        <section class="card preview" aria-label={t('ask.preview')}>
          <p class="eyebrow">{t('ask.preview')}</p>
          {shown ? (
            <>
              <h2>{(schema as { title?: string }).title ?? t('inbox.untitled')}</h2>
              <LazyForm key={given.schema + given.prefill} schema={schema} uiHints={parsed(given.hints)} value={tried ?? prefill} onChange={setTried} />
            </>
          ) : <p>{t('ask.previewBad')}</p>}
        </section>
      </div>
    </main>
  )
}
