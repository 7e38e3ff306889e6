"""Deadlines as people give them: a moment, or how long from now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

When = datetime | timedelta


def as_moment(when: When | None) -> datetime | None:
    """The moment meant. Raises ValueError for one without an offset: whose clock would it be?"""
    if when is None:
        return None
    if isinstance(when, timedelta):
        return datetime.now(UTC) + when
    if when.tzinfo is None:
        raise ValueError("a time needs a UTC offset, such as datetime.now(UTC)")
    return when
