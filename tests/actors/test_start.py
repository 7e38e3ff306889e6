"""Tasks of the system's own: what they ask of actors at rest is handled in themselves."""

from __future__ import annotations

import contextvars

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import ActorCrashed, Address, Draining, Limits, MailboxFull, System, open_system
from tests.actors.behaviors import Count, Recorder, Refused, Scripted

ANN = Address("person", "ann")
BOB = Address("person", "bob")

speaker: contextvars.ContextVar[str] = contextvars.ContextVar("speaker", default="nobody")


class Asker:
    """Asks from a task of the system's, and keeps what became of each message."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.outcomes: list[object] = []
        self.ended = trio.Event()

    async def ask(self, *messages: object) -> None:
        for message in messages:
            try:
                self.outcomes.append(await self.system.ask(ANN, message, 10))
            except Exception as error:
                self.outcomes.append(type(error))
        self.ended.set()

    async def start(self, *messages: object) -> list[object]:
        self.system.start(self.ask, *messages)
        await self.ended.wait()
        return self.outcomes


async def test_it_gets_what_any_asker_gets() -> None:
    async with open_system(on_crash=lambda *_: None) as system:
        system.register("person", Count, refusals=(Refused,))
        said = await Asker(system).start("a", "b", Refused(), "c", ValueError(), "d")
        assert said == [1, 2, Refused, 4, ActorCrashed, 1], "a crash drops the activation (A4)"
        stats = system.stats()["person"]
        assert (stats.turns, stats.crashes, stats.active, stats.queued) == (6, 1, 0, 0)
        assert await system.ask(ANN, "e", 1) == 2


async def test_the_turn_runs_in_the_task_that_asks() -> None:
    """And sees the system's context variables all the same, as every turn does."""
    tasks: list[object] = []

    async def look() -> None:
        tasks.append((trio.lowlevel.current_task(), speaker.get()))

    async def ask(system: System) -> None:
        tasks.append((trio.lowlevel.current_task(), speaker.get()))
        await system.ask(ANN, look, 1)
        ended.set()

    ended = trio.Event()
    async with open_system() as system:
        system.register("person", Scripted)
        speaker.set("somebody")
        system.start(ask, system)
        await ended.wait()
    assert tasks[0] == tasks[1]
    assert tasks[0][1] == "nobody"  # type: ignore[index]


async def test_whoever_asks_meanwhile_waits_for_its_turn(autojump_clock: MockClock) -> None:
    """One message at a time, in order (A1), whichever tasks they come from."""
    recorder = Recorder()
    async with open_system() as system, trio.open_nursery() as nursery:
        system.register("person", recorder)
        first, third = Asker(system), Asker(system)
        nursery.start_soon(first.start, ("first", 1))
        await wait_all_tasks_blocked()
        nursery.start_soon(system.ask, ANN, ("second", 1), 10)
        await wait_all_tasks_blocked()
        nursery.start_soon(third.start, ("third", 1))
        await wait_all_tasks_blocked()
        system.tell(ANN, ("fourth", 0))
        assert await system.ask(BOB, ("other", 0), 1) == "other"
    assert [what for _, what in recorder.log] == ["other", "first", "second", "third", "fourth"]


async def test_whoever_started_it_may_be_cancelled(autojump_clock: MockClock) -> None:
    """The turn goes on to its end (A3)."""
    recorder = Recorder()
    async with open_system() as system:
        system.register("person", recorder)
        asker = Asker(system)
        with trio.move_on_after(1):
            await asker.start(("slow", 5))
        await asker.ended.wait()
    assert asker.outcomes == ["slow"]


async def test_a_full_mailbox_refuses_it_too(autojump_clock: MockClock) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        system.register("person", Recorder(), Limits(mailbox=1))
        nursery.start_soon(system.ask, ANN, ("in hand", 5), 10)
        await wait_all_tasks_blocked()
        nursery.start_soon(system.ask, ANN, ("queued", 0), 10)
        await wait_all_tasks_blocked()
        assert await Asker(system).start(("too many", 0)) == [MailboxFull]


async def test_draining_waits_for_its_turn_and_then_refuses(autojump_clock: MockClock) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        system.register("person", Recorder())
        asker = Asker(system)
        nursery.start_soon(asker.start, ("in hand", 5), ("too late", 0))
        await wait_all_tasks_blocked()
        assert await system.drain(60) == 0
        await asker.ended.wait()
    assert asker.outcomes == ["in hand", Draining]


async def test_draining_gives_its_turn_up_after_the_grace(autojump_clock: MockClock) -> None:
    """In bounded time (A6); the task is cancelled with its turn."""
    async with open_system() as system:
        system.register("person", Recorder())
        asker = Asker(system)
        system.start(asker.ask, ("endless", 10_000))
        await wait_all_tasks_blocked()
        started = trio.current_time()
        assert await system.drain(3) == 1
        assert trio.current_time() - started == pytest.approx(3)
    assert not asker.ended.is_set()


async def test_it_passivates_and_is_dropped_like_any(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        system.register("person", Count, Limits(idle_seconds=10))
        assert await Asker(system).start("a", "b") == [1, 2]
        await trio.sleep(11)
        assert system.stats()["person"].resident == 0
        assert await Asker(system).start("a") == [1]
        system.drop_all()
        assert await Asker(system).start("a") == [1]
