/** Answers given while the broker could not be reached: kept, and each sent once. */

import { Unreachable } from '../client'
import { forget } from './drafts'
import { client } from './session'
import { say } from './toast'
import { t } from './texts'

interface Waiting {
  id: string
  payload: unknown
  key: string
}

const PLACE = 'pxbox.outbox'

export function waiting(): Waiting[] {
  try {
    return JSON.parse(localStorage.getItem(PLACE) ?? '[]') as Waiting[]
  } catch {
    return []
  }
}

export function queue(one: Waiting): void {
  keep([...waiting().filter((other) => other.id !== one.id), one])
}

function keep(list: Waiting[]): void {
  localStorage.setItem(PLACE, JSON.stringify(list))
}

let flushing = false

/** Sends what waits. The key makes one that got through already count once. */
export async function flush(): Promise<void> {
  if (flushing) return
  flushing = true
  try {
    for (const one of waiting()) {
      try {
        await client.answer(one.id, one.payload, one.key)
        forget(one.id)
        say(t('answer.sent'))
      } catch (error) {
        if (error instanceof Unreachable) return
        say(String((error as Error).message))
      }
      keep(waiting().filter((other) => other.key !== one.key))
      dispatchEvent(new CustomEvent('pxbox:sent', { detail: one.id }))
    }
  } finally {
    flushing = false
  }
}
