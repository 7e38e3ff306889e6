"""What clients note while things break."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that was repeated, under one key, until somebody decided it.

    `subject` is the request's id; of a create, the one that it was told. `code` is that of the
    refusal.
    """

    who: str
    op: str
    subject: str
    began: float
    ended: float
    outcome: Outcome
    reply: Mapping[str, Any] = field(default_factory=dict)
    code: str = ""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A watcher was told how it goes on: the next event is `after + 1`. `reason` is that of a
    `recovered: false`."""

    epoch: str
    asked: int
    after: int
    reason: str | None


@dataclass(frozen=True, slots=True)
class Saw:
    """A watcher was sent an event."""

    epoch: str
    seq: int
    id: str


@dataclass(slots=True)
class View:
    """All that one watcher was told of one channel, in order, over all its connections."""

    watcher: str
    channel: str
    told: list[Resumed | Saw] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """The number from which it would go on."""
        for one in reversed(self.told):
            return one.seq if isinstance(one, Saw) else one.after
        return 0


@dataclass(slots=True)
class History:
    commands: list[Command] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    seq: int
    id: str
    type: str


@dataclass(frozen=True, slots=True)
class Final:
    """What the database has when all is over.

    `statuses` by request; `answers` by request: the response's id; `logs` by channel, in order.
    """

    epoch: str
    statuses: Mapping[str, str]
    answers: Mapping[str, str]
    logs: Mapping[str, list[LoggedEvent]]
