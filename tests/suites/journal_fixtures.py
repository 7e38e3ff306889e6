"""What the suite of all journals needs from an implementation, and says in its own words."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from actors.journal import Commit, Committed, Conflict, Event, Journal, Key, Link, Row

MakeRow = Callable[[str, str, int], Row]
"""(table, id, version): a whole row of valid values, others for another version."""

LoadedValues = Callable[[Row], Mapping[str, object]]
"""(row): those of its values that `load` gives back; the others are written only."""

MakeKey = Callable[[str], Key]
MakeLink = Callable[[str, str], Link]
NewId = Callable[[str], str]
"""(table): an id that no row of it has."""

ReadLog = Callable[[str], Awaitable[list[tuple[int, str, bytes]]]]
"""(channel): (seq, event id, data) of its whole log, in order."""

ReadAlarm = Callable[[str], Awaitable[tuple[int, datetime, str] | None]]
"""(alarm id): its generation, due time and subject; None if there is none."""

ReadLinks = Callable[[Link], Awaitable[set[str]]]
"""(link): the members of the set that it names by `table` and `left`."""

ReadOutcome = Callable[[str], Awaitable[str | None]]
"""(wait): the outcome that it has; None if it has none yet."""

ReadMessages = Callable[[str], Awaitable[list[UUID]]]
"""(recipient): the messages that it has not received yet."""

HOUR = timedelta(hours=1)


def commit_of(*rows: Row) -> Commit:
    return Commit(uuid4(), rows=rows)


async def committed(journal: Journal, commit: Commit) -> Committed:
    """Commit, and expect it to be applied."""
    outcome = await journal.commit(commit)
    assert isinstance(outcome, Committed), outcome
    return outcome


async def refused(journal: Journal, commit: Commit) -> Conflict:
    """Commit, and expect a guard to fail."""
    outcome = await journal.commit(commit)
    assert isinstance(outcome, Conflict), outcome
    return outcome


def event_on(*channels: str) -> Event:
    return Event(f"event.{uuid4()}", channels, b'{"n":1}')


class JournalFixtures:
    """The fixtures that each implementation gives."""

    @pytest.fixture
    def journal(self) -> Journal:
        raise NotImplementedError

    @pytest.fixture
    def make_row(self) -> MakeRow:
        raise NotImplementedError

    @pytest.fixture
    def loaded_values(self) -> LoadedValues:
        raise NotImplementedError

    @pytest.fixture
    def make_key(self) -> MakeKey:
        raise NotImplementedError

    @pytest.fixture
    def make_link(self) -> MakeLink:
        raise NotImplementedError

    @pytest.fixture
    def new_id(self) -> NewId:
        raise NotImplementedError

    @pytest.fixture
    def read_log(self) -> ReadLog:
        raise NotImplementedError

    @pytest.fixture
    def read_alarm(self) -> ReadAlarm:
        raise NotImplementedError

    @pytest.fixture
    def read_links(self) -> ReadLinks:
        raise NotImplementedError

    @pytest.fixture
    def read_outcome(self) -> ReadOutcome:
        raise NotImplementedError

    @pytest.fixture
    def read_messages(self) -> ReadMessages:
        raise NotImplementedError
