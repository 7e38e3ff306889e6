"""Channels: numbered events, and what is known of a channel's numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple


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


@dataclass(frozen=True, slots=True)
class Position:
    """Everything up to the event `seq` of this epoch (E4)."""

    epoch: str
    seq: int


class Place(NamedTuple):
    """What one acknowledgement is about: a client, its name for a session, a channel (E8)."""

    sub: str
    session: str
    channel: str


Joining = Callable[[list[bytes]], bytes]


class Several:
    """What is sent of several events that follow each other; how readers have them joined is made
    once, for all that have it in the same way."""

    def __init__(self, encoded: list[bytes]) -> None:
        self.encoded = encoded
        self._made: dict[Joining, bytes] = {}

    def joined(self, join: Joining) -> bytes:
        made = self._made.get(join)
        if made is None:
            made = self._made[join] = join(self.encoded)
        return made
