"""Requests: asked, claimed, answered, looked at."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Raw, UnsetType, field

from pxbox.model.request import Claim, Status
from pxbox.model.wire.base import (
    ErrorItem,
    HandOverReason,
    Input,
    PageSize,
    Reason,
    Reply,
    RequestId,
    SchemaKind,
    Tag,
    Text,
)
from pxbox.model.wire.files import FilesPolicy, FilesPolicyView, FileView
from pxbox.model.wire.marks import InquiryState


class EntityRef(Input):
    """An addressee by `id` or by `handle` (exactly one)."""

    id: str | UnsetType = UNSET
    handle: str | UnsetType = UNSET


class EscalationStep(Input):
    """Whom to ask `after` so many seconds without an answer: too, or (`replace`) instead."""

    after: Annotated[int, Meta(ge=1, le=31_536_000)]
    to: str | list[str]
    replace: bool = False


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
    tags: Annotated[list[Tag], Meta(max_length=16)] = field(default_factory=list)
    why: Annotated[str, Meta(max_length=1000)] | None = None
    context: Annotated[str, Meta(max_length=16_384)] | None = None
    escalate: Annotated[list[EscalationStep], Meta(max_length=8)] = field(default_factory=list)
    no_self_answer: bool = False
    default_answer: Raw | UnsetType = UNSET
    deadline_near: Annotated[int, Meta(ge=0, le=2_592_000)] = 3600
    files_policy: FilesPolicy | UnsetType = UNSET
    # Named in the contract, not built yet: answered with `not_supported`.
    quorum: Any = UNSET


class BulkCreateRequests(Input):
    """Up to 1,000 requests; each item is judged on its own."""

    items: Annotated[list[Raw], Meta(min_length=1, max_length=1000)]


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
    files: Annotated[list[str], Meta(max_length=64)] = field(default_factory=list)
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


class Response(Reply, omit_defaults=True):
    """An accepted answer; it never changes, but for the URLs of its files. `answered_by` is None
    where it is the default."""

    id: str
    response_id: str
    request_id: str
    payload: Raw
    answered_by: str | None
    answered_at: datetime
    files: list[FileView] = field(default_factory=list)


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
