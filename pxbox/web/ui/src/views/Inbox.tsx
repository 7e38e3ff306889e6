/** What waits for you: in three sections, in an order that stays while you look. */

import type { VNode } from 'preact'
import { useEffect, useMemo, useRef, useState } from 'preact/hooks'

import type { Inquiry, InquiryPage } from '../client'
import { mark, snooze as snoozeThem } from '../lib/acts'
import { useKeys, useLoad, useReturn, useShared } from '../lib/hooks'
import { go, href, type Route } from '../lib/route'
import { client, live, whyNot } from '../lib/session'
import { t, type Text } from '../lib/texts'
import { number } from '../lib/times'
import { say, undo } from '../lib/toast'
import { Blank, Failed, Loading } from '../parts/parts'
import { Row, type Does } from '../parts/Row'
import { Snooze } from '../parts/Snooze'

const SECTIONS = ['attention', 'dueSoon', 'pending'] as const
const SHOWS = ['', 'snoozed', 'done', 'deleted'] as const

interface Listed {
  groups: { name: (typeof SECTIONS)[number] | null; items: Inquiry[] }[]
  page: InquiryPage
}

function queryOf(route: Route): Record<string, string | number | boolean> {
  const query: Record<string, string | number | boolean> = { limit: 100, q: route.q ?? '', tag: route.tag ?? '', requestor: route.from ?? '' }
  if (route.unread) query.unread = true
  if (route.show === 'snoozed') query.snoozed = true
  if (route.show === 'deleted') query.includeDeleted = true
  if (route.show === 'done') Object.assign(query, { status: 'ANSWERED', sortBy: 'created' })
  return query
}

/** Reads what the address asks for; the sections one after the other, each without those before it. */
async function list(route: Route): Promise<Listed> {
  const query = queryOf(route)
  if (route.show) {
    const page = await client.inquiries(query)
    const items = route.show === 'deleted' ? page.items.filter((one) => one.deleted) : page.items
    return { groups: [{ name: null, items }], page }
  }
  const wanted = route.section ? SECTIONS.filter((name) => name === route.section) : SECTIONS
  const pages = await Promise.all(wanted.map((section) => client.inquiries({ ...query, section })))
  const seen = new Set<string>()
  const groups = pages.map((page, n) => ({
    name: wanted[n]!,
    items: page.items.filter((one) => !seen.has(one.id) && seen.add(one.id)),
  }))
  return { groups, page: pages[pages.length - 1]! }
}

export function Inbox({ route }: { route: Route }): VNode {
  const { session, live: state } = useShared()
  const address = href({ ...route, view: '' })
  const { data, error, loading, reload, set } = useLoad(() => list(route), address)
  const [counts, setCounts] = useState<InquiryPage['sections']>(null)
  const [fresh, setFresh] = useState<Set<string>>(new Set())
  const [stale, setStale] = useState(false)
  const [picked, setPicked] = useState<Set<string>>(new Set())
  const [snoozing, setSnoozing] = useState<Inquiry[] | null>(null)
  const search = useRef<HTMLInputElement>(null)
  const now = useRef<Listed | null>(null)
  now.current = data
  const rows = useMemo(() => data?.groups.flatMap((group) => group.items) ?? [], [data])

  const change = (id: string, to: Partial<Inquiry>): void => {
    const at = now.current
    if (!at) return
    const groups = at.groups.map((group) => ({ ...group, items: group.items.map((one) => (one.id === id ? { ...one, ...to } : one)) }))
    now.current = { ...at, groups }
    set(now.current)
  }
  const refresh = (): void => {
    setFresh(new Set())
    setStale(false)
    setPicked(new Set())
    reload()
  }

  useEffect(() => { if (data?.page.sections) setCounts(data.page.sections) }, [data?.page])
  const channels = JSON.stringify(Object.keys(data?.page.positions ?? {}))
  useEffect(() => {
    const page = now.current?.page
    if (!page) return
    let timer = 0
    const recount = (): void => {
      clearTimeout(timer)
      timer = window.setTimeout(() => void client.inquiries({ limit: 1 }).then((one) => setCounts(one.sections), () => undefined), 400)
    }
    const stops = Object.entries(page.positions).map(([channel, seq]) => live.watch(channel, {
      onReset: () => setStale(true),
      onEvent: ({ data: event }) => {
        const id = event.requestId
        if (!id) return
        recount()
        const known = now.current?.groups.some((group) => group.items.some((one) => one.id === id))
        if (event.type.startsWith('inbox.')) {
          const { read, deleted, snoozedUntil } = event as unknown as Inquiry
          if (known) change(id, { read, deleted, snoozedUntil })
        } else if (known) {
          const { status, claim, deadlineAt } = event as unknown as Inquiry
          change(id, { status, claim, deadlineAt })
        } else if (['PENDING', 'CLAIMED'].includes(String(event.status)) && event.type !== 'request.claimed') {
          setFresh((before) => new Set([...before, id]))
        }
      },
    }, { epoch: page.epoch, seq }))
    return () => {
      clearTimeout(timer)
      for (const stop of stops) stop()
    }
  }, [channels, data?.page.epoch, address])

  useReturn(data !== null)
  const focused = (): Inquiry | undefined => rows.find((one) => one.id === (document.activeElement?.closest('[data-row]') as HTMLElement | null)?.dataset.row)
  const chosen = (): Inquiry[] => {
    if (picked.size > 0) return rows.filter((one) => picked.has(one.id))
    const one = focused()
    return one ? [one] : []
  }
  const step = (by: number): void => {
    const links = [...document.querySelectorAll<HTMLElement>('[data-row] a.title')]
    const at = links.findIndex((link) => link.closest('[data-row]')?.contains(document.activeElement))
    links[at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.max(0, Math.min(links.length - 1, at + by))]?.focus()
  }
  const act = (action: 'markRead' | 'markUnread' | 'delete' | 'restore' | 'wake', items: Inquiry[]): void => {
    if (items.length === 0) return
    // The next row gets the focus before this one goes.
    if (action === 'delete' && items.length === 1) step(rows[rows.length - 1]?.id === items[0]!.id ? -1 : 1)
    setPicked(new Set())
    void mark(action, items, change)
  }
  const claim = async (one: Inquiry | undefined): Promise<void> => {
    if (!one) return
    try {
      const { status, claim } = await client.claim(one.id)
      change(one.id, { status, claim })
    } catch (problem) {
      say(whyNot(problem))
    }
  }
  useKeys({
    j: () => step(1), k: () => step(-1), '/': () => search.current?.focus(), z: () => void undo(),
    c: () => void claim(focused()), '#': () => act('delete', chosen()),
    u: () => act(chosen()[0]?.read ? 'markUnread' : 'markRead', chosen()),
    h: () => chosen().length > 0 && setSnoozing(chosen()),
    x: () => { const one = focused(); if (one) pick(one.id) },
    Escape: () => { setPicked(new Set()); (document.activeElement as HTMLElement | null)?.blur() },
  })
  const pick = (id: string): void => setPicked((before) => {
    const next = new Set(before)
    if (!next.delete(id)) next.add(id)
    return next
  })

  const latest = useRef<Does>(null!)
  latest.current = { pick, act, snooze: (one) => setSnoozing([one]) }
  const does = useMemo<Does>(() => ({
    pick: (id) => latest.current.pick(id),
    act: (action, items) => latest.current.act(action, items),
    snooze: (one) => latest.current.snooze(one),
  }), [])

  if (session && !session.entity) return <main id="main"><h1>{t('inbox.title')}</h1><Blank title={t('inbox.noEntity')}>{t('inbox.noEntityMore')}</Blank></main>
  const filtered = Boolean(route.q || route.tag || route.from || route.unread || route.section)
  const visible = (one: Inquiry): boolean =>
    route.show === 'deleted' ? one.deleted : !one.deleted && (route.show === 'snoozed' ? one.snoozedUntil !== null : !asleep(one))
  const groups = data?.groups.map((group) => ({ ...group, items: group.items.filter(visible) })) ?? []
  const empty = data !== null && groups.every((group) => group.items.length === 0)
  return (
    <main id="main" class="inbox">
      <header class="top">
        <h1>{t('inbox.title')}</h1>
        <search>
          <input ref={search} type="search" aria-label={t('inbox.search')} placeholder={t('inbox.searchHint')} value={route.q ?? ''}
            onChange={(event) => go({ ...route, q: event.currentTarget.value }, 'replace')}
            onKeyDown={(event) => { if (event.key === 'Escape') event.currentTarget.blur(); if (event.key === 'Enter') go({ ...route, q: event.currentTarget.value }, 'replace') }} />
        </search>
      </header>
      <Filters route={route} counts={counts} />
      <div aria-live="polite" class="news">
        {(fresh.size > 0 || stale) && !route.show && (
          <button class="pill" onClick={refresh}>{fresh.size > 0 ? t('inbox.new', { n: fresh.size }) : t('inbox.stale')}</button>
        )}
      </div>
      {picked.size > 0 && (
        <div class="bulk" role="toolbar" aria-label={t('inbox.selected', { n: picked.size })}>
          <span>{t('inbox.selected', { n: picked.size })}</span>
          <button onClick={() => act('markRead', chosen())}>{t('do.read')}</button>
          <button onClick={() => setSnoozing(chosen())}>{t('do.snooze')}</button>
          <button onClick={() => act(route.show === 'deleted' ? 'restore' : 'delete', chosen())}>{t(route.show === 'deleted' ? 'do.restore' : 'do.delete')}</button>
          <button class="quiet" onClick={() => setPicked(new Set())}>{t('do.clear')}</button>
        </div>
      )}
      {error && !data && <Failed why={state === 'waiting' ? t('error.offline') : error} again={reload} />}
      {loading && !data && !error && <Loading />}
      {empty && (filtered
        ? <Blank title={t('inbox.none')} action={<a class="button" href={href({ show: route.show ?? '' })}>{t('inbox.clear')}</a>}>{t('inbox.noneMore')}</Blank>
        : <Blank title={t(route.show ? 'inbox.none' : 'inbox.empty')}>{t(route.show ? 'inbox.noneMore' : 'inbox.emptyMore')}</Blank>)}
      {groups.filter((group) => group.items.length > 0).map((group) => (
        <section key={group.name} aria-label={group.name ? t(`inbox.${group.name}`) : undefined}>
          {group.name && <h2 class={group.name}>{t(`inbox.${group.name}`)} <span class="count">{number(group.items.length)}</span></h2>}
          <ul class="rows">
            {group.items.map((one) => (
              <Row key={one.id} one={one} picked={picked.has(one.id)} does={does} />
            ))}
          </ul>
        </section>
      ))}
      {data?.page.nextCursor && <More page={data.page} route={route} add={(page) => set(extended(data, page))} />}
      {snoozing && (
        <Snooze deadlineAt={earliest(snoozing)} close={() => setSnoozing(null)}
          choose={(until) => { void snoozeThem(snoozing, until, change); setSnoozing(null); setPicked(new Set()) }} />
      )}
    </main>
  )
}

function asleep(one: Inquiry): boolean {
  return one.snoozedUntil !== null && Date.parse(one.snoozedUntil) > client.http.now() && ['PENDING', 'CLAIMED'].includes(one.status)
}

function earliest(items: Inquiry[]): string | null {
  return items.map((one) => one.deadlineAt).filter((at): at is string => at !== null).sort()[0] ?? null
}

function extended(data: Listed, page: InquiryPage): Listed {
  const known = new Set(data.groups.flatMap((group) => group.items.map((one) => one.id)))
  const last = data.groups.length - 1
  const more = page.items.filter((one) => !known.has(one.id))
  const groups = data.groups.map((group, n) => (n === last ? { ...group, items: [...group.items, ...more] } : group))
  return { groups, page: { ...data.page, nextCursor: page.nextCursor } }
}

function More({ page, route, add }: { page: InquiryPage; route: Route; add: (page: InquiryPage) => void }): VNode {
  const [busy, setBusy] = useState(false)
  const more = async (): Promise<void> => {
    setBusy(true)
    try {
      const section = route.show ? '' : route.section || 'pending'
      add(await client.inquiries({ ...queryOf(route), section, cursor: page.nextCursor }))
    } catch (problem) {
      say(whyNot(problem))
    }
    setBusy(false)
  }
  return <p class="center"><button disabled={busy} onClick={() => void more()}>{t('inbox.more')}</button></p>
}

function Filters({ route, counts }: { route: Route; counts: InquiryPage['sections'] }): VNode {
  const chip = (text: string, to: Route, on: boolean, count?: { count: number; unread: number; exact: boolean }): VNode => (
    <li><a href={href({ ...route, view: '', ...to })} aria-current={on ? 'true' : undefined}>
      {text}{count && <span class="count">{number(count.count)}{count.exact ? '' : '+'}</span>}
      {count && count.unread > 0 && <span class="hide"> {t('inbox.unreadCount', { n: count.unread })}</span>}
    </a></li>
  )
  return (
    <nav class="chips" aria-label={t('inbox.title')}>
      <ul>
        {chip(t('inbox.all'), { section: '', show: '' }, !route.section && !route.show, counts?.pending)}
        {chip(t('inbox.attention'), { section: 'attention', show: '' }, route.section === 'attention', counts?.attention)}
        {chip(t('inbox.dueSoon'), { section: 'dueSoon', show: '' }, route.section === 'dueSoon', counts?.dueSoon)}
        {SHOWS.filter((show) => show !== '').map((show) => chip(t(`inbox.${show}` as Text), { show, section: '' }, route.show === show))}
        {chip(t('inbox.unread'), { unread: route.unread ? '' : '1' }, Boolean(route.unread))}
        {route.tag && chip(`${t('inbox.tag', { tag: route.tag })} ✕`, { tag: '' }, true)}
        {route.from && chip(`${t('inbox.asker', { asker: route.from })} ✕`, { from: '' }, true)}
      </ul>
    </nav>
  )
}
