/** Asks until when to snooze. */

import type { VNode } from 'preact'
import { useState } from 'preact/hooks'

import { useNow } from '../lib/hooks'
import { t, type Text } from '../lib/texts'
import { dayAndTime } from '../lib/times'
import { Dialog } from './parts'

function at(now: number, days: number, hour: number): Date {
  const day = new Date(now)
  day.setDate(day.getDate() + days)
  day.setHours(hour, 0, 0, 0)
  return day
}

/** What is offered, soonest first; only what lies ahead. */
export function presets(now: number): [Text, Date][] {
  const toMonday = (8 - new Date(now).getDay()) % 7 || 7
  const all: [Text, Date][] = [
    ['snooze.hour', new Date(now + 3_600_000)],
    ['snooze.evening', at(now, 0, 18)],
    ['snooze.tomorrow', at(now, 1, 9)],
    ['snooze.week', at(now, toMonday, 9)],
  ]
  return all.filter(([, when]) => when.getTime() > now + 60_000)
}

export function Snooze({ deadlineAt, close, choose }: { deadlineAt: string | null; close: () => void; choose: (until: string) => void }): VNode {
  const now = useNow(30_000)
  const [custom, setCustom] = useState('')
  const late = (when: Date): boolean => deadlineAt !== null && when.getTime() >= Date.parse(deadlineAt)
  const own = new Date(custom)
  const usable = custom !== '' && own.getTime() > now && !late(own)
  return (
    <Dialog title={t('snooze.title')} close={close}>
      <div class="menu">
        {presets(now).map(([text, when]) => (
          <button type="button" disabled={late(when)} onClick={() => choose(when.toISOString())}>
            <span>{t(text)}</span>
            <small>{late(when) ? t('snooze.late') : dayAndTime(when)}</small>
          </button>
        ))}
      </div>
      <form class="line" onSubmit={(event) => { event.preventDefault(); if (usable) choose(own.toISOString()) }}>
        <label class="grow">{t('snooze.custom')}
          <input type="datetime-local" value={custom} onInput={(event) => setCustom(event.currentTarget.value)} />
        </label>
        <button class="main" disabled={!usable}>{t('do.snooze')}</button>
      </form>
    </Dialog>
  )
}
