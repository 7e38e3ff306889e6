"""The alarm clock fires what is due, once and in time, whatever goes wrong with one (S10)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.testing import EPOCH, virtual_now
from pxbox.behaviors.alarm import INVISIBLE, MOST_AT_ONCE, AlarmClock, DueAlarm
from tests.actors.behaviors import run_virtual

SECOND = timedelta(seconds=1)


@dataclass
class Alarm:
    id: str
    due: datetime
    generation: int = 1
    subject: str = "request:r"


@dataclass
class Alarms:
    """Alarms as a database keeps them: taken ones are invisible for a while."""

    set_: dict[str, Alarm] = field(default_factory=dict)
    visible_at: dict[str, datetime] = field(default_factory=dict)
    fired: list[tuple[str, datetime]] = field(default_factory=list)
    slow: dict[str, float] = field(default_factory=dict)
    faults: dict[str, int] = field(default_factory=dict)
    down: int = 0
    most_at_once: int = 0
    failures: list[Exception] = field(default_factory=list)
    _firing: int = 0

    def add(self, id: str, due: datetime) -> None:
        self.set_[id] = Alarm(id, due)
        self.visible_at[id] = due

    async def take(self, most: int, invisible: timedelta) -> Sequence[DueAlarm]:
        await trio.lowlevel.checkpoint()
        if self.down:
            self.down -= 1
            raise OSError("no database")
        now = virtual_now()
        due = sorted(
            (alarm for id, alarm in self.set_.items() if self.visible_at[id] <= now),
            key=lambda alarm: alarm.due,
        )[:most]
        for alarm in due:
            self.visible_at[alarm.id] = now + invisible
        return due

    async def fire(self, alarm: DueAlarm) -> None:
        self._firing += 1
        self.most_at_once = max(self.most_at_once, self._firing)
        try:
            await trio.sleep(self.slow.get(alarm.id, 0))
            if self.faults.get(alarm.id, 0):
                self.faults[alarm.id] -= 1
                raise OSError("no outcome")
            del self.set_[alarm.id]
            self.fired.append((alarm.id, virtual_now()))
        finally:
            self._firing -= 1


@asynccontextmanager
async def running(alarms: Alarms) -> AsyncIterator[None]:
    clock = AlarmClock(alarms.take, alarms.fire, alarms.failures.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(clock.run)
        yield
        nursery.cancel_scope.cancel()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 60), max_size=30))
def test_every_alarm_fires_once_within_a_second(delays: list[float]) -> None:
    async def main() -> None:
        alarms = Alarms()
        for number, delay in enumerate(delays):
            alarms.add(f"a{number}", EPOCH + delay * SECOND)
        due = {id: alarm.due for id, alarm in alarms.set_.items()}
        async with running(alarms):
            await trio.sleep(62)
        assert sorted(id for id, _ in alarms.fired) == sorted(due)
        for id, at in alarms.fired:
            assert due[id] <= at <= due[id] + SECOND
        assert alarms.failures == []

    run_virtual(main)


async def test_one_that_takes_long_holds_up_no_other(autojump_clock: MockClock) -> None:
    alarms = Alarms(slow={"slow": 20.0})
    alarms.add("slow", virtual_now())
    alarms.add("next", virtual_now() + 2 * SECOND)
    async with running(alarms):
        await trio.sleep(3)
        assert [id for id, _ in alarms.fired] == ["next"]
        await trio.sleep(20)
        assert [id for id, _ in alarms.fired] == ["next", "slow"]


async def test_after_an_outage_the_oldest_go_first_and_few_at_once(
    autojump_clock: MockClock,
) -> None:
    alarms = Alarms()
    count = 5 * MOST_AT_ONCE
    for number in reversed(range(count)):
        alarms.add(f"{number:04}", virtual_now() - (count - number) * SECOND)
        alarms.slow[f"{number:04}"] = 0.01
    async with running(alarms):
        await trio.sleep(1)
    order = [int(id) for id, _ in alarms.fired]
    assert sorted(order) == list(range(count))
    # Those under way together may end in any order.
    assert all(abs(number - place) <= MOST_AT_ONCE for place, number in enumerate(order))
    assert alarms.most_at_once <= MOST_AT_ONCE


async def test_a_firing_that_failed_is_tried_again_later(autojump_clock: MockClock) -> None:
    alarms = Alarms(faults={"bad": 2})
    alarms.add("bad", virtual_now())
    alarms.add("good", virtual_now())
    async with running(alarms):
        await trio.sleep(1)
        assert [id for id, _ in alarms.fired] == ["good"]
        await trio.sleep(2 * INVISIBLE.total_seconds() + 2)
    assert [id for id, _ in alarms.fired] == ["good", "bad"]
    assert len(alarms.failures) == 2


async def test_the_clock_outlives_an_outage_of_the_database(autojump_clock: MockClock) -> None:
    alarms = Alarms(down=10)
    alarms.add("a", virtual_now())
    async with running(alarms):
        await trio.sleep(10)
    assert [id for id, _ in alarms.fired] == ["a"]
    assert len(alarms.failures) == 10


@pytest.mark.parametrize("stuck", [1, MOST_AT_ONCE // 2])
async def test_many_that_are_stuck_leave_room_for_others(
    autojump_clock: MockClock, stuck: int
) -> None:
    alarms = Alarms(slow={f"stuck {n}": 1000.0 for n in range(stuck)})
    for id in alarms.slow:
        alarms.add(id, virtual_now())
    async with running(alarms):
        await trio.sleep(1)
        for number in range(20):
            alarms.add(f"a{number}", virtual_now() + number * SECOND)
        await trio.sleep(22)
    assert len(alarms.fired) == 20
