"""Who is taken in, how fast, and who is told to come when."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from pxbox.model.errors import TooManyConnections
from pxbox.ws.admission import Admission, AdmissionLimits, Refused

STORM = 2_000


def earliest(low: float, high: float) -> float:
    return low


def latest(low: float, high: float) -> float:
    return high


def test_a_client_has_so_many_places_and_each_given_up_is_free_again() -> None:
    admission = Admission(AdmissionLimits(per_client=2), earliest)
    with admission.place("ada"):
        with admission.place("ada"), pytest.raises(Refused) as refusal, admission.place("ada"):
            pass
        assert isinstance(refusal.value.error, TooManyConnections)
        assert refusal.value.retry_seconds == 5
        with admission.place("bob"), admission.place("ada"):
            pass


async def test_few_at_once_do_not_wait(autojump_clock: MockClock) -> None:
    admission = Admission(AdmissionLimits(at_once=100))
    started = trio.current_time()
    for _ in range(100):
        await admission.turn()
    assert trio.current_time() - started < 0.01


async def test_those_in_time_wait_their_turn_and_others_are_told_to_come_later(
    autojump_clock: MockClock,
) -> None:
    limits = AdmissionLimits(per_second=100, at_once=50, patience_seconds=2.005)
    admission = Admission(limits, earliest)
    taken_in: list[float] = []
    told: list[int] = []
    codes: set[str] = set()

    async def connect() -> None:
        try:
            await admission.turn()
            taken_in.append(trio.current_time() - started)
        except Refused as refused:
            codes.add(refused.error.code)
            told.append(refused.retry_seconds)

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(STORM):
            nursery.start_soon(connect)
    assert len(taken_in) == 250
    assert codes == {"overloaded"}
    assert max(taken_in) == pytest.approx(2.0, abs=0.05)
    # What is left takes 17.5 s at this pace: nobody is sent there together with all others.
    assert min(told) == 3
    assert max(told) == pytest.approx(20, abs=1)
    assert max(told.count(second) for second in told) <= 100


@pytest.mark.parametrize("jitter", [earliest, latest])
async def test_a_storm_whose_clients_do_as_they_are_told_is_taken_in(
    autojump_clock: MockClock, jitter: object
) -> None:
    limits = AdmissionLimits(per_second=400, at_once=100, patience_seconds=3)
    admission = Admission(limits, jitter)  # type: ignore[arg-type]
    refusals: list[int] = []

    async def connect() -> None:
        tries = 0
        while True:
            try:
                await admission.turn()
            except Refused as refused:
                tries += 1
                await trio.sleep(refused.retry_seconds)
            else:
                refusals.append(tries)
                return

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(STORM):
            nursery.start_soon(connect)
    assert len(refusals) == STORM
    assert max(refusals) <= 2
    assert trio.current_time() - started < 2 * STORM / limits.per_second
