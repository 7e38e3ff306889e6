"""Idle actors cost no task and leave memory; nothing queued is lost to it (A5)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import Address, Limits, System, open_system
from tests.actors.behaviors import Count, Recorder, Scripted

ANN = Address("person", "ann")
BOB = Address("person", "bob")
EVE = Address("person", "eve")


async def is_fresh(system: System, address: Address) -> bool:
    return await system.ask(address, "hello", 1) == 1


async def test_an_actor_is_passivated_when_it_was_idle_long_enough(
    autojump_clock: MockClock,
) -> None:
    async with open_system() as system:
        system.register("person", Count, Limits(idle_seconds=30))
        await system.ask(ANN, "hello", 1)
        await trio.sleep(29.9)
        assert system.stats()["person"].resident == 1
        await trio.sleep(0.2)
        assert system.stats()["person"].resident == 0
        assert system.stats()["person"].passivations == 1
        assert await is_fresh(system, ANN)


async def test_a_message_keeps_an_actor_in_memory(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        system.register("person", Count, Limits(idle_seconds=30))
        for turn in range(1, 6):
            assert await system.ask(ANN, "hello", 1) == turn
            await trio.sleep(29)


async def test_each_kind_passivates_in_its_own_time(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        system.register("slow", Count, Limits(idle_seconds=100))
        system.register("person", Count, Limits(idle_seconds=1))
        await system.ask(Address("slow", "x"), "hello", 1)
        await trio.sleep(10)
        await system.ask(ANN, "hello", 1)
        await trio.sleep(1.1)
        stats = system.stats()
        assert (stats["slow"].resident, stats["person"].resident) == (1, 0)


async def test_a_long_turn_is_not_idleness(autojump_clock: MockClock) -> None:
    recorder = Recorder()
    async with open_system() as system:
        system.register("person", recorder, Limits(idle_seconds=1, max_resident=0))
        system.tell(ANN, ("long", 10))
        system.tell(ANN, ("queued", 0))
        await system.ask(BOB, ("other", 5), 100)
        assert system.stats()["person"].resident == 1
        await system.ask(ANN, ("last", 0), 100)
    assert [what for _, what in recorder.log] == ["other", "long", "queued", "last"]


async def test_the_least_recently_used_goes_when_there_are_too_many() -> None:
    async with open_system() as system:
        system.register("person", Count, Limits(max_resident=2))
        await system.ask(ANN, "hello", 1)
        await system.ask(BOB, "hello", 1)
        await system.ask(ANN, "hello", 1)
        await system.ask(EVE, "hello", 1)
        assert system.stats()["person"].resident == 2
        assert not await is_fresh(system, ANN)
        assert await is_fresh(system, BOB)


async def test_busy_actors_may_be_too_many_for_as_long_as_they_are_busy() -> None:
    hold = trio.Event()
    async with open_system() as system:
        system.register("person", Scripted, Limits(max_resident=3))
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(system.ask, Address("person", str(number)), hold.wait, 1)
            await wait_all_tasks_blocked()
            stats = system.stats()["person"]
            assert (stats.resident, stats.active) == (10, 10)
            hold.set()
        stats = system.stats()["person"]
        assert (stats.resident, stats.active, stats.passivations) == (3, 0, 7)


async def test_idle_actors_cost_no_task() -> None:
    async with open_system() as system:
        system.register("person", Count)
        before = trio.lowlevel.current_statistics().tasks_living
        for number in range(1000):
            await system.ask(Address("person", str(number)), "hello", 1)
        await wait_all_tasks_blocked()
        assert system.stats()["person"].resident == 1000
        assert trio.lowlevel.current_statistics().tasks_living == before


async def test_dropping_all_passivates_the_idle() -> None:
    async with open_system() as system:
        system.register("person", Count)
        system.register("other", Count)
        await system.ask(ANN, "hello", 1)
        await system.ask(Address("other", "x"), "hello", 1)
        system.drop_all("person")
        stats = system.stats()
        assert (stats["person"].resident, stats["other"].resident) == (0, 1)
        system.drop_all()
        assert system.stats()["other"].resident == 0


async def test_dropping_an_unknown_kind_is_an_error() -> None:
    async with open_system() as system:
        with pytest.raises(KeyError):
            system.drop_all("person")


class Gate:
    """Counts its own messages like `Count`, but replies only once `gate` is open."""

    gate: trio.Event

    def __init__(self, address: Address) -> None:
        self.handled = 0

    async def receive(self, message: object, /) -> object:
        self.handled += 1
        await self.gate.wait()
        return self.handled


async def test_a_running_activation_is_dropped_when_its_turn_ends() -> None:
    Gate.gate = trio.Event()
    replies: list[object] = []

    async def ask(system: System) -> None:
        replies.append(await system.ask(ANN, "hello", 1))

    async with open_system() as system:
        system.register("person", Gate)
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask, system)
            await wait_all_tasks_blocked()  # one in hand, two queued
            system.drop_all()
            Gate.gate.set()
    assert replies == [1, 1, 2]


async def test_a_message_sent_after_the_drop_meets_a_fresh_activation() -> None:
    async with open_system() as system:
        system.register("person", Count)
        await system.ask(ANN, "hello", 1)
        system.tell(ANN, "queued, with no turn begun")
        system.drop_all()
        assert await system.ask(ANN, "hello", 1) == 2


async def test_a_stale_activation_that_crashes_is_replaced_once() -> None:
    crash = trio.Event()

    async def turn() -> None:
        await crash.wait()
        raise LookupError("lost")

    async with open_system() as system:
        system.register("person", Scripted)
        system.tell(ANN, turn)
        await wait_all_tasks_blocked()
        system.drop_all()
        crash.set()
        await wait_all_tasks_blocked()
        assert await system.ask(ANN, trio.lowlevel.checkpoint, 1) is None
        assert system.stats()["person"].resident == 1
