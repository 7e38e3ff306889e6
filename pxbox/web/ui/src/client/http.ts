/** REST calls to a broker, with nothing but `fetch`. */

import { Refused, Unreachable, type ProblemDocument } from './problem'

export type Query = Record<string, string | number | boolean | null | undefined>

export interface Call {
  query?: Query
  body?: unknown
  /** Makes a repeated command count once. */
  idempotencyKey?: string
  signal?: AbortSignal
}

export interface Options {
  /** Where the broker is; by default the origin of the page. */
  base?: string
  /** A token, where the session is not in a cookie. */
  token?: string
}

export class Http {
  /** By how many milliseconds the broker's clock is ahead of ours, to the second. */
  skew = 0
  private readonly base: string

  constructor(private readonly options: Options = {}) {
    this.base = options.base ?? ''
  }

  /** The broker's time, in milliseconds since 1970. */
  now(): number {
    return Date.now() + this.skew
  }

  /** Where something of the broker is, given as the broker gives it: relative to itself. */
  address(path: string): string {
    return new URL(path, new URL(`${this.base}/`, globalThis.location?.href)).href
  }

  async call<T>(method: string, path: string, call: Call = {}): Promise<T> {
    const sentAt = Date.now()
    let reply: Response
    try {
      reply = await fetch(this.base + path + search(call.query), {
        method,
        headers: this.headers(method, call),
        body: call.body === undefined ? undefined : JSON.stringify(call.body),
        credentials: 'same-origin',
        signal: call.signal,
      })
    } catch (error) {
      if (call.signal?.aborted) throw error
      throw new Unreachable(String(error))
    }
    this.setClock(reply, sentAt)
    if (reply.status === 204) return undefined as T
    const body: unknown = await reply.json().catch(() => null)
    if (reply.ok) return body as T
    throw new Refused(problemOf(reply, body))
  }

  private headers(method: string, call: Call): Record<string, string> {
    const headers: Record<string, string> = { accept: 'application/json' }
    if (call.body !== undefined) headers['content-type'] = 'application/json'
    if (call.idempotencyKey) headers['idempotency-key'] = call.idempotencyKey
    if (this.options.token) headers.authorization = `Bearer ${this.options.token}`
    // A page of another origin cannot send it: what goes by the cookie is refused without.
    if (!this.options.token && method !== 'GET') headers['x-pxbox-page'] = '1'
    return headers
  }

  private setClock(reply: Response, sentAt: number): void {
    const date = Date.parse(reply.headers.get('date') ?? '')
    if (Number.isNaN(date)) return
    const skew = date - (sentAt + Date.now()) / 2
    // The header has whole seconds: less than one and a half is agreement.
    this.skew = Math.abs(skew) < 1500 ? 0 : skew
  }
}

function search(query: Query | undefined): string {
  const given = Object.entries(query ?? {}).filter(([, value]) => value != null && value !== '')
  if (given.length === 0) return ''
  return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`
}

function problemOf(reply: Response, body: unknown): ProblemDocument {
  if (body && typeof body === 'object' && 'code' in body) return body as ProblemDocument
  return { code: 'unreadable', title: reply.statusText || 'No answer', status: reply.status }
}
