"""Askers that give up: exactly on time, and at no cost to those that do not."""

from __future__ import annotations

import gc
import math
import weakref

import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import Address, AskTimeout, System, open_system
from actors.deadlines import COMPACT_ABOVE, Deadlines
from actors.mailbox import Letter
from tests.actors.behaviors import Echo, Recorder, run_virtual


@settings(deadline=None)
@given(
    st.lists(
        # Halves of seconds against whole ones: no reply comes at the very moment of a timeout.
        st.tuples(st.integers(0, 20), st.integers(0, 20).map(lambda n: n + 0.5)),
        max_size=30,
    )
)
def test_an_ask_ends_by_its_reply_or_its_timeout_whichever_is_first(
    asks: list[tuple[int, float]],
) -> None:
    async def ask(system: System, number: int, seconds: int, timeout: float) -> None:
        start = trio.current_time()
        try:
            await system.ask(Address("person", str(number)), ("hello", seconds), timeout)
            assert seconds < timeout
        except AskTimeout:
            assert timeout < seconds
        assert trio.current_time() - start == min(seconds, timeout)

    async def main() -> None:
        async with open_system() as system, trio.open_nursery() as nursery:
            system.register("person", Recorder())
            for number, (seconds, timeout) in enumerate(asks):
                nursery.start_soon(ask, system, number, seconds, timeout)

    run_virtual(main)


def test_asks_that_were_answered_leave_little_behind() -> None:
    deadlines = Deadlines()
    for at in range(100_000):
        deadlines.add(Letter("hello", told=False), at)
        deadlines.remove()
        assert len(deadlines) <= COMPACT_ABOVE
    assert deadlines.next() == math.inf


async def test_an_answered_ask_keeps_neither_message_nor_reply_until_its_deadline() -> None:
    class Thing:
        """Something whose end can be seen."""

    async with open_system() as system:
        system.register("echo", Echo)
        thing = Thing()
        gone = weakref.ref(thing)
        await system.ask(Address("echo", "x"), thing, 1000)
        del thing
        await wait_all_tasks_blocked()
        assert gone() is None


async def test_asks_that_were_answered_are_forgotten_long_before_their_deadline() -> None:
    async with open_system() as system:
        system.register("echo", Echo)
        for number in range(10 * COMPACT_ABOVE):
            await system.ask(Address("echo", str(number)), "hello", 1000)
        gc.collect()  # what other tests left
        kept = [thing for thing in gc.get_objects() if isinstance(thing, Letter)]
        assert len(kept) <= 2 * COMPACT_ABOVE


async def test_compacting_keeps_those_that_wait(autojump_clock: MockClock) -> None:
    deadlines = Deadlines()
    woken: list[int] = []

    async def wait(at: int) -> None:
        letter = Letter("hello", told=False)
        deadlines.add(letter, at)
        await letter.wait()
        deadlines.remove()
        woken.append(at)

    async with trio.open_nursery() as nursery:
        for at in range(0, 1000, 2):
            nursery.start_soon(wait, at)
        await wait_all_tasks_blocked()
        for at in range(10_000):
            deadlines.add(Letter("hello", told=False), at)
            deadlines.remove()
        assert 500 <= len(deadlines) <= 1001
        deadlines.fire(500)
        await wait_all_tasks_blocked()
        assert sorted(woken) == list(range(0, 501, 2))
        assert deadlines.next() == 502
        deadlines.fire(1000)
    assert len(woken) == 500
