/** Programs that ask and go on later: what they do, and on whom they wait. */

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import { Refused, type FlowDetail, type FlowSummary, type TimelineItem } from '../client'
import { useLoad, useName } from '../lib/hooks'
import { href } from '../lib/route'
import { client, whyNot } from '../lib/session'
import { t, type Text } from '../lib/texts'
import { exactly } from '../lib/times'
import { say } from '../lib/toast'
import { Blank, Failed, Loading, When } from '../parts/parts'

const OVER = ['COMPLETED', 'FAILED', 'CANCELLED']

/** Null where the broker has no flows for us. */
async function orNone<T>(load: Promise<T>): Promise<T | null> {
  try {
    return await load
  } catch (problem) {
    if (problem instanceof Refused && [501, 403].includes(problem.problem.status)) return null
    throw problem
  }
}

function Status({ flow }: { flow: FlowSummary }): VNode {
  return <span class={`state flow ${flow.parked ? 'parked' : flow.status.toLowerCase()}`}>{t(`flows.status.${flow.status}` as Text)}</span>
}

export function Flows(): VNode {
  const { data, error, loading, reload } = useLoad(() => orNone(client.flows({ limit: 100 })), 'flows')
  return (
    <main id="main">
      <header class="top"><h1>{t('flows.title')}</h1></header>
      {error && <Failed why={error} again={reload} />}
      {loading && !data && <Loading />}
      {!loading && !error && data === null && <Blank title={t('flows.unsupported')}>{t('flows.unsupportedMore')}</Blank>}
      {data?.items.length === 0 && <Blank title={t('flows.empty')}>{t('flows.emptyMore')}</Blank>}
      <ul class="rows">
        {(data?.items ?? []).map((flow) => (
          <li class="row plain" key={flow.id}>
            <div class="what"><a class="title" href={href({ view: 'flows', id: flow.id })}>{flow.kind}</a>
              <p class="meta"><span>{flow.text ?? flow.id}</span></p></div>
            <div class="facts"><Status flow={flow} /><When at={flow.updatedAt} /></div>
          </li>
        ))}
      </ul>
    </main>
  )
}

export function Flow({ id }: { id: string }): VNode {
  const { data: flow, error, reload } = useLoad(() => client.flow(id), id)
  const timeline = useLoad(() => client.timeline(id), `${id}${flow?.updatedAt}`)
  const act = (action: 'cancel' | 'retry'): void => void client.flowAction(id, action).then(reload, (problem: unknown) => say(whyNot(problem)))
  return (
    <main id="main" class="answer">
      <p class="back"><a href="/?view=flows">← {t('flows.back')}</a></p>
      {error && !flow && <Failed why={error} again={reload} />}
      {!flow && !error && <Loading />}
      {flow && (
        <article>
          <header class="head"><h1>{flow.kind}</h1>
            <p class="meta"><Status flow={flow} /> <span>{flow.text ?? flow.id}</span> <When at={flow.updatedAt} /></p></header>
          {flow.parked && <p class="note">{t('flows.parked', { reason: flow.parked.reason })}</p>}
          {flow.error && <p class="note">{flow.error}</p>}
          {!OVER.includes(flow.status) && <Waits flow={flow} />}
          <section><h2>{t('flows.timeline')}</h2><Picture items={timeline.data?.items ?? []} /></section>
          <div class="bar">
            {!OVER.includes(flow.status) && <button onClick={() => act('cancel')}>{t('flows.cancel')}</button>}
            {(flow.parked || flow.status === 'FAILED') && <button onClick={() => act('retry')}>{t('flows.retry')}</button>}
          </div>
          {!OVER.includes(flow.status) && <Signal flow={flow} sent={reload} />}
        </article>
      )}
    </main>
  )
}

/** A signal by hand, such as for a program that was to send one and is gone. */
function Signal({ flow, sent }: { flow: FlowDetail; sent: () => void }): VNode {
  const [name, setName] = useState('')
  const [data, setData] = useState('')
  const [bad, complain] = useState('')
  const send = async (event: Event): Promise<void> => {
    event.preventDefault()
    try {
      const parsed: unknown = data.trim() ? JSON.parse(data) : undefined
      await client.flowAction(flow.id, 'signal', { name: name.trim(), ...(parsed !== undefined && { data: parsed }) })
      complain('')
      say(t('flows.signalled', { name: name.trim() }))
      sent()
    } catch (problem) {
      complain(problem instanceof SyntaxError ? t('flows.badJson') : whyNot(problem))
    }
  }
  const expected = flow.waiting.filter((wait) => wait.kind === 'signal').map((wait) => wait.name ?? wait.key)
  return (
    <details>
      <summary>{t('flows.signal')}</summary>
      <form class="form" onSubmit={(event) => void send(event)}>
        <div class="field"><label for="signal">{t('flows.signalName')}</label>
          {expected.length > 0 && <p class="help" id="signal-help">{t('flows.expected', { names: expected.join(', ') })}</p>}
          <input id="signal" required maxLength={128} value={name} onInput={(event) => setName(event.currentTarget.value)} aria-describedby={expected.length > 0 ? 'signal-help' : undefined} /></div>
        <div class="field"><label for="signal-data">{t('flows.signalData')}</label>
          <textarea id="signal-data" class="code" rows={3} spellcheck={false} value={data} onInput={(event) => setData(event.currentTarget.value)} /></div>
        <p class="error" role="alert">{bad}</p>
        <div class="bar"><button class="main" disabled={name.trim() === ''}>{t('flows.signalGo')}</button></div>
      </form>
    </details>
  )
}

function Waits({ flow }: { flow: FlowDetail }): VNode {
  return (
    <section class="card"><h2>{t('flows.waits')}</h2>
      {flow.waiting.length === 0 && <p>{t('flows.waitsNone')}</p>}
      <ul>
        {flow.waiting.map((wait) => (
          <li><strong>{wait.key}</strong> · {t(`flows.kind.${wait.kind}` as Text)}{wait.kind === 'ask' && <OnWhom id={wait.id} />}{wait.dueAt && <> · <When at={wait.dueAt} /></>}</li>
        ))}
      </ul>
    </section>
  )
}

/** An ask's wait has the id of its request. */
function OnWhom({ id }: { id: string }): VNode {
  const { data } = useLoad(() => client.request(id).catch(() => null), id)
  const who = useName(data?.claim?.by ?? data?.to[0])
  return <> · <a href={href({ view: 'mine', id })}>{data?.title || t('flows.request')}</a>{who && ` → ${who}`}</>
}

const STEP = 44

/** Time runs down; each wait is a span from its opening to its outcome. */
function Picture({ items }: { items: TimelineItem[] }): VNode {
  const opened = new Map<string, number>()
  const spans: [number, number][] = []
  items.forEach((item, n) => {
    if (item.what === 'opened') opened.set(item.key, n)
    if (item.what === 'settled' && opened.has(item.key)) spans.push([opened.get(item.key)!, n])
  })
  const y = (n: number): number => n * STEP + STEP / 2
  return (
    <div class="timeline">
      <svg width="44" height={Math.max(1, items.length) * STEP} aria-hidden="true">
        {items.length > 1 && <line x1="12" x2="12" y1={y(0)} y2={y(items.length - 1)} />}
        {spans.map(([from, to]) => <path class="span" d={`M12 ${y(from)} C40 ${y(from)} 40 ${y(to)} 12 ${y(to)}`} />)}
        {items.map((item, n) => <circle class={item.what} cx="12" cy={y(n)} r="6" />)}
      </svg>
      <ol>
        {items.map((item) => (
          <li>
            <span><strong>{item.key}</strong> {t(`flows.what.${item.what}` as Text)}{item.outcome && ` · ${item.outcome}`}{item.by && ` · ${item.by}`}</span>
            <time dateTime={item.at}>{exactly(item.at)}</time>
            {item.requestId && <a href={href({ view: 'mine', id: item.requestId })}>{t('flows.request')}</a>}
          </li>
        ))}
      </ol>
    </div>
  )
}
