"""A kit to test behaviors with: a system, a journal that can be made to fail, and their clock.

Time is trio's, so under `trio.testing.MockClock` it is virtual, and the journal's clock, the
askers' timeouts and the passivation move together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

import trio

from actors.address import Address
from actors.journal import Commit, Committed, Conflict, Journal
from actors.memory_journal import MemoryJournal
from actors.restarts import RestartLimit
from actors.system import System, open_system

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


def virtual_now() -> datetime:
    """Return `EPOCH` plus the seconds of trio's clock."""
    return EPOCH + timedelta(seconds=trio.current_time())


class Point(StrEnum):
    """A moment of a call of the journal, where a test can step in."""

    BEFORE_LOAD = "before load"
    BEFORE_CONFIRM = "before confirm"
    BEFORE_COMMIT = "before commit"
    AFTER_COMMIT = "after commit"


Action = Callable[[], Awaitable[None]]
"""What is done at a point: wait for something, commit something else first, raise."""


class StagedJournal:
    """Passes everything on to `journal`, and does at chosen points what a test asks for.

    After a commit means: it was applied, or refused, and the caller does not know yet. So an
    error there is a lost reply.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._actions: dict[tuple[Point, int], Action] = {}
        self._passed: Counter[Point] = Counter()

    def at(self, point: Point, action: Action, *, nth: int = 1) -> None:
        """Do `action` when `point` is reached for the `nth` time from now; 1 is the next."""
        if nth < 1:
            raise ValueError("the next time is the first")
        self._actions[point, self._passed[point] + nth] = action

    def fail(self, point: Point, error: Exception, *, nth: int = 1) -> None:
        """Raise `error` when `point` is reached for the `nth` time from now."""

        async def fail() -> None:
            raise error

        self.at(point, fail, nth=nth)

    def passed(self, point: Point) -> int:
        """Return how often `point` was reached."""
        return self._passed[point]

    async def commit(self, commit: Commit) -> Committed | Conflict:
        await self._reach(Point.BEFORE_COMMIT)
        outcome = await self._journal.commit(commit)
        await self._reach(Point.AFTER_COMMIT)
        return outcome

    async def load(self, table: str, id: str) -> Mapping[str, object] | None:
        await self._reach(Point.BEFORE_LOAD)
        return await self._journal.load(table, id)

    async def confirm(self, table: str, id: str, version: int) -> bool:
        await self._reach(Point.BEFORE_CONFIRM)
        return await self._journal.confirm(table, id, version)

    def now(self) -> datetime:
        return self._journal.now()

    async def _reach(self, point: Point) -> None:
        self._passed[point] += 1
        action = self._actions.pop((point, self._passed[point]), None)
        if action is not None:
            await action()


class Failure(NamedTuple):
    """What a system gave to its `on_crash`."""

    address: Address
    error: BaseException


@dataclass(frozen=True, slots=True)
class Stage:
    """A system with a journal. Behaviors get `journal`; `memory`, below it, is for reading."""

    system: System
    journal: StagedJournal
    memory: MemoryJournal
    failures: list[Failure]


@asynccontextmanager
async def open_stage(*, restarts: RestartLimit | None = None) -> AsyncIterator[Stage]:
    """Open a system and a journal on trio's clock; `failures` collects what fails."""
    memory = MemoryJournal(virtual_now)
    failures: list[Failure] = []

    def collect(address: Address, error: BaseException) -> None:
        failures.append(Failure(address, error))

    async with open_system(restarts=restarts, on_crash=collect) as system:
        yield Stage(system, StagedJournal(memory), memory, failures)
