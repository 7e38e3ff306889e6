/** What was typed and not sent yet: in this browser at once, at the broker soon after. */

import { Refused } from '../client'
import { client } from './session'

interface Kept {
  value: unknown
  at: number
}

const place = (id: string): string => `pxbox.draft.${id}`

export function keepHere(id: string, value: unknown): void {
  try {
    localStorage.setItem(place(id), JSON.stringify({ value, at: Date.now() }))
  } catch {
    // Full or forbidden: the broker still keeps it.
  }
}

export function forget(id: string): void {
  localStorage.removeItem(place(id))
}

function here(id: string): Kept | null {
  try {
    return JSON.parse(localStorage.getItem(place(id)) ?? 'null') as Kept | null
  } catch {
    return null
  }
}

/** The newest draft of the two; null where nothing was typed. */
export async function find(id: string): Promise<Kept | null> {
  const ours = here(id)
  try {
    const theirs = await client.draft(id)
    const at = Date.parse(theirs.updatedAt) - client.http.skew
    return ours && ours.at >= at - 3000 ? ours : { value: theirs.payload, at }
  } catch (error) {
    if (ours || error instanceof Refused) return ours
    throw error
  }
}
