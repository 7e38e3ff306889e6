"""What travels: the inputs and replies of every operation, the same over both transports.

The contract in `schemas/` is the authority; the tests hold these types to its examples.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from pxbox.model.entity import EntityKind
from pxbox.model.request import Claim, Status

Text = Annotated[str, Meta(min_length=1, max_length=256)]
Reason = Annotated[str, Meta(max_length=4096)]
PageSize = Annotated[int, Meta(ge=1, le=200)]


class Input(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """What an operation takes: path, query and body of REST in one, or `data` of a `cmd`."""


class Reply(Struct, rename="camel", kw_only=True):
    """What an operation gives back."""


class EntityRef(Input):
    """An addressee by `id` or by `handle` (exactly one)."""

    id: str | UnsetType = UNSET
    handle: str | UnsetType = UNSET


class CreateRequest(Input):
    """Ask an entity for data.

    Exactly one of `entity` and `to`. `claim_ttl` is in seconds. `expires_at` is another name of
    `deadline_at` (S8); `deadline_in` stands for it, in seconds from now.
    """

    schema: Raw
    entity: EntityRef | UnsetType = UNSET
    to: str | list[str] | UnsetType = UNSET
    schema_kind: str = "jsonschema"
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
    # Named in the contract, not built yet: answered with `not_supported`.
    files_policy: Any = UNSET
    subject_key: Any = UNSET
    why: Any = UNSET
    context: Any = UNSET
    escalate: Any = UNSET
    no_self_answer: Any = UNSET
    default_answer: Any = UNSET
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
    # Named in the contract, not built yet.
    files: Any = UNSET
    draft: Any = UNSET


class DeclineRequest(RequestId):
    reason: Reason | None = None


class CancelRequest(RequestId):
    reason: Reason | None = None


class ListRequestEvents(RequestId):
    since: Annotated[int, Meta(ge=0)] = 0
    limit: PageSize = 100


class Validate(Input):
    """Check a schema, or `data` against it. Nothing is created."""

    schema: Raw
    data: Raw | UnsetType = UNSET


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
    requestor: str | None = None
    q: Annotated[str, Meta(max_length=256)] | None = None
    sort_by: Literal["deadline", "created"] = "deadline"
    limit: PageSize = 50
    cursor: str | None = None
    # Named in the contract, not built yet.
    unread: Any = UNSET
    include_deleted: Any = UNSET
    snoozed: Any = UNSET
    flow_id: Any = UNSET
    tag: Any = UNSET
    due_before: Any = UNSET
    due_after: Any = UNSET


class CreateTicket(Input):
    """Make a ticket for a browser's WebSocket."""


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


class RequestCreated(RequestSummary):
    request_id: str


class RequestDetail(RequestSummary):
    schema_kind: str
    schema_payload: Raw
    schema_hash: str
    ui_hints: Raw
    prefill: Raw
    meta: Raw


class BulkItem(Reply, omit_defaults=True):
    """The outcome of one item: `request`, or the `error` that it alone got."""

    index: int
    request: RequestCreated | Raw | UnsetType = UNSET
    error: dict[str, Any] | UnsetType = UNSET


class BulkCreated(Reply):
    created: int
    failed: int
    items: list[BulkItem]


class Response(Reply):
    """An accepted answer; it never changes."""

    id: str
    response_id: str
    request_id: str
    payload: Raw
    answered_by: str
    answered_at: datetime


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


class ErrorItem(Reply):
    pointer: str
    message: str
    keyword: str


class Validated(Reply):
    """The schema is admissible; `valid` speaks of `data`, and is true where none was given."""

    valid: bool
    schema_hash: str
    draft: str
    errors: list[ErrorItem]


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


class RequestPage(Reply):
    """A page of a list and where its channels stood before it was read (E6)."""

    items: list[RequestSummary]
    total: int
    next_cursor: str | None
    epoch: str
    positions: dict[str, int]


class Ticket(Reply):
    """Opens one WebSocket, once, until `expires_at`."""

    ticket: str
    expires_at: datetime
