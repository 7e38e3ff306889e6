/** What I asked for, and how it goes. */

import type { VNode } from 'preact'
import { useEffect, useState } from 'preact/hooks'

import type { RequestEvent } from '../client'
import { useLoad, useName, useShared } from '../lib/hooks'
import { href } from '../lib/route'
import { client, live, whyNot } from '../lib/session'
import { t } from '../lib/texts'
import { exactly, timeOfDay } from '../lib/times'
import { say } from '../lib/toast'
import { Blank, Failed, Loading, State, When } from '../parts/parts'
import { Given } from '../parts/Pairs'

const LAST = 500

/** The newest word on each request, the newest request first. */
export function Mine(): VNode {
  const { session, live: state } = useShared()
  const [rows, set] = useState<Map<string, RequestEvent>>(new Map())
  const [ready, setReady] = useState(false)
  useEffect(() => {
    if (!session) return
    const timer = setTimeout(() => setReady(true), 1500)
    const stop = live.watch(`requestor:${session.sub}`, {
      last: LAST,
      onReset: () => undefined,
      onEvent: ({ data }) => {
        setReady(true)
        set((before) => new Map(before).set(String(data.requestId), data as unknown as RequestEvent))
      },
    })
    return () => {
      clearTimeout(timer)
      stop()
    }
  }, [session?.sub])
  const list = [...rows.values()].sort((a, b) => (a.requestId < b.requestId ? 1 : -1))
  const allowed = session?.scopes.includes('request') || session?.scopes.includes('admin')
  return (
    <main id="main">
      <header class="top"><h1>{t('mine.title')}</h1><a class="button main" href="/?view=ask">+ {t('nav.ask')}</a></header>
      {!allowed && <Blank title={t('error.title')}>{t('mine.notAllowed')}</Blank>}
      {allowed && !ready && list.length === 0 && state !== 'waiting' && <Loading />}
      {allowed && list.length === 0 && (ready || state === 'waiting') && <Blank title={t('mine.empty')} action={<a class="button" href="/?view=ask">{t('nav.ask')}</a>}>{t('mine.emptyMore')}</Blank>}
      <ul class="rows">
        {list.map((one) => (
          <li class="row plain" key={one.requestId}>
            <div class="what"><a class="title" href={href({ view: 'mine', id: one.requestId })}>{one.title || t('inbox.untitled')}</a>
              <p class="meta"><To ids={one.to} /></p></div>
            <div class="facts"><State of={one} /><When at={one.at} /></div>
          </li>
        ))}
      </ul>
    </main>
  )
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
          <header class="head"><h1>{one.title || t('inbox.untitled')}</h1>
            <p class="meta"><State of={one} /> <To ids={one.to} /> {one.deadlineAt && <time dateTime={one.deadlineAt}>{exactly(one.deadlineAt)}</time>}</p></header>
          <section class="card"><h2>{t('mine.answer')}</h2>
            {answer.data ? <Given answer={answer.data} schema={one.schemaPayload} /> : <p>{one.reason ?? t('mine.noAnswer')}</p>}</section>
          <section><h2>{t('mine.history')}</h2>
            <ol class="history">{(events.data?.items ?? []).map(({ data }) => <Happened event={data as unknown as RequestEvent} />)}</ol></section>
          <div class="bar">
            {['PENDING', 'CLAIMED'].includes(one.status) && <button onClick={cancel}>{t('mine.cancel')}</button>}
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
