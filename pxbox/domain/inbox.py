"""What a responder may do with an inquiry in its own inbox, and what the inbox's sections are.

Pure. The law is in `schemas/README.md`, "The inbox".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from msgspec.structs import replace

from pxbox.model.mark import Mark


class Touch(StrEnum):
    """What needs no look at the request itself; snoozing does (`domain.request.Snooze`)."""

    MARK_READ = "markRead"
    MARK_UNREAD = "markUnread"
    DELETE = "delete"
    RESTORE = "restore"


@dataclass(frozen=True, slots=True)
class Thresholds:
    """How near a deadline must be for an inquiry to need attention, and to be due soon."""

    attention: timedelta = timedelta(hours=1)
    due_soon: timedelta = timedelta(hours=24)


class Section(StrEnum):
    ATTENTION = "attention"
    DUE_SOON = "dueSoon"
    PENDING = "pending"


def touched(mark: Mark, touch: Touch) -> Mark | None:
    """`mark` after it, as its next version; None where its goal already holds."""
    match touch:
        case Touch.MARK_READ:
            after = replace(mark, read=True)
        case Touch.MARK_UNREAD:
            after = replace(mark, read=False)
        case Touch.DELETE:
            after = replace(mark, deleted=True)
        case Touch.RESTORE:
            after = replace(mark, deleted=False)
    return None if after == mark else _next(after)


def snoozed(mark: Mark, until: datetime | None) -> Mark:
    """`mark` snoozed until then, or (None) no more."""
    return _next(replace(mark, snoozed_until=until))


def _next(mark: Mark) -> Mark:
    return replace(mark, version=mark.version + 1)
