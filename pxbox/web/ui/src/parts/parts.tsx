/** Small parts that several views use. */

import type { ComponentChildren, VNode } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

import { useWords } from '../lib/hooks'
import { shared } from '../lib/session'
import { t, type Text } from '../lib/texts'
import { exactly, fromNow } from '../lib/times'

export function Blank({ title, children, action }: { title: string; children: ComponentChildren; action?: VNode }): VNode {
  return (
    <div class="blank">
      <svg viewBox="0 0 48 48" aria-hidden="true"><path d="M6 27h10l4 6h8l4-6h10M6 27v11a3 3 0 0 0 3 3h30a3 3 0 0 0 3-3V27M6 27l6-16a3 3 0 0 1 3-2h18a3 3 0 0 1 3 2l6 16" /></svg>
      <h2>{title}</h2>
      <p>{children}</p>
      {action}
    </div>
  )
}

export function Failed({ why, again }: { why: string; again: () => void }): VNode {
  return <Blank title={t('error.title')} action={<button onClick={again}>{t('app.retry')}</button>}>{why}</Blank>
}

export function Loading(): VNode {
  return <div class="loading" role="status"><span class="hide">{t('app.loading')}</span><i /><i /><i /></div>
}

export function When({ at, text }: { at: string; text?: Text }): VNode {
  const words = useWords((now) => fromNow(at, now))
  return <time dateTime={at} title={exactly(at)}>{text ? t(text, { when: words }) : words}</time>
}

interface Stateful {
  status: string
  claim?: { by: string } | null
}

export function State({ of }: { of: Stateful }): VNode {
  const mine = of.status === 'CLAIMED' && of.claim?.by === shared.session?.entity
  const text = (mine ? 'status.CLAIMED.mine' : `status.${of.status}`) as Text
  return <span class={`state ${mine ? 'mine' : of.status.toLowerCase()}`}>{t(text)}</span>
}

export function Dialog({ title, close, children }: { title: string; close?: () => void; children: ComponentChildren }): VNode {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null
    const shown = dialog.current
    shown?.showModal()
    return () => {
      shown?.close()
      before?.focus()
    }
  }, [])
  return (
    <dialog ref={dialog} onCancel={(event) => { event.preventDefault(); close?.() }} aria-label={title}
      onClick={(event) => event.target === dialog.current && close?.()}>
      <header>
        <h2>{title}</h2>
        {close && <button class="icon" type="button" onClick={close} aria-label={t('app.close')}>✕</button>}
      </header>
      {children}
    </dialog>
  )
}
