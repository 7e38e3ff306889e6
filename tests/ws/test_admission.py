"""Who is taken in, how fast, and who is told to come when."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import MockClock

from pxbox.model.errors import TooManyConnections
from pxbox.ws.admission import Admission, AdmissionLimits, Refused

STORM = 2_000
PASS_SECONDS = 0.01
LIMITS = AdmissionLimits(per_pass=4, per_second=400, patience_seconds=3)


def earliest(low: float, high: float) -> float:
    return low


def latest(low: float, high: float) -> float:
    return high


@asynccontextmanager
async def admission(
    limits: AdmissionLimits = LIMITS,
    jitter: Callable[[float, float], float] = earliest,
    pass_seconds: float = PASS_SECONDS,
) -> AsyncIterator[Admission]:
    """One whose event loop takes so long to be everywhere."""

    async def pass_over() -> None:
        await trio.sleep(pass_seconds)

    async with trio.open_nursery() as nursery:
        made = Admission(limits, jitter, pass_over)
        nursery.start_soon(made.run)
        yield made
        nursery.cancel_scope.cancel()


def test_a_client_has_so_many_places_and_each_given_up_is_free_again() -> None:
    admission = Admission(AdmissionLimits(per_client=2), earliest)
    with admission.place("ada"):
        with admission.place("ada"), pytest.raises(Refused) as refusal, admission.place("ada"):
            pass
        assert isinstance(refusal.value.error, TooManyConnections)
        assert refusal.value.retry_seconds == 5
        with admission.place("bob"), admission.place("ada"):
            pass


async def test_so_many_are_served_in_a_pass_in_the_order_of_their_coming(
    autojump_clock: MockClock,
) -> None:
    """X4: nobody else waits for more than those few."""
    served: list[tuple[int, int]] = []

    async def connect(number: int) -> None:
        await door.turn()
        served.append((number, round((trio.current_time() - started) / PASS_SECONDS)))

    async with admission() as door:
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(connect, number)
                await trio.lowlevel.checkpoint()
    passes = [number for _, number in served]
    assert max(passes.count(number) for number in passes) == LIMITS.per_pass
    order = sorted(number for number, _ in served)
    for number, place in served:
        assert abs(order.index(number) // LIMITS.per_pass - place) <= 1


async def test_who_leaves_while_waiting_takes_nobodys_turn(autojump_clock: MockClock) -> None:
    async with admission(AdmissionLimits(per_pass=1)) as door:
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(door.turn)
            with trio.move_on_after(PASS_SECONDS / 2):
                await door.turn()
            started = trio.current_time()
        assert trio.current_time() - started <= 3 * PASS_SECONDS


async def test_those_in_time_wait_their_turn_and_others_are_told_to_come_later(
    autojump_clock: MockClock,
) -> None:
    taken_in: list[float] = []
    told: list[int] = []
    codes: set[str] = set()

    async def connect() -> None:
        try:
            await door.turn()
            taken_in.append(trio.current_time() - started)
        except Refused as refused:
            codes.add(refused.error.code)
            told.append(refused.retry_seconds)

    async with admission() as door:
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(STORM):
                nursery.start_soon(connect)
    assert len(taken_in) == pytest.approx(3 * 400, abs=5)
    assert codes == {"overloaded"}
    assert max(taken_in) == pytest.approx(3.0, abs=0.05)
    # What is left takes 2 s at this pace: nobody is sent there together with all others.
    assert min(told) == 4
    assert max(told) == pytest.approx(5, abs=1)


async def test_a_slower_broker_has_fewer_wait(autojump_clock: MockClock) -> None:
    """So that nobody waits in vain: the pace is the one that it had in the storm."""
    async with admission(pass_seconds=0.08) as door:
        for expected in (3 * 400, 3 * 50):
            refused = 0

            async def connect() -> None:
                nonlocal refused
                try:
                    await door.turn()
                except Refused:
                    refused += 1

            async with trio.open_nursery() as nursery:
                for _ in range(STORM):
                    nursery.start_soon(connect)
            assert STORM - refused == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("jitter", [earliest, latest])
async def test_a_storm_whose_clients_do_as_they_are_told_is_taken_in(
    autojump_clock: MockClock, jitter: Callable[[float, float], float]
) -> None:
    refusals: list[int] = []

    async def connect() -> None:
        tries = 0
        while True:
            try:
                await door.turn()
            except Refused as refused:
                tries += 1
                await trio.sleep(refused.retry_seconds)
            else:
                refusals.append(tries)
                return

    async with admission(jitter=jitter) as door:
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(STORM):
                nursery.start_soon(connect)
    assert len(refusals) == STORM
    assert max(refusals) <= 2
    assert trio.current_time() - started < 2 * STORM / LIMITS.per_second
