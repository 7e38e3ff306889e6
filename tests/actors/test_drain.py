"""Shutting down: what is finished, what is given up, and when that ends (A6)."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import ActorError, Address, Draining, System, TurnAbandoned, open_system
from tests.actors.behaviors import Count, Recorder, Scripted

ANN = Address("person", "ann")
BOB = Address("person", "bob")

Outcomes = dict[object, object]


async def ask(system: System, address: Address, message: object, into: Outcomes) -> None:
    """Put the reply to `message`, or the type of the error it met, into `into`."""
    try:
        into[message] = await system.ask(address, message, 1000)
    except ActorError as error:
        into[message] = type(error)


async def test_draining_finishes_what_is_queued(autojump_clock: MockClock) -> None:
    recorder = Recorder()
    async with open_system() as system:
        system.register("person", recorder)
        for number in range(5):
            system.tell(ANN, (number, 1))
        start = trio.current_time()
        assert await system.drain(60) == 0
        assert trio.current_time() - start == pytest.approx(5)
    assert [what for _, what in recorder.log] == [0, 1, 2, 3, 4]


async def test_draining_an_idle_system_returns_at_once(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        system.register("person", Count)
        await system.ask(ANN, "hello", 1)
        start = trio.current_time()
        assert await system.drain(60) == 0
        assert trio.current_time() == start


async def test_a_draining_system_refuses_messages_from_outside(
    autojump_clock: MockClock,
) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        system.register("person", Recorder())
        system.tell(ANN, ("long", 10))
        nursery.start_soon(system.drain, 60)
        await wait_all_tasks_blocked()
        with pytest.raises(Draining):
            await system.ask(BOB, ("hello", 0), 1)
        with pytest.raises(Draining):
            system.tell(ANN, ("hello", 0))


async def test_turns_may_still_send_to_one_another_while_draining(
    autojump_clock: MockClock,
) -> None:
    asked: Outcomes = {}
    recorder = Recorder()

    async with open_system() as system:

        async def turn() -> None:
            await trio.sleep(5)
            system.tell(BOB, ("told", 1))
            # Also from a child task of the turn.
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, system, BOB, ("asked", 1), asked)

        system.register("script", Scripted)
        system.register("person", recorder)
        system.tell(Address("script", "x"), turn)
        assert await system.drain(60) == 0
    assert asked == {("asked", 1): "asked"}
    assert [what for _, what in recorder.log] == ["told", "asked"]


async def test_the_deadline_gives_up_what_is_left_and_says_how_much(
    autojump_clock: MockClock,
) -> None:
    outcomes: Outcomes = {}
    recorder = Recorder()
    async with open_system() as system, trio.open_nursery() as nursery:
        system.register("person", recorder)
        for message in [("done", 1), ("in hand", 100), ("queued", 1)]:
            nursery.start_soon(ask, system, ANN, message, outcomes)
            await wait_all_tasks_blocked()
        system.tell(ANN, ("told", 1))
        system.tell(BOB, ("done too", 1))
        start = trio.current_time()
        assert await system.drain(10) == 3
        assert trio.current_time() - start == pytest.approx(10)
    assert outcomes == {
        ("done", 1): "done",
        ("in hand", 100): TurnAbandoned,
        ("queued", 1): Draining,
    }
    assert {what for _, what in recorder.log} == {"done", "done too"}
    stats = system.stats()["person"]
    assert (stats.active, stats.queued, stats.deepest) == (0, 0, 0)


async def test_a_turn_that_shields_itself_holds_up_the_block_but_not_the_drain(
    autojump_clock: MockClock,
) -> None:
    ended = []

    async def turn() -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(50)
        ended.append(trio.current_time())

    outcomes: Outcomes = {}
    start = trio.current_time()
    async with trio.open_nursery() as nursery, open_system() as system:
        system.register("person", Scripted)
        nursery.start_soon(ask, system, ANN, turn, outcomes)
        await wait_all_tasks_blocked()
        assert await system.drain(10) == 1
        assert trio.current_time() - start == pytest.approx(10)
        await wait_all_tasks_blocked()
        assert outcomes == {turn: TurnAbandoned}
        assert await system.drain(10) == 0
    assert [at - start for at in ended] == [pytest.approx(50)]


async def test_a_drained_system_takes_nothing_any_more() -> None:
    async with open_system() as system:
        system.register("person", Count)
        await system.drain(1)
        with pytest.raises(Draining):
            await system.ask(ANN, "hello", 1)
        assert await system.drain(1) == 0
    with pytest.raises(Draining):
        system.tell(ANN, "hello")


async def test_leaving_the_block_gives_up_what_is_left(autojump_clock: MockClock) -> None:
    outcomes: Outcomes = {}
    start = trio.current_time()
    async with trio.open_nursery() as nursery, open_system() as system:
        system.register("person", Recorder())
        nursery.start_soon(ask, system, ANN, ("in hand", 100), outcomes)
        await wait_all_tasks_blocked()
        nursery.start_soon(ask, system, ANN, ("queued", 1), outcomes)
        await wait_all_tasks_blocked()
    assert trio.current_time() == start
    assert outcomes == {("in hand", 100): TurnAbandoned, ("queued", 1): Draining}


@pytest.mark.parametrize("stale", [False, True])
async def test_cancelling_the_system_from_around_it_answers_the_askers(
    stale: bool, autojump_clock: MockClock
) -> None:
    outcomes: Outcomes = {}
    async with trio.open_nursery() as nursery:
        with trio.move_on_after(5):
            async with open_system() as system:
                system.register("person", Recorder())
                for message in [("in hand", 100), ("queued", 1)]:
                    nursery.start_soon(ask, system, ANN, message, outcomes)
                    await wait_all_tasks_blocked()
                if stale:
                    system.drop_all()
                await trio.sleep_forever()
    assert outcomes == {("in hand", 100): TurnAbandoned, ("queued", 1): Draining}


@pytest.mark.parametrize("stale", [False, True])
async def test_an_interrupt_in_a_turn_ends_the_system_and_answers_the_askers(
    stale: bool,
) -> None:
    outcomes: Outcomes = {}
    go_on = trio.Event()

    async def interrupt() -> None:
        await go_on.wait()
        raise KeyboardInterrupt

    async def run(nursery: trio.Nursery) -> None:
        async with open_system() as system:
            system.register("person", Scripted)
            for message in [interrupt, go_on.wait]:
                nursery.start_soon(ask, system, ANN, message, outcomes)
                await wait_all_tasks_blocked()
            if stale:
                system.drop_all()
            go_on.set()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        with pytest.raises(BaseExceptionGroup) as ended:
            await run(nursery)
    assert ended.value.split(KeyboardInterrupt)[1] is None
    assert outcomes == {interrupt: TurnAbandoned, go_on.wait: Draining}


async def test_giving_up_a_message_whose_turn_was_not_begun_begins_no_turn() -> None:
    recorder = Recorder()
    async with open_system() as system:
        system.register("person", recorder)
        system.tell(ANN, ("told", 0))
    assert recorder.log == []
    assert system.stats()["person"].turns == 0
