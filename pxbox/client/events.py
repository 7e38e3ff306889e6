"""What comes through a channel: events of known types, and gaps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, Struct

from pxbox.model.flow import OPEN_FLOW, FlowStatus
from pxbox.model.request import OPEN, Claim, Status


class Position(Struct, frozen=True):
    """How far a channel was dealt with. Keep it to go on from there, in another process too.

    Numbers of another epoch mean nothing: then a Gap comes.
    """

    epoch: str
    seq: int

    def newer_than(self, other: Position) -> bool:
        return self.epoch != other.epoch or self.seq > other.seq

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """What `str` has made of one. Raises ValueError."""
        epoch, _, seq = text.rpartition(":")
        if not epoch:
            raise ValueError(f"not a position: {text!r}")
        return cls(epoch, int(seq))


class Event(Struct, rename="camel", kw_only=True):
    """Something that happened. `id` is the same on every channel; `data` is all that was sent.

    It carries ids and what a list row shows, never an answer: read that by its id.
    """

    id: str
    type: str
    version: int
    at: datetime
    actor: str | None = None
    channel: str = ""
    position: Position = Position("", 0)
    raw: Raw = Raw(b"{}")

    @property
    def seq(self) -> int:
        return self.position.seq

    @property
    def data(self) -> dict[str, Any]:
        return msgspec.json.decode(self.raw, type=dict[str, Any])


class RequestEvent(Event, kw_only=True):
    """Of a request, as it was right after it."""

    request_id: str
    status: Status
    title: str | None = None
    requestor: str = ""
    to: list[str] = []
    deadline_at: datetime | None = None
    attention_at: datetime | None = None
    claim: Claim | None = None
    late_by: float | None = None

    @property
    def closes(self) -> bool:
        """Is the request closed now?"""
        return self.status not in OPEN


class MembershipEvent(Event, kw_only=True):
    """A membership began or ended."""

    entity_id: str
    group_id: str


class FlowEvent(Event, kw_only=True):
    """Of a flow, as it was right after it. `parked` says why, where it is."""

    flow_id: str
    kind: str
    status: FlowStatus
    text: str | None = None
    owner: str | None = None
    parked: str | None = None

    @property
    def closes(self) -> bool:
        """Has the flow ended?"""
        return self.status not in OPEN_FLOW


class InboxEvent(Event, kw_only=True):
    """What a responder has made of an inquiry, as it is after it."""

    request_id: str
    entity_id: str
    read: bool
    snoozed_until: datetime | None = None
    deleted: bool = False


class Gap(Struct, frozen=True, kw_only=True):
    """What was missed cannot be had: read anew what you keep, then go on after `position`.

    `reason` is `epoch` (the database was restored), `trimmed` (retention has removed a part) or
    `future` (the position was never reached).
    """

    channel: str
    reason: str
    position: Position

    @property
    def seq(self) -> int:
        return self.position.seq


_KINDS: dict[str, type[Event]] = {
    "flow": FlowEvent, "inbox": InboxEvent, "membership": MembershipEvent, "request": RequestEvent,
}  # fmt: skip
# What workers hear on `work:<kind>`: it tells of a flow, and not how it stands.
_WORK = "flow.runnable"


class _Type(Struct):
    type: str


def decode_event(channel: str, position: Position, data: bytes) -> Event:
    """An event as the type that its name says; one that is not known here as an Event.

    Raises ValueError where it is no event.
    """
    name = msgspec.json.decode(data, type=_Type).type
    kind = Event if name == _WORK else _KINDS.get(name.partition(".")[0], Event)
    event = msgspec.json.decode(data, type=kind)
    event.channel, event.position, event.raw = channel, position, Raw(bytes(data))
    return event
