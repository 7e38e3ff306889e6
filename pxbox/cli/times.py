"""Times as people write and read them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta

from pxbox.cli.exits import CommandFailed, Exit

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"([0-9]{1,9})([smhdw])")
_OF_DAY = re.compile(r"[0-9]{2}:[0-9]{2}")
_DAY = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}|[0-9]{4}-?W[0-9]{2}(-?[0-9])?")
_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_UNITS_SHOWN = 2
_MINUTE = 60
_TEN_MINUTES = 600
_HOUR = 3_600
_LONGEST = timedelta(days=3_650)
"""Source: schemas/v1/CreateRequest.json, `deadlineIn`."""


def read_moment(text: str, what: str, now: datetime | None = None) -> datetime | timedelta:
    """A time from now (`90s`, `2h`, `1d12h`), a time of day to come (`17:30`), or a moment
    (RFC 3339). What has no offset is by the reader's own clock.

    Raises CommandFailed, which names `what` it was for.
    """
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        total = sum((timedelta(**{_UNITS[u]: int(n)}) for n, u in parts), timedelta())
        if timedelta() < total <= _LONGEST:
            return total
    here = (now or datetime.now(UTC)).astimezone()
    moment = _next(text, here) if _OF_DAY.fullmatch(text) else _moment(text)
    if moment is None:
        raise CommandFailed(
            f"{what} must be a time from now, such as 30m, 2h or 1d12h, a time of day, such as "
            f"17:30, or a moment, such as 2031-01-31T12:00, not {text[:40]!r}.",
            Exit.WRONG_CALL,
        )
    return moment


def _next(text: str, now: datetime) -> datetime | None:
    """When the clock shows that next."""
    try:
        at = time.fromisoformat(text)
    except ValueError:
        return None
    today = now.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    return today if today > now else today + timedelta(days=1)


def _moment(text: str) -> datetime | None:
    """A day without a time is none: its begin or its end could be meant."""
    if _DAY.fullmatch(text):
        return None
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        return None


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


def brief(moment: datetime, now: datetime | None = None) -> str:
    """The same as a column has it: `in 1h59m`, `in 12m`, `in 4m10s`, `5m ago`.

    How long ago a thing was matters less: that has one unit.
    """
    left = round((moment - (now or datetime.now(UTC))).total_seconds())
    if not left:
        return "now"
    exact = left > 0 and not _TEN_MINUTES <= left < _HOUR
    parts = _parts(abs(left))[: _UNITS_SHOWN if exact else 1]
    text = "".join(f"{count}{unit[0]}" for count, unit in parts)
    return f"in {text}" if left > 0 else f"{text} ago"


def lasting(span: timedelta) -> str:
    """How long something took, in its two largest units; a short time to the tenth of a second."""
    seconds = span.total_seconds()
    return f"{seconds:.1f} s" if seconds < _MINUTE else _in_words(round(seconds))


def _in_words(left: int) -> str:
    return " ".join(f"{count} {unit}" for count, unit in _parts(left))


def _parts(left: int) -> list[tuple[int, str]]:
    """The two largest units, or the one where the next is zero."""
    parts: list[tuple[int, str]] = []
    for size, unit in _STEPS:
        count, left = divmod(left, size)
        if count:
            parts.append((count, unit))
        if parts and (not count or len(parts) == _UNITS_SHOWN):
            break
    return parts
