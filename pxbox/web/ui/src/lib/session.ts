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

/** Renews the session before it ends; where it cannot be, says when it ends. */
async function stay(until: string): Promise<void> {
  try {
    const session = await client.renew()
    if (session && Date.parse(session.expiresAt) > Date.parse(until) + 1000) {
      share({ session })
      return live.renew()
    }
  } catch {
    // It ends, then.
  }
  share({ expiring: until })
}

addEventListener('online', () => {
  live.hurry()
  // The connection may have outlived the cut, and then tells nothing of its end.
  void flush()
})

export function signedIn(session: Session): void {
  share({ session, expired: false, expiring: null })
  live.start()
  void flush()
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
