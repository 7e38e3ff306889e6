"""A journal in memory: the same guards and numbers as a durable one, gone with the process."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import trio

from actors.journal import (
    AlarmFired,
    AlarmSet,
    Commit,
    Committed,
    Conflict,
    Event,
    Link,
    Message,
    Row,
)


class _Alarm(NamedTuple):
    generation: int
    due: datetime
    subject: str


class MemoryJournal:
    """An `actors.journal.Journal` for tests and for one process without durability.

    `clock` gives the journal's time, with a timezone. A commit whose id was applied already
    is not applied again and returns what it returned then. Everything is kept for ever.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._rows: dict[tuple[str, str], tuple[int, Mapping[str, object]]] = {}
        self._keys: dict[tuple[str, str], Mapping[str, object]] = {}
        self._alarms: dict[str, _Alarm] = {}
        self._links: dict[tuple[str, str], set[str]] = {}
        self._log: dict[str, list[Event]] = {}
        self._applied: dict[UUID, Committed] = {}
        self._outcomes: dict[str, Mapping[str, object]] = {}
        self._wakes: dict[str, int] = {}
        self._messages: dict[UUID, Message] = {}
        # One counter for all alarms: it also rises where an alarm was deleted in between.
        self._generation = 0

    async def commit(self, commit: Commit) -> Committed | Conflict:
        """Apply all of `commit` if its guards hold, else nothing; in one step, once it began."""
        await trio.lowlevel.checkpoint()
        if (applied := self._applied.get(commit.id)) is not None:
            return applied
        now = self._clock()
        conflict = next(self._failed_guards(commit, now), None)
        if conflict is not None:
            return conflict
        committed = Committed(now, self._append(commit.events))
        self._apply(commit)
        self._applied[commit.id] = committed
        return committed

    async def load(self, table: str, id: str) -> Mapping[str, object] | None:
        """Return the values of the row and its `version`; None if there is no such row."""
        await trio.lowlevel.checkpoint()
        stored = self._rows.get((table, id))
        if stored is None:
            return None
        version, values = stored
        return {**values, "version": version}

    async def confirm(self, table: str, id: str, version: int) -> bool:
        """Whether `version` is the stored one."""
        await trio.lowlevel.checkpoint()
        return self._version(table, id) == version

    def now(self) -> datetime:
        """Return the time of the journal's clock."""
        return self._clock()

    def events(self, channel: str) -> list[tuple[int, Event]]:
        """Return the log of `channel`, numbered from 1 without a gap (E1)."""
        return list(enumerate(self._log.get(channel, ()), start=1))

    def due_alarms(self, now: datetime) -> list[tuple[str, int, datetime, str]]:
        """Return (id, generation, due, subject) of the alarms due at `now`, oldest first."""
        due = [(name, *alarm) for name, alarm in self._alarms.items() if alarm.due <= now]
        return sorted(due, key=lambda alarm: (alarm[2], alarm[1]))

    def links(self, table: str, left: str) -> list[str]:
        """Return the members of the set `left`, sorted."""
        return sorted(self._links.get((table, left), ()))

    def held(self, space: str, key: str) -> Mapping[str, object] | None:
        """Return the values that are kept with a key; None if nobody holds it."""
        return self._keys.get((space, key))

    def outcome(self, wait: str) -> Mapping[str, object] | None:
        """Return the outcome that a wait has; None if it has none yet."""
        return self._outcomes.get(wait)

    def messages(self) -> list[Message]:
        """Return the messages that nobody has received yet, oldest first."""
        return list(self._messages.values())

    def _version(self, table: str, id: str) -> int | None:
        stored = self._rows.get((table, id))
        return None if stored is None else stored[0]

    def _failed_guards(self, commit: Commit, now: datetime) -> Iterator[Conflict]:
        for key in commit.keys:
            held = self._keys.get((key.space, key.key))
            if held is not None:
                yield Conflict("key", now, {"space": key.space, "key": key.key, **held})
        for row in commit.rows:
            version = self._version(row.table, row.id)
            if version != (None if row.version == 1 else row.version - 1):
                holds = {"table": row.table, "id": row.id, "version": version}
                yield Conflict("version", now, holds)
        if (commit.not_before is not None and now < commit.not_before) or (
            commit.not_after is not None and now >= commit.not_after
        ):
            yield Conflict("time", now, {})
        for alarm in commit.alarms:
            if isinstance(alarm, AlarmFired):
                stored = self._alarms.get(alarm.id)
                if stored is None or stored.generation != alarm.generation:
                    yield Conflict("fence", now, {"alarm": alarm.id})
        for message in commit.received:
            if message not in self._messages:
                yield Conflict("fence", now, {"message": str(message)})
        for row in commit.rows:
            yield from self._unexpected(row, now)

    def _unexpected(self, row: Row, now: datetime) -> Iterator[Conflict]:
        _, values = self._rows.get((row.table, row.id), (0, {}))
        stored = {**values, "wake": self._wakes.get(row.id, 0)}
        for column, expected in row.expects.items():
            if stored.get(column) != expected:
                yield Conflict("fence", now, {"table": row.table, "id": row.id, "column": column})

    def _append(self, events: tuple[Event, ...]) -> dict[str, tuple[int, ...]]:
        seqs: dict[str, tuple[int, ...]] = {}
        for event in events:
            for channel in event.channels:
                log = self._log.setdefault(channel, [])
                log.append(event)
                seqs[channel] = (*seqs.get(channel, ()), len(log))
        return seqs

    def _apply(self, commit: Commit) -> None:
        for row in commit.rows:
            self._write(row)
        for key in commit.keys:
            self._keys[key.space, key.key] = dict(key.values)
        for alarm in commit.alarms:
            if not isinstance(alarm, AlarmSet):
                self._alarms.pop(alarm.id, None)
        for alarm in commit.alarms:
            if isinstance(alarm, AlarmSet):
                self._generation += 1
                self._alarms[alarm.id] = _Alarm(self._generation, alarm.due, alarm.subject)
        for link in commit.links:
            members = self._links.setdefault((link.table, link.left), set())
            if isinstance(link, Link):
                members.add(link.right)
            else:
                members.discard(link.right)
        for settlement in commit.settlements:
            self._outcomes.setdefault(settlement.id, dict(settlement.outcome))
            if settlement.wakes:
                self._wakes[settlement.owner] = self._wakes.get(settlement.owner, 0) + 1
        for gone in commit.received:
            del self._messages[gone]
        for message in commit.messages:
            self._messages[message.id] = message

    def _write(self, row: Row) -> None:
        _, values = self._rows.get((row.table, row.id), (0, {}))
        self._rows[row.table, row.id] = (row.version, {**values, **row.values})
