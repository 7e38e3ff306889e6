/** What the views share. */

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'

import { left } from './route'
import { client, nameOf, onShared, shared, whyNot, type Shared } from './session'

export function useShared(): Shared {
  const [state, set] = useState(shared)
  useEffect(() => {
    set(shared)
    return onShared(set)
  }, [])
  return state
}

/** The broker's time, told anew every so many milliseconds. */
export function useNow(every = 1000): number {
  const [now, set] = useState(() => client.http.now())
  useEffect(() => {
    const timer = setInterval(() => set(client.http.now()), every)
    return () => clearInterval(timer)
  }, [every])
  return now
}

const clocks = new Map<number, { tell: Set<() => void>; timer: ReturnType<typeof setInterval> }>()

/** One timer for all who look at the time as often: a thousand of them would be a thousand tasks. */
function everySo(often: number, look: () => void): () => void {
  const found = clocks.get(often)
  const tell = found?.tell ?? new Set()
  tell.add(look)
  if (!found) clocks.set(often, { tell, timer: setInterval(() => { for (const one of tell) one() }, often) })
  return () => {
    tell.delete(look)
    if (tell.size > 0) return
    clearInterval(clocks.get(often)?.timer)
    clocks.delete(often)
  }
}

/** What `say` makes of the broker's time; drawn anew only when that changes. */
export function useWords(say: (now: number) => string, every = 10_000): string {
  const current = useRef(say)
  current.current = say
  const words = say(client.http.now())
  const shown = useRef(words)
  shown.current = words
  const [, drawn] = useState('')
  useEffect(() => everySo(every, () => {
    const now = current.current(client.http.now())
    if (now !== shown.current) drawn(now)
  }), [every])
  return words
}

export function useName(id: string | null | undefined): string {
  const [name, set] = useState('')
  useEffect(() => {
    let here = true
    if (id) void nameOf(id).then((found) => here && set(found))
    return () => void (here = false)
  }, [id])
  return name
}

export interface Loaded<T> {
  data: T | null
  error: string | null
  loading: boolean
  reload: () => void
  set: (data: T) => void
}

/** Loads when `key` changes; keeps what it has while it loads again. */
export function useLoad<T>(load: () => Promise<T>, key: string): Loaded<T> {
  const [state, setState] = useState<{ data: T | null; error: string | null; loading: boolean }>({ data: null, error: null, loading: true })
  const turn = useRef(0)
  const last = useRef(load)
  last.current = load
  const reload = useCallback(() => {
    const mine = ++turn.current
    setState((state) => ({ ...state, loading: true }))
    last.current().then(
      (data) => mine === turn.current && setState({ data, error: null, loading: false }),
      (error: unknown) => mine === turn.current && setState((state) => ({ ...state, error: whyNot(error), loading: false })),
    )
  }, [])
  useEffect(() => {
    setState({ data: null, error: null, loading: true })
    reload()
  }, [key, reload])
  const set = useCallback((data: T) => setState({ data, error: null, loading: false }), [])
  return { ...state, reload, set }
}

const FIELD = 'main :is(input:not(.pick), textarea, select)'
const INSIDE = 'input, textarea, select, [contenteditable], dialog'

/** Keys of the page: off inside fields and dialogs, and with modifiers held. */
export function useKeys(keys: Record<string, (event: KeyboardEvent) => void>): void {
  const current = useRef(keys)
  current.current = keys
  // Before the first frame: what is drawn can be used.
  useLayoutEffect(() => {
    const pressed = (event: KeyboardEvent): void => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
      // Out of a field first; what Esc means to the page comes with the next one.
      if (event.key === 'Escape' && (event.target as Element).matches(FIELD)) return (event.target as HTMLElement).blur()
      if ((event.target as Element).closest(INSIDE) && !(event.target as Element).matches('input[type=checkbox].pick')) return
      const act = current.current[event.key]
      if (!act) return
      event.preventDefault()
      act(event)
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [])
}

/** Who comes back to a list is at the row that was opened from it. */
export function useReturn(ready: boolean): void {
  useEffect(() => {
    if (!ready || !left) return
    const row = document.querySelector<HTMLElement>(`[data-row="${CSS.escape(left)}"] a.title`)
    if (document.activeElement === document.body) row?.focus()
  }, [ready])
}
