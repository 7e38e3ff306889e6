/** Answers given while the broker could not be reached: kept, and each sent once. */

import { Unreachable } from '../client'
import { forget } from './drafts'
import { client, shared } from './session'
import { get, put } from './store'
import { say } from './toast'
import { t } from './texts'

interface Waiting {
  id: string
  payload: unknown
  files: string[]
  key: string
}

// Who signs in next must not send what another has answered.
const place = (): string => `outbox:${shared.session?.entity}`

export async function waiting(): Promise<Waiting[]> {
  return (await get<Waiting[]>(place())) ?? []
}

export async function queue(one: Waiting): Promise<void> {
  await put(place(), [...(await waiting()).filter((other) => other.id !== one.id), one])
}

let flushing = false

/** Sends what waits. The key makes one that got through already count once. */
export async function flush(): Promise<void> {
  if (flushing || !shared.session) return
  flushing = true
  try {
    for (const one of await waiting()) {
      try {
        await client.answer(one.id, one.payload, one.key, one.files)
        forget(one.id)
        say(t('answer.sent'))
      } catch (error) {
        if (error instanceof Unreachable) return
        say(String((error as Error).message))
      }
      await put(place(), (await waiting()).filter((other) => other.key !== one.key))
      dispatchEvent(new CustomEvent('pxbox:sent', { detail: one.id }))
    }
  } finally {
    flushing = false
  }
}
