"""Identifiers: ULIDs for what is made often, UUIDs for entities and commits."""

from __future__ import annotations

import os
import re
import time
import uuid

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_SHIFTS = range(120, -1, -10)
_ULID = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")


def new_ulid() -> str:
    """A new ULID: 48 bits of milliseconds, then 80 random bits, as 26 Crockford base 32 digits.

    Source: github.com/ulid/spec.
    """
    value = (time.time_ns() // 1_000_000 << 80) | int.from_bytes(os.urandom(10))
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])


def is_ulid(text: str) -> bool:
    return _ULID.match(text) is not None


def new_uuid() -> str:
    """A new random UUID in its canonical text form."""
    return str(uuid.uuid4())


def as_uuid(text: str) -> str | None:
    """The canonical form of `text` if it is a UUID, else None."""
    try:
        return str(uuid.UUID(text)) if len(text) in (32, 36) else None
    except ValueError:
        return None
