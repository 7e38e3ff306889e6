/** Where the viewer is: all of it in the query of the address, so that it can be kept and sent. */

import { useEffect, useState } from 'preact/hooks'

export type Route = Record<string, string>

const listeners = new Set<() => void>()

/** The last request or flow that was looked at: who comes back finds its row. */
export let left = ''

function note(): void {
  left = read().id ?? left
}

export function read(): Route {
  return Object.fromEntries(new URLSearchParams(location.search))
}

export function href(route: Route): string {
  const given = Object.entries(route).filter(([, value]) => value !== '')
  return given.length === 0 ? '/' : `/?${new URLSearchParams(given)}`
}

export function go(route: Route, how: 'push' | 'replace' = 'push'): void {
  note()
  if (how === 'push') history.pushState(null, '', href(route))
  else history.replaceState(null, '', href(route))
  for (const listener of listeners) listener()
}

export function useRoute(): Route {
  const [route, set] = useState(read)
  useEffect(() => {
    const changed = (): void => set((before) => {
      left = before.id ?? left
      return read()
    })
    listeners.add(changed)
    addEventListener('popstate', changed)
    return () => {
      listeners.delete(changed)
      removeEventListener('popstate', changed)
    }
  }, [])
  return route
}

/** For links: follow them inside the page, unless the viewer wants another tab. */
export function follow(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest('a')
  if (!link || link.origin !== location.origin || link.target || link.hash || link.hasAttribute('download') || event.button !== 0) return
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.defaultPrevented) return
  event.preventDefault()
  note()
  history.pushState(null, '', link.href)
  for (const listener of listeners) listener()
  scrollTo(0, 0)
}
