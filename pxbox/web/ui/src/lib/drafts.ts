/** What was typed and not sent yet: in this browser at once, at the broker soon after. */

import { Refused } from '../client'
import { client, shared } from './session'
import { get, put, remove } from './store'

/** What is known of a file that was uploaded: the draft itself has only its id. */
export interface FileFacts {
  name: string
  size: number
  type: string
}

export interface Files {
  known: Record<string, FileFacts>
  /** What was on its way when the page was left, by the id of its field. */
  lost: { field: string; name: string; size: number }[]
  /** Files beside the payload. */
  attached: string[]
}

export interface Kept {
  value: unknown
  at: number
}

// Two people may share a browser: neither sees what the other has typed.
const place = (kind: string, id: string): string => `${kind}:${shared.session?.entity}:${id}`

export function keepHere(id: string, value: unknown): void {
  void put(place('draft', id), { value, at: Date.now() } satisfies Kept)
}

export function keepFiles(id: string, files: Files): void {
  void put(place('files', id), files)
}

export async function filesOf(id: string): Promise<Files> {
  return (await get<Files>(place('files', id))) ?? { known: {}, lost: [], attached: [] }
}

export function forget(id: string): void {
  void remove(place('draft', id))
  void remove(place('files', id))
}

/** The newest draft of the two; null where nothing was typed. */
export async function find(id: string): Promise<Kept | null> {
  const ours = (await get<Kept>(place('draft', id))) ?? null
  try {
    const theirs = await client.draft(id)
    const at = Date.parse(theirs.updatedAt) - client.http.skew
    return ours && ours.at >= at - 3000 ? ours : { value: theirs.payload, at }
  } catch (error) {
    if (ours || error instanceof Refused) return ours
    throw error
  }
}
