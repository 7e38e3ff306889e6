"""Taking turns at a shared listening socket: who is ahead lets the others go first."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest
import trio
from trio.testing import MockClock

from pxbox.listening import Fair, Tally


@pytest.fixture
def tally() -> Iterator[Tally]:
    with tempfile.TemporaryFile() as file:
        yield Tally(file.fileno(), 3)


async def waits(share: Fair) -> bool:
    before = trio.current_time()
    assert await share.turn() == 1
    return trio.current_time() > before


async def test_who_has_no_more_than_the_others_goes_at_once(
    tally: Tally, autojump_clock: MockClock
) -> None:
    first, second = Fair(tally, 0), Fair(tally, 1)
    first.note(1)
    assert not await waits(first)
    assert not await waits(second)


async def test_who_is_ahead_waits_and_then_goes_all_the_same(
    tally: Tally, autojump_clock: MockClock
) -> None:
    first, _ = Fair(tally, 0), Fair(tally, 1)
    first.note(3)
    assert await waits(first)


async def test_among_many_a_few_more_are_no_lead(tally: Tally, autojump_clock: MockClock) -> None:
    first, second = Fair(tally, 0), Fair(tally, 1)
    first.note(1_010)
    second.note(1_000)
    assert not await waits(first)
    first.note(1_040)
    assert await waits(first)


async def test_places_not_taken_and_places_left_hold_up_nobody(
    tally: Tally, autojump_clock: MockClock
) -> None:
    first, second = Fair(tally, 0), Fair(tally, 1)
    first.note(50)
    second.leave()
    second.note(1)
    assert not await waits(first)
    Fair(tally, 1)
    assert await waits(first)
    tally.leave(1)
    assert not await waits(first)


def test_two_processes_see_each_others_counts() -> None:
    with tempfile.TemporaryFile() as file:
        one, other = Tally(file.fileno(), 2), Tally(file.fileno(), 2)
        one.note(0, 7)
        other.note(1, 9)
        assert (other[0], one[1]) == (7, 9)
        assert one.fewest() == 7
