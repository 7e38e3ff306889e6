"""Deadlines as people give them: a moment, or how long from now."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any


def aware(when: datetime | None) -> datetime | None:
    """The moment. Raises TypeError for what is none, and ValueError for one without an offset:
    whose clock would it be?"""
    if when is not None and not isinstance(when, datetime):
        raise TypeError(f"a time is a datetime, a deadline also a timedelta, not {when!r}")
    if when is not None and when.tzinfo is None:
        raise ValueError("a time needs a UTC offset, such as that of datetime.now(UTC)")
    return when


def deadline_of(when: datetime | timedelta | None) -> dict[str, Any]:
    """The member of createRequest that says so. Raises ValueError.

    A time from now is left to the broker's clock: it is the same whenever the question is repeated.
    """
    if isinstance(when, timedelta):
        return {"deadlineIn": math.ceil(when.total_seconds())}
    return {"deadlineAt": aware(when)}
