"""Durable commits with guards: all of a transition, or nothing of it.

A behavior decides on what it knows, gives the journal one `Commit` that says so, and goes on
only from what the journal answers. Every implementation passes the suite in
`tests/suites/journal.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it is to be, guarded by the version that it was decided on (S2).

    Version 1 inserts, and the row must not exist. Any other version updates, and version - 1
    must be the stored one; columns that `values` does not name keep what they hold. `expects`
    are further columns that must hold just this, a guard of their own: `fence`.
    """

    table: str
    id: str
    version: int
    values: Mapping[str, object]
    expects: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.version < 1:
            raise ValueError("the versions of a row start at 1")


@dataclass(frozen=True, slots=True)
class Key:
    """A key to reserve, guarded: nobody may hold it. `values` are kept with it."""

    space: str
    key: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Event:
    """A fact to append to each of `channels`, which number it (E1)."""

    id: str
    channels: tuple[str, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class AlarmSet:
    """An alarm to set, or to replace, for `subject` at `due`.

    Each setting has a generation above all that any alarm of this id ever had (S10), also if
    it was cleared or fired in between: a firing that comes late never meets a newer alarm.
    """

    id: str
    due: datetime
    subject: str


@dataclass(frozen=True, slots=True)
class AlarmClear:
    """An alarm to delete; nothing happens if there is none."""

    id: str


@dataclass(frozen=True, slots=True)
class AlarmFired:
    """An alarm to delete, guarded: it must still exist at `generation` (S10)."""

    id: str
    generation: int


@dataclass(frozen=True, slots=True)
class Link:
    """`right` becomes a member of the set `left`; nothing happens if it is one."""

    table: str
    left: str
    right: str


@dataclass(frozen=True, slots=True)
class Unlink:
    """`right` is no member of the set `left` any more; nothing happens if it is none."""

    table: str
    left: str
    right: str


Alarm = AlarmSet | AlarmClear | AlarmFired


@dataclass(frozen=True, slots=True)
class Message:
    """A message to the actor `to` (`<kind>:<id>`), kept until a commit there receives it (S5)."""

    id: UUID
    to: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Settlement:
    """The wait `id` of `owner` gets its outcome, unless it has one already (F2).

    Unguarded, and it may come before the wait itself. `wakes`: the count `wake` of the owner's
    row rises by one, which a commit on it can expect to be what it has seen.
    """

    owner: str
    id: str
    outcome: Mapping[str, object]
    wakes: bool = True


@dataclass(frozen=True, slots=True)
class Commit:
    """Everything that one transition changes, and what must hold for it.

    The journal's clock must be at or after `not_before` and before `not_after` (S8), both with
    a timezone. Alarms that are cleared or have fired go before others are set, so one commit
    can fire an alarm and set it again. `received` are messages that end with this commit,
    guarded: each must still be there (`fence`). Raises ValueError for one that contradicts itself:
    a row, key or alarm that is named twice.
    """

    id: UUID
    rows: tuple[Row, ...] = ()
    keys: tuple[Key, ...] = ()
    events: tuple[Event, ...] = ()
    alarms: tuple[Alarm, ...] = ()
    links: tuple[Link | Unlink, ...] = ()
    settlements: tuple[Settlement, ...] = ()
    messages: tuple[Message, ...] = ()
    received: tuple[UUID, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None

    def __post_init__(self) -> None:
        if len(self.rows) > 1:
            _once("row", [(row.table, row.id) for row in self.rows])
        if len(self.keys) > 1:
            _once("key", [(key.space, key.key) for key in self.keys])
        if len(self.alarms) > 1:
            _once("alarm", [(isinstance(alarm, AlarmSet), alarm.id) for alarm in self.alarms])
        if len(self.links) > 1:
            _once("link", [(link.table, link.left, link.right) for link in self.links])


def _once(what: str, names: Sequence[object]) -> None:
    if len(set(names)) < len(names):
        raise ValueError(f"a commit names a {what} twice: {names}")


@dataclass(frozen=True, slots=True)
class Committed:
    """It is durable. `now` is when, by the journal's clock.

    `seqs` maps each channel to the numbers of this commit's events on it, in their order.
    """

    now: datetime
    seqs: Mapping[str, tuple[int, ...]]


Guard = Literal["version", "key", "time", "fence"]


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing of it was applied: `guard` did not hold at `now`, by the journal's clock.

    Of several, the first in the order key, version, time, fence. `holds` says what is so
    instead. key: `space`, `key` and the values kept with it; version: `table`, `id` and the
    stored `version`, None if there is no such row; fence: `alarm` or `message`, its id, or the
    `table`, `id` and `column` that held something else; time: nothing more.
    """

    guard: Guard
    now: datetime
    holds: Mapping[str, object]


class OutcomeUnknown(Exception):
    """The commit may have been applied or not; it is not going to be any more.

    Whatever was decided on must be loaded again.
    """


class CommitRefused(Exception):
    """What the commit says cannot be kept, whatever else is so. It was not applied, and never
    will be: a fault of whoever made it."""


class JournalFull(Exception):
    """Too many commits wait. This one was not applied; retry later."""


class JournalUnavailable(Exception):
    """The journal cannot be reached. The commit was not applied; retry later."""


class Journal(Protocol):
    """Where transitions become durable. Every method may raise JournalUnavailable."""

    async def commit(self, commit: Commit) -> Committed | Conflict:
        """Apply all of `commit` if all its guards hold, else nothing.

        Raises JournalFull, JournalUnavailable, CommitRefused (not applied) or OutcomeUnknown.
        When the caller is cancelled the outcome is unknown, too.
        """
        ...

    async def load(self, table: str, id: str) -> Mapping[str, object] | None:
        """Return the values of the row and its `version`; None if there is no such row."""
        ...

    async def confirm(self, table: str, id: str, version: int) -> bool:
        """Whether `version` was the stored one at some time after this call came in (S3)."""
        ...

    def now(self) -> datetime:
        """Return the best estimate of the journal's clock, without asking it."""
        ...
