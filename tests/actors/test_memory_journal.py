"""The journal in memory: the suite of all journals, and what only it promises."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from actors.journal import (
    AlarmClear,
    AlarmFired,
    AlarmSet,
    Commit,
    Committed,
    Conflict,
    Event,
    Key,
    Link,
    Row,
    Unlink,
)
from actors.memory_journal import MemoryJournal
from actors.testing import EPOCH, virtual_now
from tests.actors.behaviors import run_virtual
from tests.suites.journal import JournalSuite
from tests.suites.journal_fixtures import (
    LoadedValues,
    MakeKey,
    MakeLink,
    MakeRow,
    NewId,
    ReadAlarm,
    ReadLinks,
    ReadLog,
    ReadMessages,
    ReadOutcome,
)

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
END_OF_TIME = datetime.max.replace(tzinfo=UTC)
TICK = timedelta(microseconds=1)


class TestMemoryJournal(JournalSuite):
    """The suite, in memory."""

    @pytest.fixture
    def journal(self) -> MemoryJournal:
        return MemoryJournal(lambda: datetime.now(UTC))

    @pytest.fixture
    def make_row(self) -> MakeRow:
        def make(table: str, row_id: str, version: int) -> Row:
            return Row(table, row_id, version, {"title": f"version {version}", "owner": "ann"})

        return make

    @pytest.fixture
    def loaded_values(self) -> LoadedValues:
        return lambda row: row.values

    @pytest.fixture
    def make_key(self) -> MakeKey:
        return lambda key: Key("handle", key, {"entity": "ann"})

    @pytest.fixture
    def make_link(self) -> MakeLink:
        return lambda left, right: Link("member", left, right)

    @pytest.fixture
    def new_id(self) -> NewId:
        return lambda _: str(uuid4())

    @pytest.fixture
    def read_log(self, journal: MemoryJournal) -> ReadLog:
        async def read(channel: str) -> list[tuple[int, str, bytes]]:
            return [(seq, event.id, event.data) for seq, event in journal.events(channel)]

        return read

    @pytest.fixture
    def read_alarm(self, journal: MemoryJournal) -> ReadAlarm:
        async def read(id: str) -> tuple[int, datetime, str] | None:
            for name, generation, due, subject in journal.due_alarms(END_OF_TIME):
                if name == id:
                    return generation, due, subject
            return None

        return read

    @pytest.fixture
    def read_outcome(self, journal: MemoryJournal) -> ReadOutcome:
        async def read(wait: str) -> str | None:
            outcome = journal.outcome(wait)
            return None if outcome is None else str(outcome["outcome"])

        return read

    @pytest.fixture
    def read_messages(self, journal: MemoryJournal) -> ReadMessages:
        async def read(to: str) -> list[UUID]:
            return [message.id for message in journal.messages() if message.to == to]

        return read

    @pytest.fixture
    def read_links(self, journal: MemoryJournal) -> ReadLinks:
        async def read(link: Link) -> set[str]:
            return set(journal.links(link.table, link.left))

        return read


@pytest.mark.parametrize(
    ("not_before", "not_after", "holds"),
    [
        (NOON, None, True),
        (NOON + TICK, None, False),
        (None, NOON, False),
        (None, NOON + TICK, True),
        (NOON, NOON + TICK, True),
    ],
)
async def test_the_time_guard_is_exact(
    not_before: datetime | None, not_after: datetime | None, holds: bool
) -> None:
    journal = MemoryJournal(lambda: NOON)
    outcome = await journal.commit(Commit(uuid4(), not_before=not_before, not_after=not_after))
    assert outcome == (Committed(NOON, {}) if holds else Conflict("time", NOON, {}))


async def test_a_commit_that_is_repeated_is_applied_once(autojump_clock: MockClock) -> None:
    journal = MemoryJournal(virtual_now)
    row = Row("request", "r", 1, {"title": "hello"})
    commit = Commit(uuid4(), rows=(row,), events=(Event("e", ("c",), b"{}"),))
    first = await journal.commit(commit)
    await trio.sleep(1)
    assert await journal.commit(commit) == first == Committed(EPOCH, {"c": (1,)})
    assert len(journal.events("c")) == 1


async def test_a_commit_that_was_refused_is_decided_anew_when_it_is_repeated() -> None:
    journal = MemoryJournal(lambda: NOON)
    update = Commit(uuid4(), rows=(Row("request", "r", 2, {}),))
    assert isinstance(await journal.commit(update), Conflict)
    await journal.commit(Commit(uuid4(), rows=(Row("request", "r", 1, {}),)))
    assert isinstance(await journal.commit(update), Committed)


async def test_a_cancelled_commit_is_not_applied_in_part() -> None:
    journal = MemoryJournal(lambda: NOON)
    with trio.CancelScope() as scope:
        scope.cancel()
        await journal.commit(Commit(uuid4(), rows=(Row("request", "r", 1, {}),)))
    assert scope.cancelled_caught
    assert await journal.load("request", "r") is None


async def test_what_was_loaded_or_committed_can_be_changed_without_harm() -> None:
    journal = MemoryJournal(lambda: NOON)
    values: dict[str, object] = {"title": "hello"}
    await journal.commit(Commit(uuid4(), rows=(Row("request", "r", 1, values),)))
    values["title"] = "changed"
    assert await journal.load("request", "r") == {"title": "hello", "version": 1}


async def test_due_alarms_come_oldest_first() -> None:
    journal = MemoryJournal(lambda: NOON)
    alarms = tuple(AlarmSet(f"a{hour}", NOON + timedelta(hours=hour), "s") for hour in (2, 0, 1))
    await journal.commit(Commit(uuid4(), alarms=alarms))
    due = journal.due_alarms(NOON + timedelta(hours=1))
    assert [(name, at) for name, _, at, _ in due] == [
        ("a0", NOON),
        ("a1", NOON + timedelta(hours=1)),
    ]


@pytest.mark.parametrize(
    "contradiction",
    [
        {"rows": (Row("request", "r", 1, {}), Row("request", "r", 2, {}))},
        {"keys": (Key("handle", "k", {}), Key("handle", "k", {}))},
        {"alarms": (AlarmSet("a", NOON, "x"), AlarmSet("a", NOON, "y"))},
        {"alarms": (AlarmFired("a", 1), AlarmClear("a"))},
        {"links": (Link("member", "g", "m"), Unlink("member", "g", "m"))},
    ],
)
def test_a_commit_that_contradicts_itself_is_refused(contradiction: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="twice"):
        Commit(uuid4(), **contradiction)


def test_versions_start_at_one() -> None:
    with pytest.raises(ValueError, match="start at 1"):
        Row("request", "r", 0, {})


names = st.sampled_from(string.ascii_lowercase[:3])
rows = st.builds(Row, st.just("t"), names, st.integers(1, 4), st.just({}))
events = st.builds(
    Event, names, st.lists(names, min_size=1, max_size=3, unique=True).map(tuple), st.just(b"")
)
commits = st.tuples(
    st.lists(rows, max_size=3, unique_by=lambda row: row.id).map(tuple),
    st.lists(events, max_size=4).map(tuple),
)


@settings(deadline=None)
@given(st.lists(commits, max_size=20))
def test_versions_rise_by_one_and_channels_have_no_gap(
    parts: list[tuple[tuple[Row, ...], tuple[Event, ...]]],
) -> None:
    async def main() -> None:
        journal = MemoryJournal(virtual_now)
        versions: dict[str, int] = {}
        logs: dict[str, list[Event]] = {}
        for rows, events in parts:
            outcome = await journal.commit(Commit(uuid4(), rows=rows, events=events))
            allowed = all(versions.get(row.id, 0) == row.version - 1 for row in rows)
            assert isinstance(outcome, Committed if allowed else Conflict)
            if isinstance(outcome, Conflict):
                continue
            versions.update({row.id: row.version for row in rows})
            for event in events:
                for channel in event.channels:
                    logs.setdefault(channel, []).append(event)
            assert all(logs[c][seq - 1] in events for c in outcome.seqs for seq in outcome.seqs[c])
        for channel, log in logs.items():
            assert journal.events(channel) == list(enumerate(log, start=1))
        for row_id, version in versions.items():
            assert await journal.confirm("t", row_id, version)

    run_virtual(main)
