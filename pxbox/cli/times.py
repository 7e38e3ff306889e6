"""Times as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from pxbox.cli.exits import CommandFailed, Exit

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"([0-9]{1,9})([smhdw])")
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_UNITS_SHOWN = 2
_MINUTE = 60
_LONGEST = timedelta(days=3_650)
"""Source: schemas/v1/CreateRequest.json, `deadlineIn`."""


def read_moment(text: str, what: str) -> datetime | timedelta:
    """A time from now (`90s`, `2h`, `1d12h`), or a moment with its offset (RFC 3339).

    Raises CommandFailed, which names `what` it was for.
    """
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        total = sum((timedelta(**{_UNITS[u]: int(n)}) for n, u in parts), timedelta())
        if timedelta() < total <= _LONGEST:
            return total
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise CommandFailed(
            f"{what} must be a time from now, such as 30m, 2h or 1d12h, or a moment such as "
            f"2031-01-31T12:00:00Z, not {text[:40]!r}.",
            Exit.WRONG_CALL,
        )
    return moment


def shown(moment: datetime, now: datetime | None = None) -> str:
    """A moment in the reader's own zone, and how far away it is."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M} ({distance(moment, now)})"


def distance(moment: datetime, now: datetime | None = None) -> str:
    """How far away a moment is, in its two largest units: `in 1 h 59 min`, `5 min ago`."""
    seconds = round((moment - (now or datetime.now(UTC))).total_seconds())
    text = _in_words(abs(seconds))
    if not text:
        return "now"
    return f"in {text}" if seconds > 0 else f"{text} ago"


def lasting(time: timedelta) -> str:
    """How long something took, in its two largest units; a short time to the tenth of a second."""
    seconds = time.total_seconds()
    return f"{seconds:.1f} s" if seconds < _MINUTE else _in_words(round(seconds))


def _in_words(left: int) -> str:
    parts: list[str] = []
    for size, unit in _STEPS:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
        if parts and (not count or len(parts) == _UNITS_SHOWN):
            break
    return " ".join(parts)
