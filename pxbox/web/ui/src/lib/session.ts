/** The one broker that the page speaks to, and who we are there. */

import { Client, Live, Refused, Unreachable, type LiveState, type Session } from '../client'
import { flush } from './outbox'
import { t } from './texts'

export const client = new Client()

export interface Shared {
  session: Session | null
  live: LiveState
  /** When the sign-in runs out, once that is near. */
  expiring: string | null
  /** The session ended while somebody was at work. */
  expired: boolean
}

export let shared: Shared = { session: null, live: 'closed', expiring: null, expired: false }
const listeners = new Set<(shared: Shared) => void>()

export function share(change: Partial<Shared>): void {
  shared = { ...shared, ...change }
  for (const listener of listeners) listener(shared)
}

export function onShared(listener: (shared: Shared) => void): () => void {
  listeners.add(listener)
  return () => void listeners.delete(listener)
}

export const live = new Live(client.http, (state) => {
  share({ live: state, ...(state === 'signedOut' && { expired: true }) })
  if (state === 'open') void flush()
}, (at) => void stay(at))

const TOLD_MS = 5 * 60_000
/** How long the session was for when we last got it. */
let lasting = 0

/** Renews the session before it ends; where it cannot be, says when it ends. */
async function stay(until: string): Promise<void> {
  try {
    const session = await client.renew()
    if (session && Date.parse(session.expiresAt) > Date.parse(until) + 1000) {
      taken(session)
      return live.renew()
    }
  } catch {
    // It ends, then.
  }
  share({ expiring: until })
}

/** A page that is open goes on being signed in for as long as that can be, whatever the line does. */
function tend(): void {
  const { session, expired, expiring } = shared
  if (!session || expired) return
  const until = Date.parse(session.expiresAt)
  const left = until - client.http.now()
  const more = Date.parse(session.renewableUntil ?? '') > until + 1000
  if (more && left < lasting / 2) void stay(session.expiresAt)
  else if (left < TOLD_MS && !expiring) share({ expiring: session.expiresAt })
}

setInterval(tend, 30_000)
document.addEventListener('visibilitychange', tend)

addEventListener('online', () => {
  live.hurry()
  tend()
  // The connection may have outlived the cut, and then tells nothing of its end.
  void flush()
})

function taken(session: Session): void {
  lasting = Date.parse(session.expiresAt) - client.http.now()
  share({ session, expired: false, expiring: null })
  tend()
}

/** Other tabs of this browser: they have the same cookie, and so the same session. */
const tabs = new BroadcastChannel('pxbox.session')
tabs.onmessage = ({ data: entity }: MessageEvent<string | null>) => {
  if (entity === null) return left()
  if (shared.session && !shared.expired && shared.session.entity === entity) return
  client.session().then((found) => found && entered(found), () => undefined)
}

export function signedIn(session: Session): void {
  entered(session)
  tabs.postMessage(session.entity)
}

function entered(session: Session): void {
  // What one person has on the screen is not for another, and is not sent as theirs.
  if (shared.session && shared.session.entity !== session.entity) return location.reload()
  const open = live.state === 'open'
  taken(session)
  // The connection still ends with the session that it was made by.
  if (open) live.renew()
  else live.start()
  void flush()
}

function left(): void {
  live.stop()
  share({ session: null, expired: false, expiring: null })
}

export async function signOut(): Promise<void> {
  await client.signOut()
  left()
  tabs.postMessage(null)
}

/** What to tell about a failure, and notice when it is that we are signed out. */
export function whyNot(error: unknown): string {
  if (error instanceof Unreachable) return t('error.offline')
  if (!(error instanceof Refused)) return String(error)
  if (error.problem.status === 401) share({ expired: true })
  if (error.problem.status === 404) return t('error.notFound')
  return error.message
}

const names = new Map<string, Promise<string>>()

/** An entity's handle, or its id where it has none that we may see. */
export function nameOf(id: string): Promise<string> {
  let name = names.get(id)
  if (!name) {
    name = client.entity(id).then((entity) => (entity as { handle?: string }).handle ?? t('answer.someone'), () => t('answer.someone'))
    names.set(id, name)
  }
  return name
}
