"""What a responder makes of its inquiries: read, snoozed, deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import UNSET, UnsetType

from pxbox.model.wire.base import Ids, Input, Reply, RequestId


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
