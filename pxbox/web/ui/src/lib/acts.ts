/** What one does with inquiries: shown at once, taken back if the broker refuses, undone on demand. */

import type { Inquiry, Mark } from '../client'
import { client, whyNot } from './session'
import { t, type Text } from './texts'
import { say } from './toast'

type Change = (id: string, to: Partial<Inquiry>) => void

const EFFECT: Record<Exclude<Mark, 'snooze'>, Partial<Inquiry>> = {
  markRead: { read: true }, markUnread: { read: false }, delete: { deleted: true }, restore: { deleted: false },
  wake: { snoozedUntil: null },
}
const BACK: Record<Exclude<Mark, 'snooze' | 'wake'>, Mark> = {
  markRead: 'markUnread', markUnread: 'markRead', delete: 'restore', restore: 'delete',
}

async function carryOut(action: Mark, items: Inquiry[], change: Change, until?: string): Promise<boolean> {
  const effect = action === 'snooze' ? { snoozedUntil: until! } : EFFECT[action]
  for (const one of items) change(one.id, effect)
  const takeBack = (one: Inquiry): void => change(one.id, { read: one.read, deleted: one.deleted, snoozedUntil: one.snoozedUntil })
  try {
    const done = await client.mark(action, items.map((one) => one.id), until)
    const failed = done.items.filter((one) => 'error' in one && one.error)
    for (const one of items) if (failed.some((bad) => bad.id === one.id)) takeBack(one)
    if (failed.length === 0) return true
    const why = (failed[0] as { error: { detail?: string; title: string } }).error
    say(t('did.failed', { n: failed.length, why: why.detail ?? why.title }))
  } catch (error) {
    items.forEach(takeBack)
    say(whyNot(error))
  }
  return false
}

export async function mark(action: Exclude<Mark, 'snooze'>, items: Inquiry[], change: Change): Promise<void> {
  if (!(await carryOut(action, items, change))) return
  const back = async (): Promise<void> => {
    if (action === 'wake') return
    await carryOut(BACK[action], items, change)
    say(t('app.undone'))
  }
  say(t(`did.${action}` as Text, { n: items.length }), action === 'wake' ? undefined : back)
}

export async function snooze(items: Inquiry[], until: string, change: Change): Promise<void> {
  if (!(await carryOut('snooze', items, change, until))) return
  say(t('did.snooze', { n: items.length }), async () => {
    await carryOut('wake', items, change)
    say(t('app.undone'))
  })
}
