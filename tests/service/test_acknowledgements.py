"""Acknowledgements are taken at once and written many at a time (E8)."""

from __future__ import annotations

from collections.abc import Mapping

import trio
import trio.testing

from pxbox.model.channel import Place, Position
from pxbox.model.errors import PxError, Unavailable
from pxbox.service.acknowledgements import MOST_AT_ONCE, WRITE_SECONDS, Acknowledgements
from pxbox.service.epoch import Epoch
from tests.service.brokers import Broker, unique


def place(name: str = "") -> Place:
    return Place("sub", name or unique("session"), "entity:x")


class Table:
    """What keeps them, in memory; each write is one of the database's."""

    def __init__(self) -> None:
        self.up = True
        self.kept: dict[Place, Position] = {}
        self.writes: list[int] = []

    async def keep(self, epoch: str, seqs: Mapping[Place, int]) -> None:
        await trio.sleep(0.01)
        self.writes.append(len(seqs))
        if not self.up:
            raise Unavailable("away")
        self.kept |= {place: Position(epoch, seq) for place, seq in seqs.items()}

    async def at(self, place: Place) -> Position | None:
        await trio.lowlevel.checkpoint()
        return self.kept.get(place)


async def test_ten_thousand_in_a_second_are_one_write(
    autojump_clock: trio.testing.MockClock,
) -> None:
    table = Table()
    acknowledgements = Acknowledgements(table, Epoch("e"))  # type: ignore[arg-type]
    places = [place(str(number)) for number in range(100)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(acknowledgements.run, failed)
        for seq in range(1, 101):
            for one in places:
                acknowledgements.acknowledge(one, seq)
        assert await acknowledgements.position(places[0]) == Position("e", 100)
        await trio.sleep(WRITE_SECONDS * 3)
        nursery.cancel_scope.cancel()
    assert table.writes == [100]
    assert table.kept == dict.fromkeys(places, Position("e", 100))


async def test_what_could_not_be_written_is_written_later(
    autojump_clock: trio.testing.MockClock,
) -> None:
    table, failures = Table(), list[Exception]()
    acknowledgements = Acknowledgements(table, Epoch("e"))  # type: ignore[arg-type]
    table.up = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(acknowledgements.run, failures.append)
        acknowledgements.acknowledge(place("a"), 5)
        await trio.sleep(WRITE_SECONDS * 5)
        acknowledgements.acknowledge(place("a"), 7)
        assert await acknowledgements.position(place("a")) == Position("e", 7)
        table.up = True
        await trio.sleep(WRITE_SECONDS * 3)
        nursery.cancel_scope.cancel()
    assert failures
    assert table.kept == {place("a"): Position("e", 7)}


async def test_a_write_takes_so_many_and_no_more() -> None:
    table = Table()
    acknowledgements = Acknowledgements(table, Epoch("e"))  # type: ignore[arg-type]
    for number in range(MOST_AT_ONCE + 1):
        acknowledgements.acknowledge(place(str(number)), 1)
    await acknowledgements.write()
    assert table.writes == [MOST_AT_ONCE, 1]


async def test_what_one_process_kept_the_other_goes_on_from(
    brokers: tuple[Broker, Broker],
) -> None:
    one, other = (broker.parts.acknowledgements for broker in brokers)
    where = place()
    one.acknowledge(where, 7)
    one.write_soon()
    with trio.fail_after(10):
        while await other.position(where) is None:
            await trio.lowlevel.checkpoint()
    other.acknowledge(where, 5)
    await other.write()
    kept = Position(brokers[0].parts.epoch, 7)
    assert await other.position(where) == await one.position(where) == kept


def failed(error: Exception) -> None:
    assert not isinstance(error, PxError)
