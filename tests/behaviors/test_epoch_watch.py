"""The watch on the epoch: what it asks, whom it tells, and what it leaves alone (E4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from pxbox.behaviors.epoch import MOST_SEEN, EpochWatch, Seen
from pxbox.ports import Era


@dataclass
class Row:
    """The installation's row, which loses events on demand."""

    era: Era = field(default_factory=lambda: Era("one", "installed"))
    heads: dict[str, int] = field(default_factory=dict)
    up: bool = True
    asked: list[dict[str, int]] = field(default_factory=list)

    async def current(self) -> Era:
        await trio.lowlevel.checkpoint()
        if not self.up:
            raise OSError("the database is away")
        return self.era

    async def suspect(self, epoch: str, heads: Mapping[str, int], *, by_client: bool) -> bool:
        await self.current()
        self.asked.append(dict(heads))
        behind = any(self.heads.get(channel, 0) < head for channel, head in heads.items())
        if epoch != self.era.epoch or not behind:
            return False
        self.era = Era("two", "a client was ahead" if by_client else "Redis was ahead")
        return True


@dataclass
class Watched:
    row: Row
    begun: list[Era] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.watch = EpochWatch(self.row, "one", self.begun.append, self.failures.append)


@pytest.fixture
async def watched(nursery: trio.Nursery) -> Watched:
    watched = Watched(Row(heads={"a": 5}))
    nursery.start_soon(watched.watch.run)
    return watched


async def test_what_the_database_has_is_no_sign_of_loss(
    watched: Watched, autojump_clock: MockClock
) -> None:
    watched.watch.sightings.now.note("a", 5)
    await trio.sleep(3)
    assert watched.row.asked == [{"a": 5}]
    assert watched.begun == []


async def test_one_event_that_the_database_lacks_ends_the_epoch_once(
    watched: Watched, autojump_clock: MockClock
) -> None:
    watched.watch.sightings.now.note("a", 6)
    await trio.sleep(5)
    assert watched.begun == [Era("two", "Redis was ahead")]


async def test_an_epoch_that_another_process_has_begun_is_taken_over(
    watched: Watched, autojump_clock: MockClock
) -> None:
    watched.row.era = Era("three", "restore-done")
    await trio.sleep(2)
    assert watched.begun == [Era("three", "restore-done")]


async def test_what_was_looked_at_before_an_epoch_began_says_nothing_about_it(
    watched: Watched, autojump_clock: MockClock
) -> None:
    looking = watched.watch.sightings.now
    watched.row.era = Era("three", "restore-done")
    await trio.sleep(2)
    looking.note("a", 900)
    await trio.sleep(3)
    assert watched.row.asked == []
    assert [era.epoch for era in watched.begun] == ["three"]


async def test_while_the_database_is_away_nothing_is_forgotten_and_nothing_concluded(
    watched: Watched, autojump_clock: MockClock
) -> None:
    watched.row.up = False
    watched.watch.sightings.now.note("a", 6)
    await trio.sleep(10)
    assert watched.begun == []
    assert watched.failures
    watched.row.up = True
    await trio.sleep(2)
    assert [era.epoch for era in watched.begun] == ["two"]


async def test_a_client_that_is_ahead_is_answered_when_all_is_done(
    watched: Watched, autojump_clock: MockClock
) -> None:
    assert not await watched.watch.client_ahead("a", 5)
    assert not await watched.watch.client_ahead("a", 2**63)
    assert await watched.watch.client_ahead("a", 6)
    assert watched.begun == [Era("two", "a client was ahead")]


def test_of_each_channel_the_furthest_is_noted_and_of_channels_not_too_many() -> None:
    seen = Seen()
    for number in range(MOST_SEEN + 10):
        seen.note(f"c{number}", 1)
    seen.note("c0", 7)
    seen.note("c0", 3)
    taken = seen.take()
    assert len(taken) == MOST_SEEN
    assert taken["c0"] == 7
    assert seen.take() == {}
