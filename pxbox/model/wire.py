"""What travels: the inputs and replies of every operation, the same over both transports.

The contract in `schemas/` is the authority; the tests hold these types to its examples.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType, field

from pxbox.model.entity import EntityKind
from pxbox.model.request import Claim, Status

Text = Annotated[str, Meta(min_length=1, max_length=256)]
Reason = Annotated[str, Meta(max_length=4096)]
HandOverReason = Annotated[str, Meta(max_length=256)]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]
Ids = Annotated[list[str], Meta(min_length=1, max_length=1000)]
PageSize = Annotated[int, Meta(ge=1, le=200)]
SchemaKind = Literal["jsonschema", "jsonexample", "ref"]


class Input(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What an operation takes: path, query and body of REST in one, or `data` of a `cmd`."""


class Reply(Struct, rename="camel", kw_only=True):
    """What an operation gives back."""


class EntityRef(Input):
    """An addressee by `id` or by `handle` (exactly one)."""

    id: str | UnsetType = UNSET
    handle: str | UnsetType = UNSET


class EscalationStep(Input):
    """Whom to ask `after` so many seconds without an answer: too, or (`replace`) instead."""

    after: Annotated[int, Meta(ge=1, le=31_536_000)]
    to: str | list[str]
    replace: bool = False


class FilesPolicy(Input):
    """Which files an answer may refer to. A megabyte (MB) is 1,048,576 bytes; empty `mime` or
    `extensions` admit any."""

    max_file_mb: Annotated[int, Meta(ge=1, le=102_400)] = field(default=25, name="maxFileMB")
    max_total_mb: Annotated[int, Meta(ge=1, le=1_048_576)] = field(default=100, name="maxTotalMB")
    max_files: Annotated[int, Meta(ge=1, le=64)] = 10
    mime: Annotated[list[Text], Meta(max_length=64)] = []
    extensions: Annotated[list[Text], Meta(max_length=64)] = []


class CreateRequest(Input):
    """Ask an entity for data.

    Exactly one of `entity` and `to`. `claim_ttl` and `deadline_near` are in seconds. `expires_at`
    is another name of `deadline_at` (S8); `deadline_in` stands for it, in seconds from now.
    """

    schema: Raw
    entity: EntityRef | UnsetType = UNSET
    to: str | list[str] | UnsetType = UNSET
    schema_kind: SchemaKind = "jsonschema"
    ui_hints: Raw = Raw(b"null")
    prefill: Raw = Raw(b"null")
    deadline_at: datetime | None = None
    expires_at: datetime | None = None
    deadline_in: Annotated[int, Meta(ge=1, le=315_360_000)] | None = None
    attention_at: datetime | None = None
    claim_ttl: Annotated[int, Meta(ge=1, le=2_592_000)] = 900
    claim_required: bool = False
    meta: dict[str, Any] | None = None
    flow_id: str | None = None
    subject_key: Text | None = None
    tags: Annotated[list[Tag], Meta(max_length=16)] = []
    why: Annotated[str, Meta(max_length=1000)] | None = None
    context: Annotated[str, Meta(max_length=16_384)] | None = None
    escalate: Annotated[list[EscalationStep], Meta(max_length=8)] = []
    no_self_answer: bool = False
    default_answer: Raw | UnsetType = UNSET
    deadline_near: Annotated[int, Meta(ge=0, le=2_592_000)] = 3600
    files_policy: FilesPolicy | UnsetType = UNSET
    # Named in the contract, not built yet: answered with `not_supported`.
    quorum: Any = UNSET


class BulkCreateRequests(Input):
    """Up to 1,000 requests; each item is judged on its own."""

    items: Annotated[list[Raw], Meta(min_length=1, max_length=1000)]


class RequestId(Input):
    id: str


class GetRequest(RequestId):
    pass


class GetResponse(RequestId):
    pass


class ClaimRequest(RequestId):
    pass


class ReleaseRequest(RequestId):
    pass


class PostResponse(RequestId):
    payload: Raw
    files: Annotated[list[str], Meta(max_length=64)] = []
    # Named in the contract, not built yet.
    draft: Any = UNSET


class DeclineRequest(RequestId):
    reason: Reason | None = None


class CancelRequest(RequestId):
    reason: Reason | None = None


class ReassignRequest(RequestId):
    """Ask `to` instead of all who were asked."""

    to: str | list[str]
    reason: HandOverReason | None = None


class DelegateRequest(RequestId):
    """Have the user or bot `to` hold the claim."""

    to: str
    reason: HandOverReason | None = None


class PutDraft(RequestId):
    payload: Raw


class GetDraft(RequestId):
    pass


class DeleteDraft(RequestId):
    pass


class MarkRead(RequestId):
    pass


class MarkUnread(RequestId):
    pass


class Snooze(RequestId):
    remind_at: datetime


class Wake(RequestId):
    pass


class DeleteInquiry(RequestId):
    pass


class RestoreInquiry(RequestId):
    pass


class UpdateInquiries(Input):
    """Do the same to up to 1,000 inquiries; each is judged on its own. `remind_at` comes with
    `snooze` and with nothing else."""

    action: Literal["markRead", "markUnread", "snooze", "wake", "delete", "restore"]
    ids: Ids
    remind_at: datetime | None = None


class ListRequestEvents(RequestId):
    since: Annotated[int, Meta(ge=0)] = 0
    limit: PageSize = 100


class ListRequests(Input):
    """What a client has asked: by default the caller. `reached` admits open ones alone."""

    status: Status | None = None
    reached: Literal["none", "notified", "seen", "opened"] | None = None
    tag: str | None = None
    requestor: str | None = None
    limit: PageSize = 50
    cursor: str | None = None


class GetRequestTimeline(RequestId):
    limit: PageSize = 100
    cursor: str | None = None


class GetEntityTimeline(Input):
    """`id` is any address."""

    id: str
    limit: PageSize = 100
    cursor: str | None = None


class RunRetention(Input):
    """Let go of requests that were answered, or closed without an answer, longer ago than this."""

    answered_days: Annotated[int, Meta(ge=0, le=36_500)] | None = None
    unanswered_days: Annotated[int, Meta(ge=0, le=36_500)] | None = None
    dry_run: bool = False
    cursor: str | None = None


class ExportRequests(Input):
    status: Status | None = None
    requestor: str | None = None
    tag: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    limit: PageSize = 200
    cursor: str | None = None


class EraseEntity(Input):
    """`id` is any address of a user or bot."""

    id: str
    dry_run: bool = False


class Validate(Input):
    """Check a schema, or `data` against it. Nothing is created."""

    schema: Raw
    schema_kind: SchemaKind = "jsonschema"
    data: Raw | UnsetType = UNSET


SchemaName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]


class PutSchema(Input):
    """Make the next version of a named schema, complete in itself."""

    name: SchemaName
    schema: Raw


class GetSchema(Input):
    """`version`: the latest where it is left out."""

    name: str
    version: Annotated[int, Meta(ge=1)] | None = None


class CreateEntity(Input):
    kind: EntityKind
    handle: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]
    aliases: Annotated[list[Text], Meta(max_length=16)] = []
    meta: dict[str, Any] = {}


class GetEntity(Input):
    """`id` is an id, a handle, or any other address."""

    id: str


class Member(Input):
    """`id` names the group or role, `member` the user or bot; both by any address."""

    id: str
    member: str


class ListQueue(Input):
    id: str
    limit: PageSize = 50
    cursor: str | None = None


class ListInquiries(Input):
    """`entity_id`: one of the caller's own entities; by default all of them."""

    entity_id: str | None = None
    status: Status | None = None
    section: Literal["attention", "dueSoon", "pending"] | None = None
    unread: bool | None = None
    include_deleted: bool = False
    snoozed: bool = False
    flow_id: str | None = None
    requestor: str | None = None
    tag: str | None = None
    due_before: datetime | None = None
    due_after: datetime | None = None
    q: Annotated[str, Meta(max_length=256)] | None = None
    sort_by: Literal["deadline", "created", "attention"] = "deadline"
    limit: PageSize = 50
    cursor: str | None = None


class SignFile(Input):
    """A file that the caller is about to upload for its answer to a request; `size` in bytes."""

    request_id: str
    name: str
    content_type: str
    size: Annotated[int, Meta(ge=0)]


class CreateTicket(Input):
    """Make a ticket for a browser's WebSocket."""


class SignIn(Input):
    """Sign a browser in: by a link, by a token, or (neither) as who makes the call."""

    link: Annotated[str, Meta(max_length=4096)] | None = None
    token: Annotated[str, Meta(max_length=8192)] | None = None


class RequestSummary(Reply):
    """A request as a list shows it."""

    id: str
    status: Status
    version: int
    title: str | None
    requestor: str
    to: list[str]
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime | None
    attention_at: datetime | None
    claim_ttl: int
    claim_required: bool
    claim: Claim | None
    closed_at: datetime | None
    closed_by: str | None
    reason: str | None
    response_id: str | None
    tags: list[str]


class RequestCreated(RequestSummary):
    """`existing`: an open request with the same subject, returned instead of a second one.

    `schema_payload` is there where something else than a JSON Schema was given for one, `warnings`
    where there are any.
    """

    request_id: str
    existing: bool
    schema_payload: Raw | UnsetType = UNSET
    warnings: list[ErrorItem] | UnsetType = UNSET


class Delivery(Reply):
    """How far a request has got to those who are asked, as far as is known: `reached` is `none`,
    `notified`, `seen` or `opened`."""

    reached: str
    notified_at: datetime | None
    seen_at: datetime | None
    opened_at: datetime | None


class AskedRequest(RequestSummary):
    """A request as its asker's list shows it."""

    delivery: Delivery


class AskedPage(Reply):
    """A page of what a client has asked, and where its channel stood before it was read (E6)."""

    items: list[AskedRequest]
    next_cursor: str | None
    epoch: str
    positions: dict[str, int]


class FilesPolicyView(Reply):
    """The whole policy: what its asker did not say is filled in."""

    max_file_mb: int = field(name="maxFileMB")
    max_total_mb: int = field(name="maxTotalMB")
    max_files: int
    mime: list[str]
    extensions: list[str]


class RequestDetail(RequestSummary):
    schema_kind: str
    schema_payload: Raw
    schema_hash: str
    ui_hints: Raw
    prefill: Raw
    meta: Raw
    why: str | None
    context: str | None
    # For the asker; responders do not see who has looked.
    delivery: Delivery | None
    # For a responder: what it has made of it.
    inquiry: InquiryState | None
    files_policy: FilesPolicyView | None = None


class BulkItem(Reply, omit_defaults=True):
    """The outcome of one item: `request`, or the `error` that it alone got."""

    index: int
    request: RequestCreated | Raw | UnsetType = UNSET
    error: dict[str, Any] | UnsetType = UNSET


class BulkCreated(Reply):
    created: int
    failed: int
    items: list[BulkItem]


class FileView(Reply):
    """A file that was uploaded; `url` downloads it for some minutes."""

    id: str
    name: str
    size: int
    mime: str
    sha256: str
    url: str


class FileSigned(Reply):
    """Where the file is to be uploaded, beginning before `expires_at`."""

    file_id: str
    put_url: str
    get_url: str
    expires_at: datetime


class Response(Reply, omit_defaults=True):
    """An accepted answer; it never changes, but for the URLs of its files. `answered_by` is None
    where it is the default."""

    id: str
    response_id: str
    request_id: str
    payload: Raw
    answered_by: str | None
    answered_at: datetime
    files: list[FileView] = []


class LoggedEvent(Reply):
    """An event with its number on the channel it was read from."""

    seq: int
    data: Raw


class EventPage(Reply):
    """Events after `since`, oldest first; `head` is the channel's newest number (E5).

    `floor` is the newest number that retention has removed, 0 if none.
    """

    channel: str
    epoch: str
    floor: int
    head: int
    items: list[LoggedEvent]


class TimelineEntry(Reply):
    """Something that was done: to which request or entity, when, by whom, and for whom.

    `client` and `token_id` are None for those who may not read the trail.
    """

    request_id: str | None
    entity_id: str | None
    version: int
    type: str
    status: Status | None
    at: datetime
    actor: str | None
    client: str | None
    token_id: str | None
    on_behalf_of: str | None
    detail: Raw


class Timeline(Reply):
    """`id` is that of the request or entity."""

    id: str
    items: list[TimelineEntry]
    next_cursor: str | None


class RetentionRound(Reply):
    """How many of those that a round has looked at were let go, or with `dry_run` would be."""

    dry_run: bool
    answered: int
    unanswered: int
    next_cursor: str | None


class ExportedAnswer(Reply):
    payload: Raw
    answered_by: str | None
    answered_at: datetime


class ExportedRequest(RequestSummary):
    meta: Raw
    answer: ExportedAnswer | None


class ExportPage(Reply):
    items: list[ExportedRequest]
    next_cursor: str | None


class Erased(Reply):
    """How much of the entity's was erased, or with `dry_run` would be."""

    id: str
    dry_run: bool
    answers: int
    drafts: int
    marks: int
    trail: int


class ErrorItem(Reply):
    pointer: str
    message: str
    keyword: str


class Validated(Reply):
    """The schema is admissible; `valid` speaks of `data`, and is true where none was given.

    `schema_payload` as in RequestCreated.
    """

    valid: bool
    schema_hash: str
    draft: str
    errors: list[ErrorItem]
    schema_payload: Raw | UnsetType = UNSET


class SchemaVersion(Reply):
    """A version of a named schema; it never changes. `ref` refers to it."""

    name: str
    version: int
    ref: str
    schema_hash: str
    schema_payload: Raw
    created_at: datetime
    created_by: str


class SchemaPut(SchemaVersion):
    """`existing`: the latest version is this schema already. `narrowed`: where it may refuse what
    the version before let through."""

    existing: bool
    narrowed: list[ErrorItem]


class EntityView(Reply):
    id: str
    kind: EntityKind
    handle: str
    address: str
    aliases: list[str]
    meta: Raw
    members: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class EntityCreated(EntityView):
    entity_id: str


class Membership(Reply):
    """Whether `member` is one of the members of `id` now; both are entity ids."""

    id: str
    member: str
    present: bool


class InquiryState(Reply):
    """What the caller's entity has made of an inquiry; `id` is its request's."""

    id: str
    version: int
    read: bool
    snoozed_until: datetime | None
    deleted: bool


class InquiryOutcome(Reply, omit_defaults=True):
    """The outcome of one item of a bulk: `inquiry`, or the `error` that it alone got."""

    id: str
    inquiry: InquiryState | UnsetType = UNSET
    error: dict[str, Any] | UnsetType = UNSET


class InquiriesUpdated(Reply):
    updated: int
    failed: int
    items: list[InquiryOutcome]


class Draft(Reply):
    """A form that is half filled in; nobody but its responder sees it."""

    request_id: str
    payload: Raw
    updated_at: datetime


class DraftDeleted(Reply):
    request_id: str


class RequestPage(Reply):
    """A page of a list and where its channels stood before it was read (E6).

    `total_exact` is False where there are more than `total`.
    """

    items: list[RequestSummary]
    total: int
    total_exact: bool
    next_cursor: str | None
    epoch: str
    positions: dict[str, int]


class Inquiry(RequestSummary):
    """A request as it lies in the caller's inbox."""

    read: bool
    snoozed_until: datetime | None
    deleted: bool
    why: str | None = None
    flow_id: str | None = None


class SectionCount(Reply):
    """`exact` is False where there are more than `count`."""

    count: int
    unread: int
    exact: bool


class InquirySections(Reply):
    attention: SectionCount
    due_soon: SectionCount
    pending: SectionCount


class InquiryPage(Reply):
    """A page of the inbox. `sections` comes with the first page."""

    items: list[Inquiry]
    total: int
    total_exact: bool
    sections: InquirySections | None
    next_cursor: str | None
    epoch: str
    positions: dict[str, int]


class Ticket(Reply):
    """Opens one WebSocket, once, until `expires_at`."""

    ticket: str
    expires_at: datetime


class Login(Reply):
    """Who has signed in with a browser; all but `signed_in` is empty where nobody has.

    `entity` is the id of whom it acts as, and `handle` the name of that one.
    """

    signed_in: bool
    sub: str | None
    entity: str | None
    handle: str | None
    scopes: list[str]
    expires_at: datetime | None
    renewable_until: datetime | None
