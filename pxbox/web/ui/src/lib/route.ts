/** Where the viewer is: all of it in the query of the address, so that it can be kept and sent. */

import { useEffect, useState } from 'preact/hooks'

export type Route = Record<string, string>

const listeners = new Set<() => void>()

export function read(): Route {
  return Object.fromEntries(new URLSearchParams(location.search))
}

export function href(route: Route): string {
  const given = Object.entries(route).filter(([, value]) => value !== '')
  return given.length === 0 ? '/' : `/?${new URLSearchParams(given)}`
}

export function go(route: Route, how: 'push' | 'replace' = 'push'): void {
  if (how === 'push') history.pushState(null, '', href(route))
  else history.replaceState(null, '', href(route))
  for (const listener of listeners) listener()
}

export function useRoute(): Route {
  const [route, set] = useState(read)
  useEffect(() => {
    const changed = (): void => set(read())
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
  history.pushState(null, '', link.href)
  for (const listener of listeners) listener()
  scrollTo(0, 0)
}
