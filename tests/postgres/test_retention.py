"""Events go by retention: by number, without a gap, the floor with them (E5); so do
acknowledgements (E8)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pxbox.model.channel import Bounds, Place, Position
from pxbox.postgres.acknowledged import Acknowledged
from pxbox.postgres.reader import Reader
from tests.postgres.conftest import OpenJournal

MONTH = timedelta(days=30)


async def log_events(opened: OpenJournal, channel: str, *days_old: float) -> None:
    """Log one event of each of these ages on a channel, numbered as they come."""
    await opened.query(
        "insert into event (channel, seq, id, data, at) "
        "select $1, ord, $1 || ord, '{}', clock_timestamp() - age * interval '1 day' "
        "from unnest($2::float[]) with ordinality as of (age, ord)",
        channel,
        list(days_old),
    )
    await opened.query("insert into channel (name, head) values ($1, $2)", channel, len(days_old))


async def seqs(opened: OpenJournal, channel: str) -> list[int]:
    return [entry.seq for entry in await opened.log.read(channel, 0, 1_000)]


async def test_what_is_too_old_goes_and_the_floor_says_so(opened: OpenJournal) -> None:
    await log_events(opened, "some", 40, 31, 30.1, 29.9, 1)
    await log_events(opened, "all", 50, 40)
    await log_events(opened, "none", 29, 2)
    assert await opened.log.purge(MONTH, 100) == 5
    assert await seqs(opened, "some") == [4, 5]
    assert [await opened.log.bounds(name) for name in ("some", "all", "none")] == [
        Bounds(3, 5),
        Bounds(2, 2),
        Bounds(0, 2),
    ]
    assert await opened.log.purge(MONTH, 100) == 0


async def test_it_goes_a_little_at_a_time_and_never_leaves_a_gap(opened: OpenJournal) -> None:
    for name in ("one", "other"):
        await log_events(opened, name, *[40] * 10, 1)
    gone: list[int] = []
    while not gone or gone[-1]:
        gone.append(await opened.log.purge(MONTH, 7))
        for name in ("one", "other"):
            bounds = await opened.log.bounds(name)
            assert await seqs(opened, name) == list(range(bounds.floor + 1, bounds.head + 1))
    assert gone == [7, 7, 6, 0]


async def test_a_younger_one_keeps_those_behind_it(opened: OpenJournal) -> None:
    """As when the database's clock was set back: numbers go in their order."""
    await log_events(opened, "odd", 40, 1, 40, 40)
    assert await opened.log.purge(MONTH, 100) == 1
    assert await seqs(opened, "odd") == [2, 3, 4]
    await opened.query("update event set at = at - interval '30 days' where seq = 2")
    assert await opened.log.purge(MONTH, 100) == 3
    assert await opened.log.bounds("odd") == Bounds(4, 4)


async def test_commits_are_not_waited_for_nor_made_to_wait(opened: OpenJournal) -> None:
    await log_events(opened, "busy", 40, 1)
    await log_events(opened, "quiet", 40, 1)
    commit = await opened.session()
    await commit.begin()
    await commit.execute("update channel set head = head where name = 'busy'")
    assert await opened.log.purge(MONTH, 100) == 1
    assert await seqs(opened, "busy") == [1, 2]
    await commit.commit()
    assert await opened.log.purge(MONTH, 100) == 1
    assert await seqs(opened, "busy") == [2]


@pytest.fixture
def kept(opened: OpenJournal) -> Acknowledged:
    reader = Reader(opened.url)
    reader.open(opened.residents)
    return Acknowledged(reader)


PLACE = Place("sub", "session", "entity:x")


async def test_what_is_acknowledged_only_grows_within_an_epoch(kept: Acknowledged) -> None:
    assert await kept.at(PLACE) is None
    for seq, then in ((5, 5), (3, 5), (8, 8)):
        await kept.keep("one", {PLACE: seq})
        assert await kept.at(PLACE) == Position("one", then)
    await kept.keep("two", {PLACE: 2})
    assert await kept.at(PLACE) == Position("two", 2)


async def test_each_client_name_and_channel_is_kept_apart(kept: Acknowledged) -> None:
    places = [PLACE, PLACE._replace(sub="x"), PLACE._replace(session="x"),
              PLACE._replace(channel="x")]  # fmt: skip
    await kept.keep("one", {place: number for number, place in enumerate(places, 1)})
    assert [await kept.at(place) for place in places] == [Position("one", n) for n in (1, 2, 3, 4)]


async def test_acknowledgements_that_did_not_change_for_so_long_go(
    opened: OpenJournal, kept: Acknowledged
) -> None:
    other = PLACE._replace(session="other")
    await kept.keep("one", {PLACE: 5, other: 5})
    await opened.query("update acknowledged set at = at - interval '31 days'")
    await kept.keep("one", {other: 6})
    assert await kept.purge(MONTH, 10) == 1
    assert await kept.at(PLACE) is None
    assert await kept.at(other) == Position("one", 6)
