"""Many readers of one channel are told of several events at a time (E10), on virtual time."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from pxbox.ports import Entry
from pxbox.service.crowds import LONGEST_SECONDS, Crowds


class Readers:
    """Whom telling costs so many seconds each time; `told` is when, and of which numbers."""

    def __init__(self, **cost: float) -> None:
        self._cost = cost
        self._spent = 0.0
        self.told: list[tuple[float, str, list[int]]] = []

    def tell(self, channel: str, entries: list[Entry]) -> None:
        self._spent += self._cost[channel]
        at = round(trio.current_time(), 4)
        self.told.append((at, channel, [entry.seq for entry in entries]))

    def clock(self) -> float:
        return self._spent


def entries(*numbers: int) -> list[Entry]:
    return [Entry(number, b"{}") for number in numbers]


async def commit_every(crowds: Crowds, channel: str, seconds: float, count: int) -> None:
    for number in range(1, count + 1):
        crowds.tell(channel, entries(number))
        await trio.sleep(seconds)


@pytest.mark.parametrize(
    ("cost", "told"),
    [
        (0.0001, [(0, [1]), (0.01, [2]), (0.02, [3]), (0.03, [4])]),
        # 1 ms, and seven times that at rest.
        (0.001, [(0, [1]), (0.01, [2]), (0.02, [3]), (0.03, [4])]),
        (0.002, [(0, [1]), (0.014, [2]), (0.028, [3]), (0.042, [4])]),
        (0.004, [(0, [1]), (0.028, [2, 3]), (0.056, [4])]),
        (9.0, [(0, [1]), (LONGEST_SECONDS, [2, 3, 4])]),
    ],
)
async def test_what_comes_while_a_channel_rests_is_told_together(
    autojump_clock: MockClock, cost: float, told: list[tuple[float, list[int]]]
) -> None:
    readers = Readers(crowd=cost)
    crowds = Crowds(readers.tell, readers.clock)
    begun = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowds.run)
        await commit_every(crowds, "crowd", 0.01, 4)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert [seqs for _, _, seqs in readers.told] == [seqs for _, seqs in told]
    times = [at - begun for at, _, _ in readers.told]
    assert times == pytest.approx([at for at, _ in told], abs=1e-3)


async def test_a_channel_that_rests_holds_up_no_other(autojump_clock: MockClock) -> None:
    readers = Readers(crowd=1.0, one=0.0)
    crowds = Crowds(readers.tell, readers.clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowds.run)
        crowds.tell("crowd", entries(1))
        crowds.tell("crowd", entries(2))
        crowds.tell("one", entries(1))
        assert [channel for _, channel, _ in readers.told] == ["crowd", "one"]
        await trio.sleep(1)
        crowds.tell("crowd", entries(3))
        assert [seqs for _, channel, seqs in readers.told if channel == "crowd"] == [[1], [2], [3]]
        nursery.cancel_scope.cancel()


async def test_what_was_gathered_in_an_epoch_that_is_over_is_not_told(
    autojump_clock: MockClock,
) -> None:
    """E4: its numbers may be given to other events."""
    readers = Readers(crowd=1.0)
    crowds = Crowds(readers.tell, readers.clock)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(crowds.run)
        crowds.tell("crowd", entries(1, 2))
        crowds.tell("crowd", entries(3))
        crowds.forget()
        crowds.tell("crowd", entries(1))
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert [seqs for _, _, seqs in readers.told] == [[1, 2], [1]]
