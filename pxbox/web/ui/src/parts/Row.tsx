/** A request in the list. */

import type { VNode } from 'preact'

import type { Inquiry } from '../client'
import { href } from '../lib/route'
import { t } from '../lib/texts'
import { State, When } from './parts'

type Act = (action: 'markRead' | 'markUnread' | 'delete' | 'restore' | 'wake', items: Inquiry[]) => void

interface Props {
  one: Inquiry
  picked: boolean
  pick: (id: string) => void
  act: Act
  snooze: () => void
}

export function Row({ one, picked, pick, act, snooze }: Props): VNode {
  const open = one.status === 'PENDING' || one.status === 'CLAIMED'
  const title = one.title || t('inbox.untitled')
  const sleeping = one.snoozedUntil !== null && open
  return (
    <li class={`row${one.read ? '' : ' unread'}${open ? '' : ' over'}${picked ? ' picked' : ''}`} data-row={one.id}>
      <input class="pick" type="checkbox" checked={picked} onChange={() => pick(one.id)} aria-label={t('inbox.select', { title })} />
      <div class="what">
        <a class="title" href={href({ id: one.id })}>
          {!one.read && <span class="dot"><span class="hide">{t('row.unread')} </span></span>}{title}
        </a>
        <p class="meta">
          <span>{t('row.from', { asker: one.requestor })}</span>
          {(one as { flowId?: string | null }).flowId && <span class="tag">{t('row.flow')}</span>}
          {one.tags.map((tag) => <a class="tag" href={href({ tag })}>{tag}</a>)}
        </p>
      </div>
      <div class="facts">
        {(one.status !== 'PENDING') && <State of={one} />}
        {sleeping && <When at={one.snoozedUntil!} text="row.until" />}
        {open && one.deadlineAt && !sleeping && <When at={one.deadlineAt} text="row.due" />}
        {!open && one.closedAt && <When at={one.closedAt} />}
      </div>
      <div class="acts">
        <button class="icon" onClick={() => act(one.read ? 'markUnread' : 'markRead', [one])} aria-label={`${t(one.read ? 'do.unread' : 'do.read')}: ${title}`} title={t(one.read ? 'do.unread' : 'do.read')}>{one.read ? '○' : '●'}</button>
        {open && (sleeping
          ? <button class="icon" onClick={() => act('wake', [one])} aria-label={`${t('do.wake')}: ${title}`} title={t('do.wake')}>☀</button>
          : <button class="icon" onClick={snooze} aria-label={`${t('do.snooze')}: ${title}`} title={t('do.snooze')}>◷</button>)}
        {one.deleted
          ? <button class="icon" onClick={() => act('restore', [one])} aria-label={`${t('do.restore')}: ${title}`} title={t('do.restore')}>↶</button>
          : <button class="icon" onClick={() => act('delete', [one])} aria-label={`${t('do.delete')}: ${title}`} title={t('do.delete')}>✕</button>}
      </div>
    </li>
  )
}
