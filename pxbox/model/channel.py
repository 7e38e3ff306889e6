"""Channels: numbered events, and what is known of a channel's numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a channel: its number there and its data, encoded."""

    seq: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the log of a channel holds: `floor` + 1 to `head`; head 0: no event yet."""

    floor: int
    head: int
