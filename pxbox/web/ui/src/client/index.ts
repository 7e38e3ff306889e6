/** A client of PxBox for browsers: no dependency, every call typed by the contract. */

import { Http, type Options, type Query } from './http'
import type {
  AskedPage, CreateRequest, Draft, EntityView, EventPage, FileSigned, InquiriesUpdated, InquiryPage,
  InquiryState, RequestCreated, RequestDetail, Response as Answer,
} from './types'
import { putFile, type Upload } from './upload'

export * from './types'
export type { Answer }
export { Refused, Unreachable, type Place, type ProblemDocument } from './problem'
export { Live, type LiveEvent, type LiveState } from './live'
export { Http } from './http'
export type { Upload } from './upload'

export interface Session {
  signedIn: boolean
  sub: string
  entity: string | null
  handle: string | null
  scopes: string[]
  expiresAt: string
  /** Until when it can be renewed. */
  renewableUntil: string | null
}

export type Mark = 'markRead' | 'markUnread' | 'delete' | 'restore' | 'snooze' | 'wake'

export interface FlowSummary {
  id: string
  kind: string
  version: number | null
  status: string
  text: string | null
  parked: { code: string; reason: string } | null
  error: string | null
  createdAt: string
  updatedAt: string
  closedAt: string | null
}

export interface FlowWait {
  id: string
  key: string
  kind: string
  name: string | null
  dueAt: string | null
  openedAt: string
  detail: any
}

export type FlowDetail = FlowSummary & { waiting: FlowWait[]; result: unknown; input: unknown }

export interface TimelineItem {
  at: string
  what: string
  key: string
  kind: string | null
  outcome: string | null
  by: string | null
  requestId: string | null
}

export class Client {
  readonly http: Http

  constructor(options: Options = {}) {
    this.http = new Http(options)
  }

  async session(): Promise<Session | null> {
    return known(await this.http.call<Session>('GET', '/v1/session'))
  }

  async signIn(by: { token: string } | { link: string }): Promise<Session | null> {
    return known(await this.http.call<Session>('POST', '/v1/session', { body: by }))
  }

  async signOut(): Promise<void> {
    await this.http.call('DELETE', '/v1/session')
  }

  /** Moves the end of the session on, as far as that goes. */
  async renew(): Promise<Session | null> {
    return known(await this.http.call<Session>('POST', '/v1/session/renew', { body: {} }))
  }

  inquiries(query: Query): Promise<InquiryPage> {
    return this.http.call('GET', '/v1/inquiries', { query })
  }

  mark(action: Mark, ids: string[], remindAt?: string): Promise<InquiriesUpdated> {
    return this.http.call('POST', '/v1/inquiries/bulk', {
      body: { action, ids, ...(remindAt && { remindAt }) },
    })
  }

  snooze(id: string, remindAt: string): Promise<InquiryState> {
    return this.http.call('POST', `/v1/inquiries/${id}/snooze`, { body: { remindAt } })
  }

  request(id: string): Promise<RequestDetail> {
    return this.http.call('GET', `/v1/requests/${id}`)
  }

  /** What the caller has asked, the newest first. */
  asked(query: Query): Promise<AskedPage> {
    return this.http.call('GET', '/v1/requests', { query })
  }

  create(body: CreateRequest, idempotencyKey: string): Promise<RequestCreated> {
    return this.http.call('POST', '/v1/requests', { body, idempotencyKey })
  }

  claim(id: string): Promise<RequestDetail> {
    return this.http.call('POST', `/v1/requests/${id}/claim`, { body: {} })
  }

  release(id: string): Promise<RequestDetail> {
    return this.http.call('POST', `/v1/requests/${id}/release`, { body: {} })
  }

  /** `files` are the ids of files that belong to the answer beside those in its payload. */
  answer(id: string, payload: unknown, idempotencyKey: string, files: string[] = []): Promise<Answer> {
    const body = { payload, ...(files.length > 0 && { files }) }
    return this.http.call('POST', `/v1/requests/${id}/response`, { body, idempotencyKey })
  }

  /** Says which file is about to be uploaded for the answer to a request. */
  signFile(requestId: string, name: string, contentType: string, size: number): Promise<FileSigned> {
    return this.http.call('POST', '/v1/files/sign', { query: { requestId, name, contentType, size } })
  }

  /** Uploads what was signed for; see `putFile`. */
  upload(signed: FileSigned, file: Blob, upload?: Upload): Promise<void> {
    return putFile(this.http.address(signed.putUrl), file, { headers: signed.putHeaders, ...upload })
  }

  decline(id: string, reason: string): Promise<RequestDetail> {
    return this.http.call('POST', `/v1/requests/${id}/decline`, { body: reason ? { reason } : {} })
  }

  cancel(id: string): Promise<RequestDetail> {
    return this.http.call('POST', `/v1/requests/${id}/cancel`, { body: {} })
  }

  answerOf(id: string): Promise<Answer> {
    return this.http.call('GET', `/v1/requests/${id}/response`)
  }

  events(id: string): Promise<EventPage> {
    return this.http.call('GET', `/v1/requests/${id}/events`, { query: { limit: 200 } })
  }

  draft(id: string): Promise<Draft> {
    return this.http.call('GET', `/v1/requests/${id}/draft`)
  }

  keepDraft(id: string, payload: unknown): Promise<Draft> {
    return this.http.call('PUT', `/v1/requests/${id}/draft`, { body: { payload } })
  }

  dropDraft(id: string): Promise<unknown> {
    return this.http.call('DELETE', `/v1/requests/${id}/draft`)
  }

  entity(id: string): Promise<EntityView> {
    return this.http.call('GET', `/v1/entities/${encodeURIComponent(id)}`)
  }

  flows(query: Query): Promise<{ items: FlowSummary[]; nextCursor: string | null }> {
    return this.http.call('GET', '/v1/flows', { query })
  }

  flow(id: string): Promise<FlowDetail> {
    return this.http.call('GET', `/v1/flows/${id}`)
  }

  timeline(id: string): Promise<{ items: TimelineItem[]; more: boolean }> {
    return this.http.call('GET', `/v1/flows/${id}/timeline`, { query: { limit: 200 } })
  }

  flowAction(id: string, action: 'cancel' | 'retry' | 'signal', body: unknown = {}): Promise<unknown> {
    return this.http.call('POST', `/v1/flows/${id}/${action}`, { body })
  }
}

function known(session: Session): Session | null {
  return session.signedIn ? session : null
}
