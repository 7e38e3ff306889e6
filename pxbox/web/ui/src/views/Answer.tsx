/** One request and the answer to it. What is typed is kept from the first key on. */

import type { VNode } from 'preact'
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

import { Refused, Unreachable, type FileView, type Inquiry, type Place, type RequestDetail } from '../client'
import { filesOf, find, forget, keepFiles, keepHere, type Files } from '../lib/drafts'
import { useKeys, useLoad, useName, useNow, useShared } from '../lib/hooks'
import { Markdown } from '../lib/markdown'
import { queue, waiting } from '../lib/outbox'
import { go, href } from '../lib/route'
import { client, live, shared, whyNot } from '../lib/session'
import { t, type Text } from '../lib/texts'
import { exactly, fromNow, left } from '../lib/times'
import { say } from '../lib/toast'
import { Dialog, Failed, Loading, State } from '../parts/parts'
import { LazyForm } from '../parts/LazyForm'
import { Given } from '../parts/Pairs'

interface Opened {
  request: RequestDetail
  value: unknown
  /** When the draft was kept that the form starts from. */
  draftAt: number | null
  prefilled: boolean
  files: Files
  /** An answer was given offline and waits to be sent. */
  queued: boolean
}

const CLOSED = ['ANSWERED', 'DECLINED', 'CANCELLED', 'EXPIRED']
const DRAFT_MS = 1200

async function open(id: string): Promise<Opened> {
  const [request, draft, files, queued] = await Promise.all([client.request(id), find(id), filesOf(id), waiting()])
  void client.mark('markRead', [id]).catch(() => undefined)
  const prefill = request.prefill ?? undefined
  return { request, value: draft ? draft.value : prefill, draftAt: draft?.at ?? null, prefilled: !draft && prefill !== undefined, files, queued: queued.some((one) => one.id === id) }
}

export default function Answer({ id }: { id: string }): VNode {
  const { data, error, reload } = useLoad(() => open(id), id)
  useEffect(() => { document.title = `${data?.request.title ?? t('inbox.untitled')} · PxBox` }, [data])
  return (
    <main id="main" class="answer">
      <p class="back"><a href="/">← {t('answer.back')}</a></p>
      {error && !data && <Failed why={error} again={reload} />}
      {!data && !error && <Loading />}
      {data && <Sheet key={id} opened={data} />}
    </main>
  )
}

type Outcome = { kind: 'sent'; receipt: string; at: string; payload: unknown; files: FileView[] } | { kind: 'queued' } | { kind: 'declined' }

function Sheet({ opened }: { opened: Opened }): VNode {
  const [request, setRequest] = useState(opened.request)
  const [value, setValue] = useState(opened.value)
  const [kept, setKept] = useState<Text | null>(null)
  const [refused, setRefused] = useState<Place[] | undefined>()
  const [busy, setBusy] = useState(false)
  const [outcome, setOutcome] = useState<Outcome | null>(opened.queued ? { kind: 'queued' } : null)
  const [declining, setDeclining] = useState(false)
  const [turn, setTurn] = useState(0)
  const me = useShared().session?.entity
  const { id } = request
  const typed = useRef(JSON.stringify(value))
  const saving = useRef(0)
  const key = useRef(crypto.randomUUID())
  const done = useRef(false)
  const over = CLOSED.includes(request.status)
  const mine = request.status === 'CLAIMED' && request.claim?.by === me
  const theirs = request.status === 'CLAIMED' && !mine

  const look = useCallback(async () => {
    try {
      setRequest(await client.request(id))
    } catch {
      // The next event or reload tells.
    }
  }, [id])
  useEffect(() => live.watch(`request:${id}`, { onEvent: () => void look(), onReset: () => void look() }), [id, look])
  useEffect(() => {
    const sent = (event: Event): void => { if ((event as CustomEvent).detail === id) void look().then(() => setOutcome(null)) }
    addEventListener('pxbox:sent', sent)
    return () => removeEventListener('pxbox:sent', sent)
  }, [id, look])

  const save = useCallback((next: unknown) => {
    clearTimeout(saving.current)
    saving.current = window.setTimeout(() => {
      if (done.current) return
      client.keepDraft(id, next ?? null).then(() => !done.current && setKept('answer.draft'), (problem: unknown) => { if (!(problem instanceof Unreachable)) whyNot(problem) })
    }, DRAFT_MS)
  }, [id])
  const change = useCallback((next: unknown) => {
    const text = JSON.stringify(next)
    setValue(next)
    // The form reports itself once it is drawn; that is not the person typing.
    if (text === typed.current) return
    typed.current = text
    setRefused(undefined)
    keepHere(id, next)
    setKept('answer.draftHere')
    save(next)
  }, [id, save])

  const send = async (answer: unknown, attached: string[]): Promise<void> => {
    if (busy || over) return
    setBusy(true)
    clearTimeout(saving.current)
    try {
      if (request.claimRequired && !mine) await client.claim(id)
      const receipt = await client.answer(id, answer, key.current, attached)
      done.current = true
      forget(id)
      setOutcome({ kind: 'sent', receipt: receipt.responseId, at: receipt.answeredAt, payload: receipt.payload, files: receipt.files ?? [] })
    } catch (problem) {
      await failed(problem, answer, attached)
    }
    setBusy(false)
  }
  const failed = async (problem: unknown, answer: unknown, attached: string[]): Promise<void> => {
    if (problem instanceof Unreachable) {
      await queue({ id, payload: answer, files: attached, key: key.current })
      setOutcome({ kind: 'queued' })
    } else if (problem instanceof Refused && problem.code === 'invalid_answer') {
      key.current = crypto.randomUUID()
      setRefused(problem.problem.errors ?? [{ pointer: '', message: problem.message }])
    } else if (problem instanceof Refused && problem.code === 'file_refused') {
      key.current = crypto.randomUUID()
      // What is said of all files, or of one by its parts, has no place in the answer.
      const errors = problem.problem.errors ?? [{ pointer: '', message: problem.message }]
      setRefused(errors.map((one) => (/^\/(files|name|size|contentType)\b/.test(one.pointer) ? { ...one, pointer: '', message: `${problem.message}: ${one.message}` } : one)))
    } else {
      if (problem instanceof Refused) key.current = crypto.randomUUID()
      say(whyNot(problem))
      void look()
    }
  }
  const decline = async (reason: string): Promise<void> => {
    setDeclining(false)
    try {
      await client.decline(id, reason)
      done.current = true
      forget(id)
      setOutcome({ kind: 'declined' })
    } catch (problem) {
      say(whyNot(problem))
      void look()
    }
  }
  const hold = async (what: 'claim' | 'release'): Promise<void> => {
    try {
      const { status, claim, version } = await client[what](id)
      setRequest((before) => ({ ...before, status, claim, version }))
    } catch (problem) {
      say(whyNot(problem))
      void look()
    }
  }
  const files = useRef(opened.files)
  const keep = useCallback((change: Partial<Files>) => {
    files.current = { ...files.current, ...change }
    if (!done.current) keepFiles(id, files.current)
  }, [id])
  const startOver = (): void => {
    files.current = { known: {}, lost: [], attached: [] }
    forget(id)
    clearTimeout(saving.current)
    void client.dropDraft(id).catch(() => undefined)
    const first = request.prefill ?? undefined
    typed.current = JSON.stringify(first)
    setValue(first)
    setKept(null)
    setTurn(turn + 1)
  }
  useKeys({ c: () => { if (!over && !theirs) void hold('claim') }, Escape: () => go({}) })
  // With the form's first frame: who sees the field may press the keys.
  useLayoutEffect(() => {
    const submit = (event: KeyboardEvent): void => {
      if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey) || declining) return
      event.preventDefault()
      document.querySelector<HTMLFormElement>('form.form')?.requestSubmit()
    }
    addEventListener('keydown', submit)
    return () => removeEventListener('keydown', submit)
  }, [declining])

  if (outcome) return <Done outcome={outcome} request={request} />
  const touched = value !== undefined && JSON.stringify(value) !== JSON.stringify(request.prefill ?? undefined) 
  return (
    <article>
      <Head request={request} />
      {over ? <Over request={request} value={touched ? value : undefined} /> : (
        <Lease request={request} mine={mine} theirs={theirs} hold={hold} />
      )}
      {opened.draftAt && !over && <p class="note">{t('answer.restored', { when: fromNow(new Date(opened.draftAt).toISOString(), Date.now()) })}{' '}
        <button class="small quiet" onClick={startOver}>{t('answer.startOver')}</button></p>}
      {opened.prefilled && !over && <p class="note">{t('answer.prefilled')}</p>}
      {(!over || touched) && (
        <LazyForm key={turn} schema={request.schemaPayload} uiHints={request.uiHints} value={value} onChange={change} onSend={(answer, attached) => void send(answer, attached)}
          files={request.filesPolicy ? { requestId: id, policy: request.filesPolicy, kept: files.current, keep } : undefined}
          refused={refused} readonly={over || theirs}>
          {!over && (
            <div class="bar">
              <button class="main" disabled={busy || theirs}>{t(busy ? 'answer.sending' : 'answer.send')} <kbd>Ctrl ↵</kbd></button>
              <button type="button" class="quiet" onClick={() => setDeclining(true)} disabled={theirs}>{t('answer.decline')}</button>
              <span class="kept" role="status">{kept && `✓ ${t(kept)}`}</span>
            </div>
          )}
        </LazyForm>
      )}
      {declining && <Decline close={() => setDeclining(false)} decline={(reason) => void decline(reason)} />}
    </article>
  )
}

function Head({ request }: { request: RequestDetail }): VNode {
  const now = useNow()
  const { deadlineAt } = request
  const schema = request.schemaPayload as { description?: string }
  const title = useRef<HTMLHeadingElement>(null)
  useEffect(() => title.current?.focus({ preventScroll: true }), [])
  const near = deadlineAt !== null && Date.parse(deadlineAt) - now < 3_600_000
  const open = !CLOSED.includes(request.status)
  const when = deadlineAt && (near && Date.parse(deadlineAt) > now ? t('answer.in', { left: left(deadlineAt, now) }) : fromNow(deadlineAt, now))
  return (
    <header class="head">
      <h1 tabIndex={-1} ref={title} dir="auto">{request.title || t('inbox.untitled')}</h1>
      <p class="meta">
        <State of={request} /> <span>{t('row.from', { asker: request.requestor })}</span>
        {deadlineAt && open && <time dateTime={deadlineAt} class={near ? 'near' : ''}>{t('answer.due', { when: when!, at: exactly(deadlineAt) })}</time>}
        {request.tags.map((tag) => <span class="tag">{tag}</span>)}
      </p>
      {schema.description && <Markdown text={schema.description} />}
      {request.why && <section class="why"><h2>{t('answer.why')}</h2><Markdown text={request.why} /></section>}
      {request.context && <details open><summary>{t('answer.context')}</summary><Markdown text={request.context} /></details>}
    </header>
  )
}

function Lease({ request, mine, theirs, hold }: { request: RequestDetail; mine: boolean; theirs: boolean; hold: (what: 'claim' | 'release') => Promise<void> }): VNode {
  const now = useNow()
  const who = useName(theirs ? request.claim?.by : null)
  const over = request.claim ? left(request.claim.expiresAt, now) : ''
  return (
    <div class={`lease${mine ? ' mine' : ''}${theirs ? ' theirs' : ''}`}>
      <span>{mine ? t('answer.mine', { left: over }) : theirs ? t('answer.theirs', { who, left: over }) : t('answer.free')}</span>
      {mine && <button class="small" onClick={() => void hold('release')}>{t('answer.release')}</button>}
      {!mine && !theirs && <button class="small" onClick={() => void hold('claim')}>{t('answer.claim')}</button>}
    </div>
  )
}

/** It is closed: by whom, and what became of what was typed. */
function Over({ request, value }: { request: RequestDetail; value: unknown }): VNode {
  const now = useNow(30_000)
  const byMe = request.closedBy !== null && request.closedBy === shared.session?.entity
  const who = useName(request.status === 'ANSWERED' && !byMe ? request.closedBy : null)
  const beaten = request.status === 'ANSWERED' && !byMe
  const { data } = useLoad(() => (byMe && request.status === 'ANSWERED' ? client.answerOf(request.id) : Promise.resolve(null)), `${request.id}${byMe}`)
  const copy = (): void => void navigator.clipboard.writeText(JSON.stringify(value, null, 2)).then(() => say(t('app.copied')))
  return (
    <div class={`over ${beaten ? 'beaten' : ''}`} role="status">
      <h2>{t(beaten ? 'answer.taken' : (`answer.closed.${request.status}` as Text))}</h2>
      {beaten && <p>{t('answer.takenMore', { who: who || t('answer.someone'), when: request.closedAt ? fromNow(request.closedAt, now) : '' })}</p>}
      {!beaten && value !== undefined && !byMe && <p>{t('answer.closedMore')}</p>}
      {request.reason && <blockquote>{request.reason}</blockquote>}
      {data && <Given answer={data} schema={request.schemaPayload} />}
      {value !== undefined && !byMe && <button class="small" onClick={copy}>{t('answer.copy')}</button>}
    </div>
  )
}

function Done({ outcome, request }: { outcome: Outcome; request: RequestDetail }): VNode {
  const { data: next, loading } = useLoad(() => nextAfter(request.id), request.id)
  const heading = useRef<HTMLHeadingElement>(null)
  useEffect(() => heading.current?.focus(), [])
  const title = { sent: 'answer.sent', queued: 'answer.queued', declined: 'answer.declined' } as const
  useKeys({ j: () => { if (next) go({ id: next.id }) }, Escape: () => go({}) })
  return (
    <div class="done">
      <p class={`tick ${outcome.kind}`} aria-hidden="true">{outcome.kind === 'queued' ? '◷' : '✓'}</p>
      <h1 tabIndex={-1} ref={heading}>{t(title[outcome.kind])}</h1>
      <p class="meta">{request.title}</p>
      {outcome.kind === 'sent' && <p>{t('answer.sentMore', { when: exactly(outcome.at), id: outcome.receipt })}</p>}
      <p class="line">
        {next
          ? <a class="button main" href={href({ id: next.id })}>{t('answer.next', { title: next.title || t('inbox.untitled') })} →</a>
          : !loading && <span>{t('answer.last')}</span>}
        <a class="button" href="/">{t('answer.back')}</a>
      </p>
      {outcome.kind === 'sent' && <details><summary>{t('answer.what')}</summary><Given answer={{ requestId: request.id, ...outcome }} schema={request.schemaPayload} /></details>}
    </div>
  )
}

async function nextAfter(id: string): Promise<Inquiry | null> {
  const page = await client.inquiries({ section: 'pending', limit: 10 })
  const free = page.items.filter((one) => one.id !== id && (one.status === 'PENDING' || one.claim?.by === shared.session?.entity))
  return free[0] ?? null
}

function Decline({ close, decline }: { close: () => void; decline: (reason: string) => void }): VNode {
  const [reason, write] = useState('')
  return (
    <Dialog title={t('answer.declineTitle')} close={close}>
      <form onSubmit={(event) => { event.preventDefault(); decline(reason.trim()) }}>
        <label for="reason">{t('answer.declineWhy')}</label>
        <textarea id="reason" rows={3} maxLength={1000} value={reason} onInput={(event) => write(event.currentTarget.value)} />
        <div class="bar"><button class="main danger">{t('answer.declineTitle')}</button></div>
      </form>
    </Dialog>
  )
}
