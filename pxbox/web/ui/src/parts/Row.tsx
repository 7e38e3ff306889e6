/** A request in the list. */

import { Component, type VNode } from 'preact'

import type { Inquiry } from '../client'
import { href } from '../lib/route'
import { t } from '../lib/texts'
import { State, When } from './parts'

type Act = (action: 'markRead' | 'markUnread' | 'delete' | 'restore' | 'wake', items: Inquiry[]) => void

/** What can be done with a row; always the same object, so that a row is drawn for its own changes only. */
export interface Does {
  pick: (id: string) => void
  act: Act
  snooze: (one: Inquiry) => void
}

interface Props {
  one: Inquiry
  picked: boolean
  does: Does
}

export class Row extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    return next.one !== this.props.one || next.picked !== this.props.picked
  }

  override render({ one, picked, does }: Props): VNode {
    return <Drawn one={one} picked={picked} does={does} />
  }
}

function Drawn({ one, picked, does: { pick, act, snooze } }: Props): VNode {
  const open = one.status === 'PENDING' || one.status === 'CLAIMED'
  const title = one.title || t('inbox.untitled')
  const sleeping = one.snoozedUntil !== null && open
  return (
    <li class={`row${one.read ? '' : ' unread'}${open ? '' : ' over'}${picked ? ' picked' : ''}`} data-row={one.id}>
      <input class="pick" type="checkbox" checked={picked} onChange={() => pick(one.id)} aria-label={t('inbox.select', { title })} />
      <div class="what">
        <a class="title" href={href({ id: one.id })} dir="auto">
          {!one.read && <span class="dot"><span class="hide">{t('row.unread')} </span></span>}{title}
        </a>
        {one.why && <p class="reason" dir="auto">{plain(one.why)}</p>}
        <p class="meta">
          <span>{t('row.from', { asker: one.requestor })}</span>
          {one.flowId && <a class="tag" href={href({ view: 'flows', id: one.flowId })}>{t('row.flow')}</a>}
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
          : <button class="icon" onClick={() => snooze(one)} aria-label={`${t('do.snooze')}: ${title}`} title={t('do.snooze')}>◷</button>)}
        {one.deleted
          ? <button class="icon" onClick={() => act('restore', [one])} aria-label={`${t('do.restore')}: ${title}`} title={t('do.restore')}>↶</button>
          : <button class="icon" onClick={() => act('delete', [one])} aria-label={`${t('do.delete')}: ${title}`} title={t('do.delete')}>✕</button>}
      </div>
    </li>
  )
}

/** The words of a line of Markdown. */
function plain(text: string): string {
  return text.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[*_`#>]+/g, '').replace(/\s+/g, ' ')
}
