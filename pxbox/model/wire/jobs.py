"""Retention, export and erasure."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Raw

from pxbox.model.request import Status
from pxbox.model.wire.base import Input, PageSize, Reply
from pxbox.model.wire.requests import RequestSummary


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
