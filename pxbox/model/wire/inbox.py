"""The inbox: its lists, their sections, and drafts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Raw

from pxbox.model.request import Status
from pxbox.model.wire.base import Input, PageSize, Reply, RequestId
from pxbox.model.wire.requests import RequestSummary


class PutDraft(RequestId):
    payload: Raw


class GetDraft(RequestId):
    pass


class DeleteDraft(RequestId):
    pass


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
