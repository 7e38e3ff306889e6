"""What a journal numbers and times: events, alarms, and the time guard."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
import trio

from actors.journal import (
    Alarm,
    AlarmClear,
    AlarmFired,
    AlarmSet,
    Commit,
    Committed,
    Conflict,
    Journal,
)
from tests.suites.journal_fixtures import (
    HOUR,
    JournalFixtures,
    MakeRow,
    NewId,
    ReadAlarm,
    ReadLog,
    commit_of,
    committed,
    event_on,
    refused,
)


class TimeSuite(JournalFixtures):
    """The clock of the journal decides (S8)."""

    @pytest.mark.parametrize(
        ("not_before", "not_after", "holds"),
        [
            (-HOUR, None, True),
            (None, HOUR, True),
            (-HOUR, HOUR, True),
            (HOUR, None, False),
            (None, -HOUR, False),
            (HOUR, 2 * HOUR, False),
            (-2 * HOUR, -HOUR, False),
        ],
    )
    async def test_the_time_guard_holds_from_one_time_to_the_other(
        self,
        journal: Journal,
        not_before: timedelta | None,
        not_after: timedelta | None,
        holds: bool,
    ) -> None:
        now = journal.now()
        outcome = await journal.commit(
            Commit(
                uuid4(),
                not_before=None if not_before is None else now + not_before,
                not_after=None if not_after is None else now + not_after,
            )
        )
        if holds:
            assert isinstance(outcome, Committed)
        else:
            assert isinstance(outcome, Conflict)
            assert (outcome.guard, outcome.holds) == ("time", {})

    async def test_the_time_of_an_outcome_is_that_of_the_journal(
        self, journal: Journal, make_row: MakeRow, new_id: NewId
    ) -> None:
        row = make_row("request", new_id("request"), 1)
        applied = await committed(journal, commit_of(row))
        conflict = await refused(journal, commit_of(row))
        assert abs(applied.now - journal.now()) < timedelta(minutes=1)
        assert applied.now <= conflict.now
        assert applied.now.utcoffset() is not None


class EventSuite(JournalFixtures):
    """Each channel is numbered 1, 2, 3, ... in the order of commits (E1)."""

    async def test_events_are_numbered_from_one_without_a_gap_on_each_channel(
        self, journal: Journal, read_log: ReadLog
    ) -> None:
        a, b = f"request:{uuid4()}", f"entity:{uuid4()}"
        events = [event_on(a, b), event_on(b), event_on(a), event_on(b, a)]
        first = await committed(journal, Commit(uuid4(), events=tuple(events[:3])))
        second = await committed(journal, Commit(uuid4(), events=tuple(events[3:])))
        assert first.seqs == {a: (1, 2), b: (1, 2)}
        assert second.seqs == {a: (3,), b: (3,)}
        for channel, numbered in [(a, [0, 2, 3]), (b, [0, 1, 3])]:
            assert await read_log(channel) == [
                (seq, events[n].id, events[n].data) for seq, n in enumerate(numbered, start=1)
            ]

    async def test_a_commit_without_events_has_no_numbers(
        self, journal: Journal, make_row: MakeRow, new_id: NewId, read_log: ReadLog
    ) -> None:
        row = make_row("request", new_id("request"), 1)
        assert (await committed(journal, commit_of(row))).seqs == {}
        assert await read_log(f"request:{row.id}") == []

    async def test_concurrent_commits_share_a_channel_without_gap_or_repeat(
        self, journal: Journal, read_log: ReadLog
    ) -> None:
        shared = f"entity:{uuid4()}"
        numbers: dict[str, tuple[int, ...]] = {}

        async def append(count: int) -> None:
            events = tuple(event_on(shared, f"request:{uuid4()}") for _ in range(count))
            outcome = await committed(journal, Commit(uuid4(), events=events))
            assert outcome.seqs[shared] == tuple(sorted(outcome.seqs[shared]))
            numbers.update(
                (event.id, (seq,)) for event, seq in zip(events, outcome.seqs[shared], strict=True)
            )

        async with trio.open_nursery() as nursery:
            for number in range(30):
                nursery.start_soon(append, number % 3 + 1)
        log = await read_log(shared)
        assert [seq for seq, _, _ in log] == list(range(1, 61))
        assert {event_id: (seq,) for seq, event_id, _ in log} == numbers


class AlarmSuite(JournalFixtures):
    """An alarm fires once, at the generation that was due (S10)."""

    async def test_an_alarm_is_kept_until_it_is_cleared(
        self, journal: Journal, read_alarm: ReadAlarm
    ) -> None:
        alarm = AlarmSet(f"alarm-{uuid4()}", journal.now() + HOUR, "request:x")
        await committed(journal, Commit(uuid4(), alarms=(alarm,)))
        stored = await read_alarm(alarm.id)
        assert stored is not None
        assert stored[1:] == (alarm.due, alarm.subject)
        for _ in range(2):  # clearing what is not there does nothing
            await committed(journal, Commit(uuid4(), alarms=(AlarmClear(alarm.id),)))
            assert await read_alarm(alarm.id) is None

    @pytest.mark.parametrize("between", ["set again", "cleared", "fired"])
    async def test_a_newer_alarm_has_a_higher_generation_than_any_before(
        self, journal: Journal, read_alarm: ReadAlarm, between: str
    ) -> None:
        alarm = AlarmSet(f"alarm-{uuid4()}", journal.now(), "request:x")
        generation = await self._set(journal, read_alarm, alarm)
        steps: dict[str, tuple[Alarm, ...]] = {
            "set again": (),
            "cleared": (AlarmClear(alarm.id),),
            "fired": (AlarmFired(alarm.id, generation),),
        }
        await committed(journal, Commit(uuid4(), alarms=steps[between]))
        later = replace(alarm, due=alarm.due + HOUR, subject="request:y")
        assert await self._set(journal, read_alarm, later) > generation
        stale = AlarmFired(alarm.id, generation)
        conflict = await refused(journal, Commit(uuid4(), alarms=(stale,)))
        assert (conflict.guard, conflict.holds) == ("fence", {"alarm": alarm.id})
        stored = await read_alarm(alarm.id)
        assert stored is not None
        assert stored[1:] == (later.due, later.subject)

    async def test_an_alarm_fires_once(self, journal: Journal, read_alarm: ReadAlarm) -> None:
        alarm = AlarmSet(f"alarm-{uuid4()}", journal.now(), "request:x")
        fired = AlarmFired(alarm.id, await self._set(journal, read_alarm, alarm))
        outcomes: list[Committed | Conflict] = []

        async def fire() -> None:
            outcomes.append(await journal.commit(Commit(uuid4(), alarms=(fired,))))

        async with trio.open_nursery() as nursery:
            for _ in range(5):
                nursery.start_soon(fire)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == [
            "Committed",
            *["Conflict"] * 4,
        ]
        assert await read_alarm(alarm.id) is None

    async def test_firing_can_set_the_alarm_again_in_one_commit(
        self, journal: Journal, read_alarm: ReadAlarm
    ) -> None:
        alarm = AlarmSet(f"alarm-{uuid4()}", journal.now(), "request:x")
        generation = await self._set(journal, read_alarm, alarm)
        later = replace(alarm, due=alarm.due + HOUR)
        fired = AlarmFired(alarm.id, generation)
        await committed(journal, Commit(uuid4(), alarms=(later, fired)))
        stored = await read_alarm(alarm.id)
        assert stored is not None
        assert stored[0] > generation
        assert stored[1] == later.due

    async def _set(self, journal: Journal, read_alarm: ReadAlarm, alarm: AlarmSet) -> int:
        """Set `alarm` and return its generation."""
        await committed(journal, Commit(uuid4(), alarms=(alarm,)))
        stored = await read_alarm(alarm.id)
        assert stored is not None
        return stored[0]
