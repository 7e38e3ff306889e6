"""The trail: who did what, when, for whom."""

from __future__ import annotations

from datetime import datetime

from msgspec import Raw

from pxbox.model.request import Status
from pxbox.model.wire.base import Input, PageSize, Reply, RequestId


class GetRequestTimeline(RequestId):
    limit: PageSize = 100
    cursor: str | None = None


class GetEntityTimeline(Input):
    """`id` is any address."""

    id: str
    limit: PageSize = 100
    cursor: str | None = None


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
