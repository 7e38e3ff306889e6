"""Asking and telling: replies, order, bounded mailboxes, timeouts, cancelled callers."""

from __future__ import annotations

import contextvars
import math

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    Address,
    AskTimeout,
    Limits,
    MailboxFull,
    System,
    UnknownKind,
    open_system,
)
from tests.actors.behaviors import Count, Recorder, Scripted

ANN = Address("person", "ann")
BOB = Address("person", "bob")

asker_name: contextvars.ContextVar[str] = contextvars.ContextVar("asker_name", default="nobody")


async def test_an_ask_returns_what_the_behavior_returned() -> None:
    async with open_system() as system:
        system.register("person", Count)
        assert await system.ask(ANN, "hello", 1) == 1
        assert await system.ask(ANN, "hello", 1) == 2
        assert await system.ask(BOB, "hello", 1) == 1


async def test_told_messages_are_handled_in_the_order_they_were_sent() -> None:
    recorder = Recorder()
    async with open_system() as system:
        system.register("person", recorder)
        for number in range(10):
            system.tell(ANN, (number, 0))
        await system.ask(ANN, ("last", 0), 1)
    assert [what for _, what in recorder.log] == [*range(10), "last"]


async def test_one_address_handles_one_message_at_a_time(autojump_clock: MockClock) -> None:
    async with open_system() as system, trio.open_nursery() as nursery:
        system.register("person", Recorder())
        start = trio.current_time()
        for number in range(3):
            nursery.start_soon(system.ask, ANN, (number, 1), 10)
        await wait_all_tasks_blocked()
        await system.ask(ANN, ("last", 1), 10)
        assert trio.current_time() - start == pytest.approx(4)


async def test_two_addresses_handle_messages_at_the_same_time(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        system.register("person", Recorder())
        start = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(system.ask, ANN, ("a", 1), 10)
            nursery.start_soon(system.ask, BOB, ("b", 1), 10)
        assert trio.current_time() - start == pytest.approx(1)


async def test_a_kind_that_is_not_registered_is_refused() -> None:
    async with open_system() as system:
        with pytest.raises(UnknownKind, match="'person'"):
            await system.ask(ANN, "hello", 1)
        with pytest.raises(UnknownKind):
            system.tell(ANN, "hello")


async def test_a_kind_cannot_be_registered_twice() -> None:
    async with open_system() as system:
        system.register("person", Count)
        with pytest.raises(ValueError, match="registered already"):
            system.register("person", Count)


@pytest.mark.parametrize(
    "limits", [{"mailbox": 0}, {"max_resident": -1}, {"idle_seconds": math.nan}]
)
def test_impossible_limits_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="impossible limits"):
        Limits(**limits)


async def test_a_full_mailbox_refuses_at_once_and_loses_nothing() -> None:
    hold = trio.Event()
    async with open_system() as system, trio.open_nursery() as nursery:
        system.register("held", Scripted, Limits(mailbox=2))
        held = Address("held", "x")
        nursery.start_soon(system.ask, held, hold.wait, 1)
        await wait_all_tasks_blocked()  # one in hand
        nursery.start_soon(system.ask, held, hold.wait, 1)
        nursery.start_soon(system.ask, held, hold.wait, 1)
        await wait_all_tasks_blocked()  # and two in the mailbox
        with pytest.raises(MailboxFull) as full:
            await system.ask(held, hold.wait, 1)
        assert (full.value.address, full.value.limit) == (held, 2)
        with pytest.raises(MailboxFull):
            system.tell(held, hold.wait)
        hold.set()
    assert system.stats()["held"].turns == 3
    assert system.stats()["held"].refused_full == 2


async def test_a_timed_out_ask_leaves_the_turn_alone(autojump_clock: MockClock) -> None:
    recorder = Recorder()
    async with open_system() as system:
        system.register("person", recorder)
        start = trio.current_time()
        with pytest.raises(AskTimeout) as late:
            await system.ask(ANN, ("slow", 5), 2)
        assert trio.current_time() - start == pytest.approx(2)
        assert late.value.timeout == 2
        assert await system.ask(ANN, ("next", 0), 10) == "next"
        assert trio.current_time() - start == pytest.approx(5)
    assert [what for _, what in recorder.log] == ["slow", "next"]


async def test_a_message_whose_asker_timed_out_in_the_queue_is_still_handled(
    autojump_clock: MockClock,
) -> None:
    recorder = Recorder()
    async with open_system() as system:
        system.register("person", recorder)
        system.tell(ANN, ("slow", 5))
        with pytest.raises(AskTimeout):
            await system.ask(ANN, ("queued", 0), 2)
        await system.ask(ANN, ("last", 0), 10)
    assert [what for _, what in recorder.log] == ["slow", "queued", "last"]


async def test_each_asker_times_out_at_its_own_time(autojump_clock: MockClock) -> None:
    ended: dict[float, float] = {}

    async def ask(system: System, timeout: float) -> None:
        start = trio.current_time()
        with pytest.raises(AskTimeout):
            await system.ask(ANN, ("slow", 100), timeout)
        ended[timeout] = trio.current_time() - start

    async with open_system() as system:
        system.register("person", Recorder())
        async with trio.open_nursery() as nursery:
            for timeout in (9.0, 0.0, 2.5, 7.0, 0.25):
                nursery.start_soon(ask, system, timeout)
    assert ended == pytest.approx({timeout: timeout for timeout in ended})
    assert len(ended) == 5


@pytest.mark.parametrize("timeout", [-1, math.nan])
async def test_an_impossible_timeout_sends_nothing(timeout: float) -> None:
    async with open_system() as system:
        system.register("person", Count)
        with pytest.raises(ValueError, match="timeout"):
            await system.ask(ANN, "hello", timeout)
        assert await system.ask(ANN, "hello", math.inf) == 1


@pytest.mark.parametrize("queued_behind", [0, 1])
async def test_cancelling_a_caller_does_not_cancel_its_message(
    queued_behind: int, autojump_clock: MockClock
) -> None:
    recorder = Recorder()
    async with open_system() as system:
        system.register("person", recorder)
        for _ in range(queued_behind):
            system.tell(ANN, ("before", 3))
        with trio.move_on_after(1):
            await system.ask(ANN, ("cancelled", 3), 10)
            pytest.fail("the asker was to be cancelled")
        await system.ask(ANN, ("after", 0), 10)
    assert [what for _, what in recorder.log][-2:] == ["cancelled", "after"]


async def test_a_caller_that_is_cancelled_already_sends_nothing() -> None:
    async with open_system() as system:
        system.register("person", Count)
        with trio.CancelScope() as scope:
            scope.cancel()
            await system.ask(ANN, "hello", 1)
        assert scope.cancelled_caught
        assert await system.ask(ANN, "hello", 1) == 1


async def test_a_turn_does_not_see_the_context_variables_of_its_sender() -> None:
    async def name() -> str:
        return asker_name.get()

    async with open_system() as system:
        system.register("person", Scripted)
        asker_name.set("eve")
        assert await system.ask(ANN, name, 1) == "nobody"


async def test_an_actor_may_ask_another(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        system.register("person", Scripted)
        system.register("count", Count)
        count = Address("count", "x")
        assert await system.ask(ANN, lambda: system.ask(count, "hello", 1), 1) == 1


async def test_an_actor_that_asks_itself_times_out(autojump_clock: MockClock) -> None:
    async with open_system() as system:
        system.register("person", Scripted, refusals=(AskTimeout,))
        with pytest.raises(AskTimeout) as late:
            await system.ask(ANN, lambda: system.ask(ANN, trio.lowlevel.checkpoint, 1), 10)
        assert late.value.timeout == 1


async def test_an_actor_that_never_waits_leaves_time_to_others() -> None:
    turns = 0
    last = 10

    async with open_system() as system:

        async def tell_itself() -> None:
            nonlocal turns
            turns += 1
            if turns < last:
                system.tell(ANN, tell_itself)

        system.register("person", Scripted)
        system.tell(ANN, tell_itself)
        seen = []
        while turns < last:
            await trio.lowlevel.checkpoint()
            seen.append(turns)
    assert len(set(seen)) > last / 2
