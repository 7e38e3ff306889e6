"""What every journal does, whatever it is made of.

A test module of an implementation subclasses `JournalSuite` and gives the fixtures that
`JournalFixtures` names. Each test uses ids of its own, so one database serves them all.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest

from actors.journal import (
    AlarmFired,
    AlarmSet,
    Commit,
    Journal,
)
from tests.suites.journal_fixtures import (
    HOUR,
    MakeKey,
    MakeLink,
    MakeRow,
    NewId,
    ReadAlarm,
    ReadLinks,
    ReadLog,
    commit_of,
    committed,
    event_on,
    refused,
)
from tests.suites.journal_flows import FlowSuite
from tests.suites.journal_log import AlarmSuite, EventSuite, TimeSuite
from tests.suites.journal_state import KeySuite, LinkSuite, RowSuite


class JournalSuite(RowSuite, KeySuite, LinkSuite, TimeSuite, EventSuite, AlarmSuite, FlowSuite):
    """All that a journal promises; here, that a commit is applied whole or not at all (S4)."""

    async def test_a_refused_commit_leaves_nothing_behind(
        self,
        journal: Journal,
        make_row: MakeRow,
        make_key: MakeKey,
        make_link: MakeLink,
        new_id: NewId,
        read_log: ReadLog,
        read_alarm: ReadAlarm,
        read_links: ReadLinks,
    ) -> None:
        row = make_row("entity", new_id("entity"), 1)
        key = make_key(f"key-{uuid4()}")
        member = make_row("entity", new_id("entity"), 1)
        await committed(journal, commit_of(member))
        link = make_link(row.id, member.id)
        alarm = AlarmSet(f"alarm-{uuid4()}", journal.now(), "request:x")
        channel = f"entity:{uuid4()}"
        whole = Commit(
            uuid4(),
            rows=(row,),
            keys=(key,),
            events=(event_on(channel),),
            alarms=(alarm,),
            links=(link,),
        )
        gone = AlarmFired(f"alarm-{uuid4()}", 1)
        for failing in (
            replace(whole, rows=(row, make_row("request", new_id("request"), 2))),
            replace(whole, not_after=journal.now() - HOUR),
            replace(whole, alarms=(alarm, gone)),
        ):
            await refused(journal, replace(failing, id=uuid4()))
            assert await journal.load("entity", row.id) is None
            assert await read_log(channel) == []
            assert await read_alarm(alarm.id) is None
            assert await read_links(link) == set()
        assert (await committed(journal, whole)).seqs == {channel: (1,)}

    async def test_a_key_that_is_held_leaves_nothing_of_the_commit_behind(
        self, journal: Journal, make_row: MakeRow, make_key: MakeKey, new_id: NewId
    ) -> None:
        held, free = (make_key(f"key-{uuid4()}") for _ in range(2))
        row = make_row("entity", new_id("entity"), 1)
        await committed(journal, Commit(uuid4(), keys=(held,)))
        conflict = await refused(journal, Commit(uuid4(), rows=(row,), keys=(free, held)))
        assert conflict.holds["key"] == held.key
        assert await journal.load("entity", row.id) is None
        await committed(journal, Commit(uuid4(), keys=(free,)))

    @pytest.mark.parametrize(
        "failing",
        [
            ("key", "version", "time", "fence"),
            ("version", "time", "fence"),
            ("time", "fence"),
            ("fence",),
            ("key", "fence"),
            ("version", "fence"),
        ],
    )
    async def test_of_several_failed_guards_the_first_in_order_is_named(
        self,
        journal: Journal,
        make_row: MakeRow,
        make_key: MakeKey,
        new_id: NewId,
        failing: tuple[str, ...],
    ) -> None:
        key = make_key(f"key-{uuid4()}")
        await committed(journal, Commit(uuid4(), keys=(key,)))
        absent = make_row("request", new_id("request"), 2)
        conflict = await refused(
            journal,
            Commit(
                uuid4(),
                keys=(key,) if "key" in failing else (),
                rows=(absent,) if "version" in failing else (),
                not_before=journal.now() + HOUR if "time" in failing else None,
                alarms=(AlarmFired(f"alarm-{uuid4()}", 1),),
            ),
        )
        assert conflict.guard == failing[0]
