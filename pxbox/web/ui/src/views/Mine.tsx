/** What I asked for, and how it goes. */

import type { VNode } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

import type { AskedPage, RequestEvent } from '../client'
import { useLoad, useName, useReturn, useShared } from '../lib/hooks'
import { href, type Route } from '../lib/route'
import { client, live, whyNot } from '../lib/session'
import { t } from '../lib/texts'
import { exactly, timeOfDay } from '../lib/times'
import { say } from '../lib/toast'
import { Blank, Failed, Loading, State, When } from '../parts/parts'
import { Given } from '../parts/Pairs'

const OPEN = ['PENDING', 'CLAIMED']
const STATES = ['', 'PENDING', 'CLAIMED', 'ANSWERED', 'DECLINED', 'EXPIRED', 'CANCELLED'] as const

/** What the caller asked, the newest first; what changes changes in its row, what is new is announced. */
export function Mine({ route }: { route: Route }): VNode {
  const { session } = useShared()
  const status = STATES.find((one) => one === route.status) ?? ''
  const allowed = session?.scopes.includes('request') || session?.scopes.includes('admin')
  const { data, error, reload, set } = useLoad(() => client.asked({ limit: 50, status }), status)
  useReturn(data !== null)
  const [fresh, setFresh] = useState<Set<string>>(new Set())
  const now = useRef<AskedPage | null>(null)
  now.current = data
  useEffect(() => {
    const page = now.current
    if (!page) return
    setFresh(new Set())
    const stops = Object.entries(page.positions).map(([channel, seq]) => live.watch(channel, {
      onReset: reload,
      onEvent: ({ data: event }) => {
        const { requestId: id = '', status: is, claim, deadlineAt, at } = event as unknown as RequestEvent
        const before = now.current
        if (!before || !id || !is) return
        if (!before.items.some((one) => one.id === id)) {
          if (event.type === 'request.created') setFresh((others) => new Set([...others, id]))
          return
        }
        const items = before.items.map((one) => (one.id === id ? { ...one, status: is, claim: claim ?? null, deadlineAt, updatedAt: at } : one))
        set(now.current = { ...before, items })
      },
    }, { epoch: page.epoch, seq }))
    return () => { for (const stop of stops) stop() }
  }, [data?.epoch, JSON.stringify(data?.positions), status])
  const add = (page: AskedPage): void => {
    const known = new Set(data!.items.map((one) => one.id))
    set({ ...data!, items: [...data!.items, ...page.items.filter((one) => !known.has(one.id))], nextCursor: page.nextCursor })
  }
  return (
    <main id="main">
      <header class="top"><h1>{t('mine.title')}</h1><a class="button main" href="/?view=ask">+ {t('nav.ask')}</a></header>
      {!allowed && <Blank title={t('error.title')}>{t('mine.notAllowed')}</Blank>}
      {allowed && (
        <nav class="chips" aria-label={t('mine.states')}><ul>
          {STATES.map((one) => <li><a href={href({ view: 'mine', status: one })} aria-current={one === status ? 'true' : undefined}>{one === '' ? t('mine.all') : t(`status.${one}`)}</a></li>)}
        </ul></nav>
      )}
      <div aria-live="polite" class="news">{fresh.size > 0 && <button class="pill" onClick={reload}>{t('inbox.new', { n: fresh.size })}</button>}</div>
      {allowed && error && !data && <Failed why={error} again={reload} />}
      {allowed && !data && !error && <Loading />}
      {data?.items.length === 0 && (status
        ? <Blank title={t('inbox.none')} action={<a class="button" href="/?view=mine">{t('mine.all')}</a>}>{t('mine.noneMore')}</Blank>
        : <Blank title={t('mine.empty')} action={<a class="button" href="/?view=ask">{t('nav.ask')}</a>}>{t('mine.emptyMore')}</Blank>)}
      <ul class="rows">
        {(data?.items ?? []).map((one) => (
          <li class="row plain" key={one.id} data-row={one.id}>
            <div class="what"><a class="title" href={href({ view: 'mine', id: one.id })} dir="auto">{one.title || t('inbox.untitled')}</a>
              <p class="meta"><To ids={one.to} />{OPEN.includes(one.status) && <span>{t(`reached.${one.delivery.reached}`)}</span>}
                {one.tags.map((tag) => <span class="tag">{tag}</span>)}</p></div>
            <div class="facts"><State of={one} /><When at={one.updatedAt} /></div>
          </li>
        ))}
      </ul>
      {data?.nextCursor && <MoreAsked cursor={data.nextCursor} status={status} add={add} />}
    </main>
  )
}

function MoreAsked({ cursor, status, add }: { cursor: string; status: string; add: (page: AskedPage) => void }): VNode {
  const [busy, setBusy] = useState(false)
  const more = async (): Promise<void> => {
    setBusy(true)
    try {
      add(await client.asked({ limit: 50, status, cursor }))
    } catch (problem) {
      say(whyNot(problem))
    }
    setBusy(false)
  }
  return <p class="center"><button disabled={busy} onClick={() => void more()}>{t('inbox.more')}</button></p>
}

function To({ ids }: { ids: string[] }): VNode {
  const first = useName(ids[0])
  return <span>→ {first}{ids.length > 1 ? ` +${ids.length - 1}` : ''}</span>
}

export function Asked({ id }: { id: string }): VNode {
  const request = useLoad(() => client.request(id), id)
  const events = useLoad(() => client.events(id), id)
  const answered = request.data?.status === 'ANSWERED'
  const answer = useLoad(() => (answered ? client.answerOf(id) : Promise.resolve(null)), `${id}${answered}`)
  useEffect(() => {
    const anew = (): void => { request.reload(); events.reload() }
    return live.watch(`request:${id}`, { onEvent: anew, onReset: anew })
  }, [id])
  const one = request.data
  const copy = (text: string): void => void navigator.clipboard.writeText(text).then(() => say(t('app.copied')))
  const cancel = (): void => void client.cancel(id).then(request.reload, (problem: unknown) => say(whyNot(problem)))
  return (
    <main id="main" class="answer">
      <p class="back"><a href="/?view=mine">← {t('mine.back')}</a></p>
      {request.error && !one && <Failed why={request.error} again={request.reload} />}
      {!one && !request.error && <Loading />}
      {one && (
        <article>
          <header class="head"><h1 dir="auto">{one.title || t('inbox.untitled')}</h1>
            <p class="meta"><State of={one} /> <To ids={one.to} /> {one.deadlineAt && <time dateTime={one.deadlineAt}>{exactly(one.deadlineAt)}</time>}</p></header>
          <section class="card"><h2>{t('mine.answer')}</h2>
            {answer.data ? <Given answer={answer.data} schema={one.schemaPayload} /> : <p>{one.reason ?? t('mine.noAnswer')}</p>}</section>
          <section><h2>{t('mine.history')}</h2>
            <ol class="history">{(events.data?.items ?? []).map(({ data }) => <Happened event={data as unknown as RequestEvent} />)}</ol></section>
          <div class="bar">
            {OPEN.includes(one.status) && <button onClick={cancel}>{t('mine.cancel')}</button>}
            <button class="quiet" onClick={() => copy(`curl -H "Authorization: Bearer $PXBOX_TOKEN" ${location.origin}/v1/requests/${id}/response`)}>{t('mine.curl')}</button>
            <button class="quiet" onClick={() => copy(`pxbox show ${id}`)}>{t('mine.cli')}</button>
          </div>
          <details><summary>{t('mine.json')}</summary><pre tabIndex={0}><code>{JSON.stringify(one, null, 2)}</code></pre></details>
        </article>
      )}
    </main>
  )
}

function Happened({ event }: { event: RequestEvent }): VNode {
  const id = event.actor && /^[0-9a-f-]{36}$/.test(event.actor) ? event.actor : null
  const who = useName(id) || (id ? '' : event.actor)
  return (
    <li><time dateTime={event.at} title={exactly(event.at)}>{timeOfDay(event.at)}</time>
      <span>{event.type.replace('request.', '').replace('_', ' ')}{who && ` · ${who}`}</span></li>
  )
}
