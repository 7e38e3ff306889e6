"""A channel's actor delivers strictly one number after another (E5), whoever brings the news."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxbox.behaviors.channel import NEARLY_THERE, PAGE, Behind, Join, Joined, Leave, Look, News
from pxbox.ports import Entry, LogUnavailable
from tests.actors.behaviors import run_virtual
from tests.behaviors.relayed import CHANNEL
from tests.behaviors.watched import Reader, Watched


async def test_a_reader_that_joins_at_the_head_gets_what_follows() -> None:
    channel, reader = Watched(), Reader()
    channel.commit(3)
    assert await channel.tell(Join(reader, None)) == Joined(3)
    assert channel.watching == {CHANNEL}
    await channel.tell(News(channel.commit(2)))
    assert reader.seqs == [4, 5]
    assert reader.sent == [b"frame of 4", b"frame of 5"]


async def test_an_event_is_encoded_once_for_all_readers() -> None:
    channel, readers = Watched(), [Reader() for _ in range(5)]
    for reader in readers:
        await channel.tell(Join(reader, None))
    await channel.tell(News(channel.commit(2)))
    assert [reader.seqs for reader in readers] == [[1, 2]] * 5
    assert [reader.several for reader in readers] == [1] * 5, "a call costs more than an event"
    assert channel.encoded == 2


@pytest.mark.parametrize("hot", [True, False])
async def test_a_reader_that_missed_some_gets_them_first(hot: bool) -> None:
    channel, reader = Watched(), Reader()
    if hot:
        await channel.append(5)
    else:
        channel.commit(5)
    assert await channel.tell(Join(reader, 2)) == Joined(5)
    await channel.tell(News(channel.commit()))
    assert reader.seqs == [3, 4, 5, 6]


async def test_a_reader_that_missed_too_much_must_read_first_and_costs_nobody_a_read() -> None:
    """What is read in its turn, everybody of the channel waits for (E10)."""
    channel, reader = Watched(), Reader()
    channel.commit(NEARLY_THERE + 1)
    assert await channel.tell(Join(reader, 0)) == Behind(NEARLY_THERE + 1)
    assert channel.log.queries == ["bounds"]
    await channel.tell(Leave(reader))
    assert channel.watching == set()
    assert await channel.tell(Join(reader, 1)) == Joined(NEARLY_THERE + 1)
    assert reader.seqs == list(range(2, NEARLY_THERE + 2))


async def test_a_reader_that_is_ahead_of_the_actor_gets_nothing_twice() -> None:
    """It was told elsewhere of what this process has not heard of yet."""
    channel, early, late = Watched(), Reader(), Reader()
    channel.commit(5)
    await channel.tell(Join(early, None))
    entries = channel.commit(3)
    assert await channel.tell(Join(late, 7)) == Joined(8)
    assert early.seqs == [6, 7, 8]
    await channel.tell(News(entries))
    await channel.tell(News(channel.commit()))
    assert late.seqs == [8, 9]
    assert early.seqs == [6, 7, 8, 9]


async def test_a_reader_that_catches_up_brings_the_others_along() -> None:
    channel, early, late = Watched(), Reader(), Reader()
    await channel.append(2)
    await channel.tell(Join(early, None))
    await channel.append(3)
    assert await channel.tell(Join(late, 0)) == Joined(5)
    assert (early.seqs, late.seqs) == ([3, 4, 5], [1, 2, 3, 4, 5])


async def test_what_retention_has_removed_is_never_skipped_over() -> None:
    channel, reader, late = Watched(), Reader(), Reader()
    channel.commit(5)
    await channel.tell(Join(reader, None))
    channel.commit(3)
    channel.log.floors[CHANNEL] = 4
    assert await channel.tell(Join(late, 2)) == Behind(5)
    assert late.seqs == []


async def test_a_gap_that_nothing_fills_is_not_skipped_over() -> None:
    channel, reader = Watched(), Reader()
    await channel.tell(Join(reader, None))
    entries = channel.commit(5)
    channel.log.floors[CHANNEL] = 3
    await channel.tell(News(entries[4:]))
    await channel.tell(Look(5))
    assert reader.seqs == []


@pytest.mark.parametrize("told", ["twice", "late", "in parts", "reversed", "with a gap"])
async def test_whatever_way_news_come_they_are_delivered_once_and_in_order(told: str) -> None:
    channel, reader = Watched(), Reader()
    await channel.tell(Join(reader, None))
    entries = await channel.append(6)
    order: dict[str, list[list[Entry]]] = {
        "twice": [entries, entries],
        "late": [entries[3:], entries[:3]],
        "in parts": [entries[:4], entries[2:]],
        "reversed": [[entry] for entry in reversed(entries)],
        "with a gap": [entries[:1], entries[5:]],
    }
    for news in order[told]:
        await channel.tell(News(news))
    assert reader.seqs == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("head", [0, 3, 4])
async def test_a_look_brings_what_is_there(head: int) -> None:
    channel, reader = Watched(), Reader()
    await channel.tell(Join(reader, None))
    await channel.append(4)
    await channel.tell(Look(head))
    assert reader.seqs == [1, 2, 3, 4]
    queries = len(channel.log.queries)
    await channel.tell(Look(head or 4))
    assert len(channel.log.queries) == queries, "what is known needs no look"


async def test_a_gap_wider_than_a_page_is_filled_whole() -> None:
    channel, reader = Watched(), Reader()
    await channel.tell(Join(reader, None))
    channel.commit(2 * PAGE + 5)
    await channel.tell(News(channel.commit()))
    assert reader.seqs == list(range(1, 2 * PAGE + 7))


async def test_a_window_that_is_behind_does_not_hide_the_log() -> None:
    channel, reader = Watched(), Reader()
    await channel.append(2)
    await channel.tell(Join(reader, None))
    channel.commit(3)
    await channel.tell(Look(5))
    assert reader.seqs == [3, 4, 5]


async def test_without_the_windows_everything_is_read_from_the_log() -> None:
    channel, reader = Watched(), Reader()
    channel.line.up = False
    channel.commit(2)
    assert await channel.tell(Join(reader, 0)) == Joined(2)
    channel.commit(2)
    await channel.tell(Look(0))
    assert reader.seqs == [1, 2, 3, 4]


async def test_when_the_last_reader_leaves_nothing_is_watched_any_more() -> None:
    channel, one, other = Watched(), Reader(), Reader()
    for reader in (one, other):
        await channel.tell(Join(reader, None))
    await channel.tell(Leave(one))
    await channel.tell(News(channel.commit()))
    assert (one.seqs, other.seqs) == ([], [1])
    assert channel.watching == {CHANNEL}
    await channel.tell(Leave(other))
    assert channel.watching == set()
    await channel.tell(News(channel.commit()))
    await channel.tell(Look(0))
    await channel.tell(Leave(other))
    assert (one.seqs, other.seqs, channel.watching) == ([], [1], set())


async def test_a_reader_that_could_not_join_leaves_nothing_watched() -> None:
    channel, reader = Watched(), Reader()
    channel.log.up = False
    with pytest.raises(LogUnavailable):
        await channel.tell(Join(reader, None))
    await channel.tell(Leave(reader))
    assert channel.watching == set()
    channel.log.up = True
    assert await channel.tell(Join(reader, None)) == Joined(0)
    assert channel.watching == {CHANNEL}


async def test_a_gap_that_could_not_be_filled_is_filled_later() -> None:
    channel, reader = Watched(), Reader()
    await channel.tell(Join(reader, None))
    channel.commit(2)
    third = channel.commit()
    channel.log.up = False
    with pytest.raises(LogUnavailable):
        await channel.tell(News(third))
    assert reader.seqs == []
    channel.log.up = True
    await channel.tell(Look(3))
    assert reader.seqs == [1, 2, 3]


Step = tuple[str, int, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["commit", "append", "news", "look", "join", "leave", "lose", "cut", "mend"]
        ),
        st.integers(0, 9),
        st.integers(0, 2**16),
    ),
    max_size=30,
)


@settings(max_examples=300, deadline=None)
@given(steps)
def test_every_reader_gets_every_number_after_its_position_once_and_in_order(
    steps: list[Step],
) -> None:
    run_virtual(lambda: _play(steps))


async def _play(steps: list[Step]) -> None:
    channel = Watched()
    # Each reader that is joined, and the number after which its first one comes.
    joined: dict[int, tuple[Reader, int]] = {}
    for step in steps:
        await _take(channel, joined, step)
        for reader, after in joined.values():
            assert reader.seqs == list(range(after + 1, after + 1 + len(reader.seqs)))
    channel.log.up = True
    await channel.tell(Look(0))
    for reader, after in joined.values():
        assert reader.seqs == list(range(after + 1, channel.log.head(CHANNEL) + 1))
    assert channel.watching == ({CHANNEL} if joined else set())


async def _take(channel: Watched, joined: dict[int, tuple[Reader, int]], step: Step) -> None:
    what, number, seed = step
    chance, head = random.Random(seed), channel.log.head(CHANNEL)
    try:
        match what:
            case "commit":
                channel.commit(number)
            case "append" if channel.line.up:
                await channel.append(number + 1)
            case "news" if head:
                first = chance.randint(0, head - 1)
                entries = channel.log.above(CHANNEL, first)[: number + 1]
                await channel.tell(News(entries))
            case "look":
                await channel.tell(Look(chance.choice([0, head])))
            case "join" if number not in joined:
                await _join(channel, joined, number, chance.choice([None, chance.randint(0, head)]))
            case "leave" if number in joined:
                reader, _ = joined.pop(number)
                await channel.tell(Leave(reader))
            case "lose":
                channel.windows.lose_all()
            case "cut" | "mend":
                if chance.random() < 0.5:
                    channel.log.up = what == "mend"
                else:
                    channel.line.up = what == "mend"
    except LogUnavailable:
        assert not channel.log.up


async def _join(
    channel: Watched, joined: dict[int, tuple[Reader, int]], number: int, after: int | None
) -> None:
    """Catch up as a resuming connection does: read what it takes, then join again."""
    reader, position = Reader(), after
    try:
        while not isinstance(reply := await channel.tell(Join(reader, position)), Joined):
            assert position is not None
            for entry in await channel.events.read(CHANNEL, position, PAGE):
                reader.put(CHANNEL, entry, b"")
                position = entry.seq
    except LogUnavailable:
        await channel.tell(Leave(reader))
        raise
    joined[number] = (reader, reply.head if after is None else after)
