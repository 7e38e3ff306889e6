"""Alarms fire once, and change what their time has changed (S8, S10)."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
from msgspec.structs import replace
from trio.testing import MockClock

from actors.journal import JournalUnavailable
from actors.testing import EPOCH, Point, virtual_now
from pxbox.model.errors import Unavailable
from pxbox.model.request import Status
from tests.behaviors.requests import TTL, Process, World, asked, open_world

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
CITY = {"city": "Rome"}


async def sleep_until(moment: timedelta) -> None:
    await trio.sleep((EPOCH + moment - virtual_now()).total_seconds())


async def fire_due(world: World, process: Process) -> int:
    """Fire every alarm that is due, oldest first; say how many that were."""
    due = world.due()
    for alarm in due:
        await process.fire(alarm)
    return len(due)


async def test_an_unanswered_request_is_told_of_its_times_and_expires(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked(deadline_at=EPOCH + DAY, attention_at=EPOCH + HOUR))
        for moment in (HOUR, DAY - HOUR, DAY):
            await sleep_until(moment - timedelta(seconds=1))
            assert await fire_due(world, process) == 0
            await sleep_until(moment + timedelta(seconds=2))
            assert await fire_due(world, process) == 1
        assert world.types() == ["created", "attention", "deadline_near", "expired"]
        assert [event["lateBy"] for event in world.told()[1:]] == [2.0, 2.0, 2.0]
        assert [event["actor"] for event in world.told()[1:]] == [None] * 3
        stored = await world.stored()
        assert (stored.status, stored.version) == (Status.EXPIRED, 4)
        assert stored.closed_at == EPOCH + DAY + timedelta(seconds=2)
        assert world.alarms() == {}


async def test_a_signal_changes_nothing_but_the_version(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked(attention_at=EPOCH + HOUR))
        await sleep_until(HOUR - timedelta(seconds=60))
        await process.claim("ada")
        before = await world.stored()
        await sleep_until(HOUR)
        assert await fire_due(world, process) == 1
        now = virtual_now()
        assert await world.stored() == replace(before, version=3, updated_at=now)
        assert world.types("entity:ada") == ["claimed", "attention"]
        assert world.alarms() == {"claim": EPOCH + HOUR + TTL - timedelta(seconds=60)}
        await process.claim("ada")
        assert set(world.alarms()) == {"claim"}, "what was signalled is not signalled again"


async def test_a_claimed_request_expires_too(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked(deadline_at=EPOCH + timedelta(minutes=5)))
        await process.claim("ada")
        await sleep_until(timedelta(minutes=5))
        await fire_due(world, process)
        assert (await world.stored()).status is Status.EXPIRED
        assert world.types("entity:ada") == ["claimed", "expired"]
        assert world.alarms() == {}


async def test_a_lapsed_claim_is_released(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked())
        await process.claim("ada")
        await sleep_until(TTL)
        await fire_due(world, process)
        stored = await world.stored()
        assert (stored.status, stored.claim, stored.lapsed) == (Status.PENDING, None, "ada")
        assert world.types() == ["created", "claimed", "released"]
        assert world.alarms() == {}


async def test_an_alarm_of_a_claim_that_was_renewed_since_does_nothing(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked())
        await process.claim("ada")
        await sleep_until(TTL)
        (taken,) = world.due()
        await process.answer("ada", CITY)
        before = await world.stored()
        await process.fire(taken)
        assert await world.stored() == before
        assert world.types() == ["created", "claimed", "released", "answered"]


@pytest.mark.parametrize("renewals", [1, 3])
async def test_a_late_firing_never_ends_a_newer_claim(
    autojump_clock: MockClock, renewals: int
) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked())
        await process.claim("ada")
        first = world.memory.due_alarms(EPOCH + DAY)[0]
        for _ in range(renewals):
            await trio.sleep(1)
            await process.claim("ada")
        await process.fire(first)
        assert (await world.stored()).status is Status.CLAIMED
        assert world.alarms() == {"claim": virtual_now() + TTL}


@pytest.mark.parametrize("attention", [False, True])
async def test_an_alarm_that_is_fired_twice_has_one_effect(
    autojump_clock: MockClock, attention: bool
) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        moment = {"attention_at" if attention else "deadline_at": EPOCH + HOUR}
        await here.create(asked(**moment))
        await sleep_until(HOUR)
        (alarm,) = world.due()
        for process in (here, here, there):
            await process.fire(alarm)
        assert world.types() == ["created", "attention" if attention else "expired"]


@pytest.mark.parametrize("attention", [False, True])
async def test_an_alarm_fired_by_two_processes_at_once_has_one_effect(
    autojump_clock: MockClock, attention: bool
) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        moment = {"attention_at" if attention else "deadline_at": EPOCH + HOUR}
        await here.create(asked(**moment))
        await sleep_until(HOUR)
        (alarm,) = world.due()

        async def first() -> None:
            await there.fire(alarm)

        here.journal.at(Point.BEFORE_COMMIT, first)
        await here.fire(alarm)
        assert world.types() == ["created", "attention" if attention else "expired"]
        assert world.alarms() == {}


async def test_a_command_that_finds_the_time_passed_leaves_nothing_to_fire(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked(deadline_at=EPOCH + DAY))
        await process.claim("ada")
        await sleep_until(TTL)
        (lapsing,) = world.due()
        await process.claim("bob")
        await process.fire(lapsing)
        assert world.types() == ["created", "claimed", "released", "claimed"]
        assert (await world.stored()).claim is not None
        assert world.alarms() == {
            "deadline": EPOCH + DAY,
            "near": EPOCH + DAY - HOUR,
            "claim": virtual_now() + TTL,
        }


async def test_after_an_outage_a_request_has_expired_and_says_how_late_that_is(
    autojump_clock: MockClock,
) -> None:
    """Both passed while nobody looked: it has expired, and nothing else is told any more."""
    world = open_world()
    async with world.process() as process:
        await process.create(asked(deadline_at=EPOCH + 2 * HOUR, attention_at=EPOCH + HOUR))
        await process.claim("ada")
        await sleep_until(DAY)
        assert await fire_due(world, process) == 4
        assert world.types()[-1] == "expired"
        assert world.told()[-1]["lateBy"] == (DAY - 2 * HOUR).total_seconds()
        assert (await world.stored()).status is Status.EXPIRED
        assert world.alarms() == {}


async def test_a_firing_that_failed_can_be_tried_again(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked(deadline_at=EPOCH + HOUR))
        await sleep_until(HOUR)
        process.journal.fail(Point.BEFORE_COMMIT, JournalUnavailable("gone"))
        (alarm,) = world.due()
        with pytest.raises(Unavailable):
            await process.fire(alarm)
        assert world.due() == [alarm]
        await process.fire(alarm)
        assert world.types() == ["created", "expired"]
