// Written by types.mjs from the contract; not by hand.

/** A request as it lies in the caller's inbox. */
export type Inquiry = RequestSummary & {
  /** Whether it was read. */
  read: boolean
  /** Until when it was snoozed; null if it was not. In the past: it is in sight again. */
  snoozedUntil: string | null
  /** Whether it was deleted from the inbox. */
  deleted: boolean
  /** Why the asker needs it, as Markdown, cut off after 200 characters; null if nothing was said. */
  why?: string | null
  /** The flow that it belongs to; null if it belongs to none. */
  flowId?: string | null
}

/** A page of the inbox, and where the channels that feed it stood before it was read: resume each from there, and no change is missed. */
export type InquiryPage = {
  /** The inquiries. */
  items: (Inquiry)[]
  /** How many match, on all pages together; counted up to 1,000. */
  total: number
  /** False where there are more than `total`. */
  totalExact: boolean
  /** How much of what needs to be done there is, whatever the filters but `entityId`; null on pages after the first. */
  sections: InquirySections | null
  /** Give it as `cursor` to read on; null on the last page. */
  nextCursor: string | null
  /** The epoch that the numbers belong to. Numbers of another epoch mean nothing here. */
  epoch: string
  /** The head of each feeding channel, by the channel's name. */
  positions: Record<string, number>
}

/** What a responder has made of an inquiry; nobody else sees it. */
export type InquiryState = {
  /** The inquiry's id, which is its request's. */
  id: Ulid
  /** Counts what was done to it in this inbox; 0 if nothing was. */
  version: number
  /** Whether it was read. */
  read: boolean
  /** Until when it was snoozed; null if it was not. In the past: it is in sight again. */
  snoozedUntil: string | null
  /** Whether it was deleted from the inbox. */
  deleted: boolean
}

/** What became of each of several inquiries, in the order asked. */
export type InquiriesUpdated = {
  /** How many are now as they were to be. */
  updated: number
  /** How many got an error. */
  failed: number
  /** The outcomes. */
  items: (InquiryOutcome)[]
}

/** A request with everything a responder needs to answer it. */
export type RequestDetail = RequestSummary & {
  /** The language of `schemaPayload`: `jsonschema`. */
  schemaKind: string
  /** The schema as the answer is checked against it, every outside reference bundled in. */
  schemaPayload: SchemaDocument
  /** Identifies the schema by its content: equal schemas have equal hashes. */
  schemaHash: string
  /** As given by the asker; null if none. */
  uiHints: unknown
  /** As given by the asker; null if none. */
  prefill: unknown
  /** As given by the asker; empty if nothing was. */
  meta: Record<string, unknown>
  /** Why the asker needs it, as Markdown. */
  why: string | null
  /** What the responder should know while answering, as Markdown. */
  context: string | null
  /** Which files the answer may refer to; null: none. */
  filesPolicy?: FilesPolicyView | null
} & {
  /** The language of `schemaPayload`: `jsonschema`. */
  schemaKind: string
  /** The schema as the answer is checked against it, every outside reference bundled in. */
  schemaPayload: SchemaDocument
  /** Identifies the schema by its content: equal schemas have equal hashes. */
  schemaHash: string
  /** As given by the asker; null if none. */
  uiHints: unknown
  /** As given by the asker; null if none. */
  prefill: unknown
  /** As given by the asker; empty if nothing was. */
  meta: Record<string, unknown>
  /** Why the asker needs it, as Markdown. */
  why: string | null
  /** What the responder should know while answering, as Markdown. */
  context: string | null
  /** For the asker (and scope `admin`): how far it has got. Null for others. It changes without a new `version` and `ETag`. */
  delivery: Delivery | null
  /** For a responder: what the caller's entity has made of it in its inbox. Null for others. */
  inquiry: InquiryState | null
}

/** The new request; `requestId` is its `id` once more. */
export type RequestCreated = RequestSummary & {
  requestId: Ulid
  /** True where an open request with the same `subjectKey` was returned instead: nothing was created. */
  existing: boolean
  /** Where `schemaKind` is not `jsonschema`: the schema that was made of what was given, and that answers are checked against. */
  schemaPayload?: SchemaDocument
  /** Where there are any: what of `uiHints` means nothing here, by JSON Pointer into them. */
  warnings?: (ErrorItem)[]
}

/** Ask an entity for data. Name the addressee by exactly one of `entity` and `to`. */
export type CreateRequest = {
  /** What the answer must be, in the way that `schemaKind` says. It is pinned: the schema of an open request never changes. Its `title`, if any, is what lists show. */
  schema: unknown
  /** The addressee. */
  entity?: EntityRef
  /** The addressee as an address, or several: anyone who is one of them, or a member of one of them, may answer. */
  to?: Address | (Address)[]
  /** What `schema` is. `jsonschema`: a JSON Schema, complete in itself. `jsonexample`: any JSON value; the schema of values that look like it is inferred, and is in the reply. `ref`: a JSON Schema whose references may lead to places that the operator allows; they are fetched and bundled in. */
  schemaKind?: "jsonschema" | "jsonexample" | "ref"
  /** Any JSON value, given to the responder's form as it is: most forms read it as `UiHints`. What of it is no hint that is known, or matches nothing in the schema, is told by `warnings` in the reply; nothing is refused. */
  uiHints?: UiHints | unknown
  /** Any JSON value that the form starts from. It need not be a valid answer. */
  prefill?: unknown
  /** When the request closes as `EXPIRED` if it is still open. In the future. */
  deadlineAt?: string | null
  /** Another name of `deadlineAt`. Both, and different: `invalid_time`. */
  expiresAt?: string | null
  /** The deadline as so many seconds from now, by the broker's clock. Unlike a time that is worked out anew, it is the same input when the command is repeated. With `deadlineAt` or `expiresAt`: `invalid_time`. */
  deadlineIn?: number | null
  /** When `request.attention` is sent if the request is still open. It only signals; before the deadline. */
  attentionAt?: string | null
  /** How many seconds a claim lasts before it lapses, unless it is renewed by claiming again. */
  claimTtl?: number
  /** Whether a responder must claim before answering. Otherwise an answer to an unclaimed request claims and answers at once. */
  claimRequired?: boolean
  /** The asker's own notes, returned as they are. The broker does not read them. */
  meta?: Record<string, unknown> | null
  /** What the question is about. While a request of this client with the same key, schema and addressees is open, that one is returned instead of a second one. */
  subjectKey?: string | null
  /** Words to find it by; each counts once. */
  tags?: (Tag)[]
  /** Why the asker needs it, for the responder: Markdown, a sentence or two. */
  why?: string | null
  /** What the responder should know while answering: Markdown. */
  context?: string | null
  /** Whom to ask next if nobody answers: each step later than the one before, and before the deadline. */
  escalate?: (EscalationStep)[]
  /** Refuse claims and answers by the client that asked, and by the entity it acts as: `self_answer`. */
  noSelfAnswer?: boolean
  /** The answer that stands if the deadline comes first: the request is then `ANSWERED` by nobody. It must satisfy the schema, and needs `deadlineAt`. */
  defaultAnswer?: unknown
  /** How many seconds before the deadline `request.deadline_near` is sent; 0: never. */
  deadlineNear?: number
  /** The flow that waits for the answer: the request belongs to it, its outcome wakes it, and it is withdrawn when the flow ends. The caller's own, and not yet ended. */
  flowId?: string | null
  /** Which files an answer may refer to. Left out, it is `{}` where the schema has `format: pxbox-file` anywhere; otherwise no files are taken. */
  filesPolicy?: FilesPolicy
}

/** An accepted answer. It never changes, but for the URLs of its files. */
export type Response = {
  /** The response's own id. */
  id: Ulid
  /** The same id once more. */
  responseId: Ulid
  /** The request that it answers. */
  requestId: Ulid
  /** The answer. */
  payload: unknown
  /** The entity that answered; null where the asker's default answer stands. */
  answeredBy: Uuid | null
  /** When it was accepted. */
  answeredAt: string
  /** The files that it refers to, those in the payload first; left out where there are none. */
  files?: (FileView)[]
}

/** A half-filled form. Each responder has one for a request, and sees no other. It outlives the claim and the request; the answer of its responder ends it. */
export type Draft = {
  /** The request that it is for. */
  requestId: Ulid
  /** The half-filled form: any JSON value. */
  payload: unknown
  /** When it was kept. */
  updatedAt: string
}

/** Events after `since`, oldest first. The page is the last one when its last `seq` is `head`. */
export type EventPage = {
  channel: Channel
  /** The epoch that the numbers belong to. Numbers of another epoch mean nothing here. */
  epoch: string
  /** The newest number that retention has removed; 0 if none was. With `since` below it, events are missing from this page: read the state anew. */
  floor: number
  /** The channel's newest number; 0 if it has no event. */
  head: number
  /** The events. */
  items: (LoggedEvent)[]
}

/** Something that happened to a request: ids and what a list row shows, as it was right after it. At most 4 KiB; never an answer, a prefill or a schema: read those, with authorization. */
export type RequestEvent = {
  /** The event's id, the same on every channel: `<requestId>.<version>.<n>`. An event may arrive more than once; drop what you have seen. */
  id: string
  /** What happened. */
  type: string
  requestId: Ulid
  /** The request's version after it. */
  version: number
  /** The request's status after it. */
  status: Status
  /** When it was committed. */
  at: string
  /** Who did it: the id of an entity, or the `sub` of a client; null where time did it. */
  actor: string | null
  /** The title of the request's schema, if it has one. */
  title: string | null
  /** The client that asked: the `sub` of its token. */
  requestor: string
  /** The ids of the entities as addressed: groups and roles are not expanded. */
  to: (Uuid)[]
  /** As in the request. */
  deadlineAt: string | null
  /** As in the request. */
  attentionAt: string | null
  /** The claim; null unless the status is `CLAIMED`. */
  claim: Claim | null
  /** Where time did it: by how many seconds the broker was late, such as after an outage. */
  lateBy?: number
  /** Where others are asked from now on: who was asked until then. */
  previousTo?: (Uuid)[]
  /** What was said on handing it on. */
  reason?: string
}

/** A responder did something in its own inbox: the state of the inquiry after it. Only that responder is told. */
export type InboxEvent = {
  /** The event's id: `<requestId>:<entityId>.<version>.<n>`. */
  id: string
  /** What happened. */
  type: string
  requestId: Ulid
  /** The responder. */
  entityId: Uuid
  /** Counts what was done to it in this inbox; 0 if nothing was. */
  version: number
  /** When it was committed. */
  at: string
  /** Whether it was read. */
  read: boolean
  /** Until when it was snoozed; null if it was not. In the past: it is in sight again. */
  snoozedUntil: string | null
  /** Whether it was deleted from the inbox. */
  deleted: boolean
}

/** Someone who can be asked. */
export type EntityView = {
  id: Uuid
  kind: EntityKind
  handle: Handle
  /** The address that names it by its handle. */
  address: Address
  /** Its other addresses. */
  aliases: (string)[]
  /** Notes kept with it. */
  meta: Record<string, unknown>
  /** The ids of the members of a group or role; empty for users and bots. */
  members: (Uuid)[]
  /** Counts the changes of this entity and its members from 1. */
  version: number
  /** When it was created. */
  createdAt: string
  /** When it last changed. */
  updatedAt: string
}

/** A page of what a client has asked, and where its channel stood before it was read. */
export type AskedPage = {
  /** The requests. */
  items: (AskedRequest)[]
  /** Where the next page begins; null if this is the last. */
  nextCursor: string | null
  /** The epoch of `positions`. */
  epoch: string
  /** The head of each feeding channel, by the channel's name. */
  positions: Record<string, number>
}

/** Where a file is to be uploaded. Each URL counts for this file and one purpose alone, without a token: who has one may use it. */
export type FileSigned = {
  /** What the answer refers to the file by. */
  fileId: Ulid
  /** PUT the bytes here, with a Content-Length. Relative to where the broker is reached, or the absolute URL of an object store, which is sent no token and says nothing of the file. */
  putUrl: string
  /** What headers the PUT must have. */
  putHeaders: Record<string, string>
  /** GET them here once all have arrived. */
  getUrl: string
  /** The same file by the tus protocol 1.0.0, for 24 hours: cut off, it is gone on with. As the upload itself (`uploadUrl`), or as where one is created (`endpoint`). null where the broker takes no uploads in parts. */
  resumeUrl: string | null
  /** Until when the upload may begin. */
  expiresAt: string
}

/** A file that was uploaded. It never changes. */
export type FileView = {
  /** The file's id. */
  id: Ulid
  /** What its uploader calls it: a label, never a path. */
  name: string
  /** How many bytes it has. */
  size: number
  /** Its media type, as its uploader says and its first bytes do not deny. */
  mime: string
  /** The hash of its bytes, in hex. */
  sha256: string
  /** GET it here, without a token, for 15 minutes; made for this reply. Relative to where the broker is reached. */
  url: string
}

/** A request as a list shows it: all but its schema and contents. */
export type RequestSummary = {
  id: Ulid
  status: Status
  /** Counts the changes of this request from 1. */
  version: number
  /** The title of the request's schema, if it has one. */
  title: string | null
  /** The client that asked: the `sub` of its token. */
  requestor: string
  /** The ids of the entities as addressed: groups and roles are not expanded. */
  to: (Uuid)[]
  /** When it was created. */
  createdAt: string
  /** When it last changed. */
  updatedAt: string
  /** When it closes as `EXPIRED` if still open. */
  deadlineAt: string | null
  /** When `request.attention` is sent if still open. */
  attentionAt: string | null
  /** How many seconds a claim lasts. */
  claimTtl: number
  /** Whether it must be claimed before it is answered. */
  claimRequired: boolean
  /** The claim; null unless the status is `CLAIMED`. */
  claim: Claim | null
  /** When it was answered, declined, cancelled or expired; null while open. */
  closedAt: string | null
  /** Who closed it: the entity that answered or declined, or the client (`sub`) that cancelled; null while open, if it expired, and if the default answer stands. */
  closedBy: string | null
  /** What was said on declining or cancelling. */
  reason: string | null
  /** The id of the answer; null unless `ANSWERED`. */
  responseId: Ulid | null
  /** As given by the asker. */
  tags: (Tag)[]
}

/** What is open in the inbox, by urgency. Each section holds the one before it, and none of them what is snoozed or deleted. */
export type InquirySections = {
  /** Needs attention: `attentionAt` has come, or the deadline is near (within an hour, unless the operator says otherwise). */
  attention: SectionCount
  /** Due soon: the deadline is within a day, unless the operator says otherwise. */
  dueSoon: SectionCount
  /** Everything open. */
  pending: SectionCount
}

/** The identifier of a request, a response, a flow, a wait or a session: a ULID (26 Crockford base 32 digits, upper case). Sorting ULIDs sorts by time of creation, to the millisecond. */
export type Ulid = string

/** What became of one of several inquiries: `inquiry` as it is now, or the `error` that it alone got. */
export type InquiryOutcome = {
  /** The inquiry's id, as given. */
  id: string
  inquiry?: InquiryState
  error?: Problem
}

/** A JSON Schema of draft 2020-12 (assumed without `$schema`), 2019-09 or 7: at most 64 KiB and 32 levels deep, with patterns of the linear-time dialect (no look-around, no back-references). */
export type SchemaDocument = Record<string, unknown> | boolean

/** Which files an answer may refer to, with what its asker left out filled in. A megabyte (MB) is 1,048,576 bytes. */
export type FilesPolicyView = {
  /** How large one may be. */
  maxFileMB: number
  /** How large all may be together. */
  maxTotalMB: number
  /** How many an answer may refer to. */
  maxFiles: number
  /** Their media types, in lower case; empty: any. */
  mime: (string)[]
  /** How their names end, without the dot, in lower case; empty: any. */
  extensions: (string)[]
}

/** How far a request has got to those who are asked, as far as the broker knows: some seconds late, and since it was made, also where others are asked by now. */
export type Delivery = {
  /** The furthest of them; `none`: nobody, as far as is known. */
  reached: "none" | "notified" | "seen" | "opened"
  /** When a subscriber of an addressee's channel was first sent an event of it. */
  notifiedAt: string | null
  /** When it was first listed to or read by somebody who is asked. */
  seenAt: string | null
  /** When somebody who is asked first marked it as read, claimed it or kept a draft. */
  openedAt: string | null
}

/** One thing that is wrong in a document. */
export type ErrorItem = {
  /** Where: a JSON Pointer (RFC 6901) into the document that was checked; empty for the whole. */
  pointer: string
  /** What is wrong, in words for a person. */
  message: string
  /** The rule that was broken: a JSON Schema keyword such as `required`, or the broker's own word. */
  keyword: string
}

/** An addressee, by its id or by its handle: exactly one of the two. */
export type EntityRef = {
  /** The entity's id (a UUID). */
  id?: string
  /** The entity's handle. */
  handle?: string
}

/** How an entity is named: its id (a UUID), the bare handle of a user or bot, `group:<handle>`, `role:<handle>`, or an alias such as `mailto:ada@example.org`. */
export type Address = string

/** Hints for the form, as a tree beside the schema's: an object's members by their names, an array's items under `items`, and at each place any of the members here. Forms use what they know; none changes what an answer must be. */
export type UiHints = {
  /** Shown in place of the schema's `title`. */
  "ui:title"?: string
  /** Shown in place of the schema's `description`. */
  "ui:description"?: string
  /** A sentence below the field. */
  "ui:help"?: string
  /** What an empty field shows; never a value. */
  "ui:placeholder"?: string
  /** How it is entered. */
  "ui:widget"?: "text" | "textarea" | "password" | "select" | "radio" | "checkbox" | "checkboxes" | "range" | "updown" | "date" | "datetime" | "time" | "color" | "hidden"
  /** The members of an object in the order they are shown in; `*` stands for those not named. */
  "ui:order"?: (string)[]
  /** What the choices of an `enum` are called, in its order. */
  "ui:enumNames"?: (string)[]
  /** How many lines a `textarea` shows. */
  "ui:rows"?: number
  /** Shown, and not to be changed. */
  "ui:readonly"?: boolean
  /** Where the cursor is first. */
  "ui:autofocus"?: boolean
  /** Hints for the items of an array. */
  items?: UiHints
}

/** A word to find requests by. */
export type Tag = string

/** A step of escalation: whom to ask after so long without an answer. It ends the claim, if somebody holds it. */
export type EscalationStep = {
  /** How many seconds after the request was created. */
  after: number
  /** Who is asked from then on, as in `createRequest`. */
  to: Address | (Address)[]
  /** Whether they are asked instead of the others. Otherwise they are asked too. */
  replace?: boolean
}

/** Which files an answer may refer to. A megabyte (MB) is 1,048,576 bytes. */
export type FilesPolicy = {
  /** How large one may be. The operator's own limit holds beside it. */
  maxFileMB?: number
  /** How large all of an answer may be together. */
  maxTotalMB?: number
  /** How many an answer may refer to. */
  maxFiles?: number
  /** Their media types, such as `image/png`, or `image/*` for all of a kind; empty: any. */
  mime?: (string)[]
  /** How their names end, such as `pdf` or `tar.gz`, in upper or lower case; empty: any. */
  extensions?: (string)[]
}

/** The identifier of an entity: a UUID in its canonical lower-case form. */
export type Uuid = string

/** A stream of events: `request:<ULID>`, `requestor:<sub>`, `entity:<UUID>`, `flow:<ULID>` or `work:<kind>`. */
export type Channel = string

/** An event with its number on the channel it was read from. */
export type LoggedEvent = {
  /** Its number on the channel: 1, 2, 3, ... with no gap. */
  seq: number
  data: Event
}

/** Where a request is in its life. `PENDING` and `CLAIMED` are open; the others are final. */
export type Status = "PENDING" | "CLAIMED" | "ANSWERED" | "DECLINED" | "CANCELLED" | "EXPIRED"

/** Who works on the request, and until when nobody else may. */
export type Claim = {
  /** The entity that holds the claim. */
  by: Uuid
  /** When the lease lapses. */
  expiresAt: string
}

/** `user` and `bot` act; `group` and `role` have members who act for them. */
export type EntityKind = "user" | "group" | "role" | "bot"

/** The short unique name of an entity: lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit, at most 64 characters. Unique over all entities of every kind. */
export type Handle = string

/** A request as its asker's list shows it. */
export type AskedRequest = RequestSummary & {
  delivery: Delivery
}

/** How many inquiries a section has, counted up to 1,000. */
export type SectionCount = {
  /** How many. */
  count: number
  /** How many of those were not read. */
  unread: number
  /** False where there are more than `count`. */
  exact: boolean
}

/** What went wrong: a problem document (RFC 9457), media type `application/problem+json`; over WebSocket the `data` of an `error` frame. Act on `code`: every code is listed in `errors.json`. Some codes bring members of their own beside these. */
export type Problem = {
  /** `urn:pxbox:problem:<code>`. */
  type: string
  /** The meaning of the code, always the same for it. */
  title: string
  /** The HTTP status, also over WebSocket. */
  status: number
  /** What went wrong, for programs. */
  code: string
  /** What went wrong this time, in words for a person. */
  detail: string
  /** Whether the same call, repeated later, may succeed. */
  retryable: boolean
  /** What is wrong inside the document that was sent; at most 100. */
  errors?: (ErrorItem)[]
  /** With `claimed_by_other`: the entity that holds the claim. */
  holder?: Uuid
  /** With `claimed_by_other`: when its lease lapses. */
  claimExpiresAt?: string
  /** With `wrong_status`, `not_answered` and `no_response`: the status of the request. */
  requestStatus?: Status
  /** With `wrong_status`: who closed it. */
  closedBy?: string
  /** With `wrong_status`: when it was closed. */
  closedAt?: string
  /** With `wrong_status`: the status of the flow. */
  flowStatus?: FlowStatus
  /** With `stale_checkpoint`: the revision of the flow. */
  revision?: number
  /** With `flow_parked`: the code of the reason. */
  parked?: string
  /** With `forbidden`: the scopes of which one is needed. */
  scopes?: (string)[]
  /** With `unknown_addressee` and `address_taken`: the address. */
  address?: string
  /** With `invalid_ack`: the newest number that was sent. */
  sent?: number
  /** With `invalid_time` of a snooze: the latest time that can be. */
  nearest?: string
  /** With `invalid_time`: the deadline that it must be before. */
  deadlineAt?: string
}

/** Something that happened. Later versions may add types: ignore those you do not know. */
export type Event = RequestCreatedEvent | RequestClaimedEvent | RequestReleasedEvent | RequestAnsweredEvent | RequestDeclinedEvent | RequestCancelledEvent | RequestExpiredEvent | RequestAttentionEvent | RequestDeadlineNearEvent | RequestReassignedEvent | RequestDelegatedEvent | RequestEscalatedEvent | RequestReminderEvent | InboxStateEvent | MembershipAddedEvent | MembershipRemovedEvent | FlowCreatedEvent | FlowUpdatedEvent | FlowCompletedEvent | FlowFailedEvent | FlowCancelledEvent | FlowRunnableEvent

/** Where a flow stands. `RUNNING`: somebody is to run it. `WAITING_INPUT`: it waits for a person. `SUSPENDED`: it waits for something else. The others are final, but for a `FAILED` one that is retried. */
export type FlowStatus = "RUNNING" | "WAITING_INPUT" | "SUSPENDED" | "COMPLETED" | "CANCELLED" | "FAILED"

/** A request was created. */
export type RequestCreatedEvent = RequestEvent & {
  type?: "request.created"
  status?: "PENDING"
}

/** A responder took the request, or renewed its lease. */
export type RequestClaimedEvent = RequestEvent & {
  type?: "request.claimed"
  status?: "CLAIMED"
  claim?: Record<string, unknown>
}

/** The claim ended: given back, taken away, or lapsed. */
export type RequestReleasedEvent = RequestEvent & {
  type?: "request.released"
  status?: "PENDING"
  claim?: null
}

/** The request was answered. Read the answer with getResponse. */
export type RequestAnsweredEvent = RequestEvent & {
  type?: "request.answered"
  status?: "ANSWERED"
  claim?: null
}

/** A candidate declined. The request is closed if the status is `DECLINED`; otherwise others may still answer. */
export type RequestDeclinedEvent = RequestEvent & {
  type?: "request.declined"
  status?: "PENDING" | "CLAIMED" | "DECLINED"
}

/** The asker withdrew the request. */
export type RequestCancelledEvent = RequestEvent & {
  type?: "request.cancelled"
  status?: "CANCELLED"
  claim?: null
}

/** The deadline passed before an answer came. */
export type RequestExpiredEvent = RequestEvent & {
  type?: "request.expired"
  status?: "EXPIRED"
  claim?: null
}

/** `attentionAt` came and the request is still open. Nothing else changed. */
export type RequestAttentionEvent = RequestEvent & {
  type?: "request.attention"
  status?: "PENDING" | "CLAIMED"
}

/** The deadline is an hour away and the request is still open. Sent only for requests that had more than an hour. Nothing else changed. */
export type RequestDeadlineNearEvent = RequestEvent & {
  type?: "request.deadline_near"
  status?: "PENDING" | "CLAIMED"
}

/** Others are asked instead; the claim, if there was one, ended. */
export type RequestReassignedEvent = RequestEvent & {
  type?: "request.reassigned"
  status?: "PENDING"
}

/** The claim was given to another user or bot, who is asked too. */
export type RequestDelegatedEvent = RequestEvent & {
  type?: "request.delegated"
  status?: "CLAIMED"
}

/** Nobody has answered for so long: others are asked too, or instead. The claim, if there was one, ended. */
export type RequestEscalatedEvent = RequestEvent & {
  type?: "request.escalated"
  status?: "PENDING"
}

/** The time until which the responder had snoozed the request has come. Only that responder is told. */
export type RequestReminderEvent = RequestEvent & {
  type?: "request.reminder"
}

/** An inquiry was read, snoozed, woken, deleted or restored, or marked as unread; perhaps in another window. */
export type InboxStateEvent = InboxEvent & {
  type?: "inbox.state"
}

/** The entity is a member of the group from now on: subscribe to the group's channel. */
export type MembershipAddedEvent = MembershipEvent & {
  type?: "membership.added"
}

/** The entity is no longer a member of the group: its subscription to the group's channel has ended. */
export type MembershipRemovedEvent = MembershipEvent & {
  type?: "membership.removed"
}

/** A flow was created. */
export type FlowCreatedEvent = FlowEvent & {
  type?: "flow.created"
  status?: "RUNNING"
}

/** A list would show the flow differently: it waits, goes on, was parked or retried, or its author says something else of it. */
export type FlowUpdatedEvent = FlowEvent & {
  type?: "flow.updated"
}

/** A flow has come to its end. */
export type FlowCompletedEvent = FlowEvent & {
  type?: "flow.completed"
  status?: "COMPLETED"
}

/** A flow has failed. */
export type FlowFailedEvent = FlowEvent & {
  type?: "flow.failed"
  status?: "FAILED"
}

/** A flow was cancelled. */
export type FlowCancelledEvent = FlowEvent & {
  type?: "flow.cancelled"
  status?: "CANCELLED"
}

/** A flow is to be run. Only workers of its kind are told, on `work:<kind>`. */
export type FlowRunnableEvent = WorkEvent & {
  type?: "flow.runnable"
}

/** A membership began or ended. */
export type MembershipEvent = {
  /** The event's id: `<groupId>.<version>.<n>`. */
  id: string
  /** What happened. */
  type: string
  /** The member. */
  entityId: Uuid
  /** The group or role. */
  groupId: Uuid
  /** The group's version after it. */
  version: number
  /** When it was committed. */
  at: string
  /** Who did it: the id of an entity, or the `sub` of a client. */
  actor: string | null
}

/** Something that happened to a flow, as it was right after it. Never its data: read that, with authorization. */
export type FlowEvent = {
  /** The event's id, the same on every channel: `<flowId>.<version>.<n>`. */
  id: string
  /** What happened. */
  type: string
  flowId: Ulid
  /** Counts the changes of this flow from 1. No other `version`: that of its code is read. */
  version: number
  kind: FlowKind
  /** The flow's status after it. */
  status: FlowStatus
  /** When it was committed. */
  at: string
  /** Who did it: the `sub` of a client; null: the flow itself. */
  actor: string | null
  /** What its author says of it. */
  text: string | null
  /** The entity that owns it. */
  owner: Uuid | null
  /** Why nobody runs it, as a code; null: it is not parked. */
  parked: string | null
}

/** News for workers of a kind. Nothing but `leaseFlows` says which flow is whose. */
export type WorkEvent = {
  /** The event's id. */
  id: string
  /** What happened. */
  type: string
  flowId: Ulid
  /** 0: what woke the flow need not have changed it. */
  version: number
  /** When it was committed. */
  at: string
}

/** What a flow does, as its author calls it: letters, digits, `.`, `_` and `-`, beginning with a letter or digit, at most 64 characters. */
export type FlowKind = string

/** Of the contract that this was made from. */
export const version = '1.0.0'
