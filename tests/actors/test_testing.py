"""The kit for tests of behaviors, used as such a test would use it."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import ActorCrashed, Address, Drop
from actors.journal import Commit, Conflict, Journal, JournalUnavailable, OutcomeUnknown, Row
from actors.testing import EPOCH, Failure, Point, Stage, open_stage, virtual_now

TALLY = Address("tally", "t")


class Tally:
    """Counts its messages durably: the reply is the count that was committed."""

    def __init__(self, address: Address, journal: Journal) -> None:
        self.id = address.id
        self.journal = journal
        self.version: int | None = None

    async def receive(self, message: object, /) -> object:
        if self.version is None:
            stored = await self.journal.load("tally", self.id)
            self.version = 0 if stored is None else int(str(stored["version"]))
        if message == "read":
            fresh = await self.journal.confirm("tally", self.id, self.version)
            return self.version if fresh else Drop("stale")
        row = Row("tally", self.id, self.version + 1, {})
        try:
            outcome = await self.journal.commit(Commit(uuid4(), rows=(row,)))
        except OutcomeUnknown as unknown:
            return Drop(error=unknown)
        if isinstance(outcome, Conflict):
            return Drop("stale")
        self.version += 1
        return self.version


def stage_tally(stage: Stage) -> None:
    stage.system.register("tally", lambda address: Tally(address, stage.journal))


async def test_nothing_is_lost_when_the_journal_fails_before_a_commit() -> None:
    async with open_stage() as stage:
        stage_tally(stage)
        assert await stage.system.ask(TALLY, "add", 1) == 1
        error = JournalUnavailable("away")
        stage.journal.fail(Point.BEFORE_COMMIT, error)
        with pytest.raises(ActorCrashed):
            await stage.system.ask(TALLY, "add", 1)
        assert stage.failures == [Failure(TALLY, error)]
        assert await stage.system.ask(TALLY, "add", 1) == 2


async def test_an_error_after_a_commit_is_a_lost_reply() -> None:
    async with open_stage() as stage:
        stage_tally(stage)
        stage.journal.fail(Point.AFTER_COMMIT, OutcomeUnknown("lost"), nth=2)
        assert await stage.system.ask(TALLY, "add", 1) == 1
        with pytest.raises(OutcomeUnknown):
            await stage.system.ask(TALLY, "add", 1)
        assert await stage.system.ask(TALLY, "add", 1) == 3
        assert stage.failures == []


async def test_another_process_can_win_between_the_decision_and_the_commit() -> None:
    async with open_stage() as stage:
        stage_tally(stage)

        async def win() -> None:
            await stage.memory.commit(Commit(uuid4(), rows=(Row("tally", TALLY.id, 1, {}),)))

        stage.journal.at(Point.BEFORE_COMMIT, win)
        assert await stage.system.ask(TALLY, "add", 1) == "stale"
        assert await stage.system.ask(TALLY, "add", 1) == 2


async def test_a_commit_can_be_held_up(autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        stage_tally(stage)
        go_on = trio.Event()
        stage.journal.at(Point.AFTER_COMMIT, go_on.wait)
        with trio.move_on_after(1):
            await stage.system.ask(TALLY, "add", 10)
        assert await stage.memory.confirm("tally", TALLY.id, 1)
        assert stage.system.stats()["tally"].active == 1
        go_on.set()
        assert await stage.system.ask(TALLY, "add", 10) == 2


@pytest.mark.parametrize("point", [Point.BEFORE_LOAD, Point.BEFORE_CONFIRM])
async def test_reading_can_fail_too(point: Point) -> None:
    async with open_stage() as stage:
        stage_tally(stage)
        stage.journal.fail(point, JournalUnavailable("away"))
        with pytest.raises(ActorCrashed):
            await stage.system.ask(TALLY, "read", 1)
        assert await stage.system.ask(TALLY, "add", 1) == 1
        assert await stage.system.ask(TALLY, "read", 1) == 1


async def test_each_point_is_counted() -> None:
    async with open_stage() as stage:
        stage_tally(stage)
        for _ in range(3):
            await stage.system.ask(TALLY, "add", 1)
        counts = {point: stage.journal.passed(point) for point in Point}
        assert counts == {
            Point.BEFORE_LOAD: 1,
            Point.BEFORE_CONFIRM: 0,
            Point.BEFORE_COMMIT: 3,
            Point.AFTER_COMMIT: 3,
        }
        with pytest.raises(ValueError, match="first"):
            stage.journal.at(Point.BEFORE_COMMIT, wait_all_tasks_blocked, nth=0)


async def test_the_journal_keeps_the_time_of_the_test(autojump_clock: MockClock) -> None:
    async with open_stage() as stage:
        before = stage.journal.now()
        await trio.sleep(90)
        assert stage.journal.now() - before == timedelta(seconds=90)
        assert virtual_now() == stage.memory.now() == EPOCH + timedelta(seconds=trio.current_time())
