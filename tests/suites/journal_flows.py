"""What every journal does for flows: outcomes of waits, what is expected beside a version, and
messages between actors (F2, F4, S5)."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
import trio

from actors.journal import Commit, Committed, Conflict, Journal, Message, Row, Settlement
from tests.suites.journal_fixtures import (
    JournalFixtures,
    MakeRow,
    NewId,
    ReadMessages,
    ReadOutcome,
    commit_of,
    committed,
    refused,
)


def settles(owner: str, wait: str, outcome: str = "answered", wakes: bool = True) -> Commit:
    values = {"outcome": outcome, "data": None}
    return Commit(uuid4(), settlements=(Settlement(owner, wait, values, wakes),))


def expecting(row: Row, **columns: object) -> Commit:
    return commit_of(replace(row, expects=columns))


class FlowSuite(JournalFixtures):
    @pytest.fixture
    async def flow(self, journal: Journal, make_row: MakeRow, new_id: NewId) -> str:
        """The id of a flow at version 1 that nothing has woken."""
        row = make_row("flow", new_id("flow"), 1)
        await committed(journal, commit_of(row))
        return row.id

    async def test_a_wait_is_settled_once(
        self, journal: Journal, flow: str, new_id: NewId, read_outcome: ReadOutcome
    ) -> None:
        wait = new_id("flow_wait")
        assert await read_outcome(wait) is None
        await committed(journal, settles(flow, wait, "answered"))
        await committed(journal, settles(flow, wait, "expired"))
        assert await read_outcome(wait) == "answered"

    async def test_of_outcomes_at_once_one_stays(
        self, journal: Journal, flow: str, new_id: NewId, read_outcome: ReadOutcome
    ) -> None:
        wait = new_id("flow_wait")
        async with trio.open_nursery() as nursery:
            for outcome in ("answered", "expired", "cancelled"):
                nursery.start_soon(committed, journal, settles(flow, wait, outcome))
        assert await read_outcome(wait) in ("answered", "expired", "cancelled")

    async def test_outcomes_wake_their_flow_unless_they_are_quiet(
        self, journal: Journal, flow: str, make_row: MakeRow, new_id: NewId
    ) -> None:
        await committed(journal, settles(flow, new_id("flow_wait"), wakes=False))
        await committed(journal, settles(flow, new_id("flow_wait")))
        await committed(journal, settles(flow, new_id("flow_wait")))
        conflict = await refused(journal, expecting(make_row("flow", flow, 2), wake=1))
        assert conflict.guard == "fence"
        assert conflict.holds == {"table": "flow", "id": flow, "column": "wake"}
        await committed(journal, expecting(make_row("flow", flow, 2), wake=2))

    async def test_an_outcome_needs_no_version_and_changes_none(
        self, journal: Journal, flow: str, make_row: MakeRow, new_id: NewId
    ) -> None:
        await committed(journal, settles(flow, new_id("flow_wait")))
        assert await journal.confirm("flow", flow, 1)
        await committed(journal, commit_of(make_row("flow", flow, 2)))

    async def test_a_version_is_named_before_what_else_is_expected(
        self, journal: Journal, flow: str, make_row: MakeRow
    ) -> None:
        conflict = await refused(journal, expecting(make_row("flow", flow, 3), wake=7))
        assert conflict.guard == "version"

    async def test_a_refused_commit_settles_nothing_and_sends_nothing(
        self,
        journal: Journal,
        flow: str,
        make_row: MakeRow,
        new_id: NewId,
        read_outcome: ReadOutcome,
        read_messages: ReadMessages,
    ) -> None:
        wait, to = new_id("flow_wait"), f"request:{new_id('request')}"
        commit = replace(
            settles(flow, wait),
            rows=(make_row("flow", flow, 3),),
            messages=(Message(uuid4(), to, b'{"by":"x"}'),),
        )
        await refused(journal, commit)
        assert await read_outcome(wait) is None
        assert await read_messages(to) == []
        await committed(journal, expecting(make_row("flow", flow, 2), wake=0))

    async def test_a_suspending_commit_and_an_outcome_at_once_lose_no_wake(
        self, journal: Journal, flow: str, make_row: MakeRow, new_id: NewId
    ) -> None:
        """F2: refused for the wake, or committed and woken after it; both end with one wake."""
        outcomes: list[Committed | Conflict] = []

        async def suspend() -> None:
            outcomes.append(await journal.commit(expecting(make_row("flow", flow, 2), wake=0)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(suspend)
            nursery.start_soon(committed, journal, settles(flow, new_id("flow_wait")))
        suspended = isinstance(outcomes[0], Committed)
        again = make_row("flow", flow, 3 if suspended else 2)
        await committed(journal, expecting(again, wake=1))

    async def test_a_message_is_kept_until_a_commit_receives_it(
        self, journal: Journal, new_id: NewId, read_messages: ReadMessages
    ) -> None:
        """S5."""
        to = f"request:{new_id('request')}"
        message = Message(uuid4(), to, b'{"by":"x"}')
        await committed(journal, Commit(uuid4(), messages=(message,)))
        assert await read_messages(to) == [message.id]
        await committed(journal, Commit(uuid4(), received=(message.id,)))
        assert await read_messages(to) == []

    async def test_a_message_is_received_once(
        self, journal: Journal, make_row: MakeRow, new_id: NewId
    ) -> None:
        """S5: its effect comes once, whoever is told of it however often."""
        message = Message(uuid4(), f"entity:{new_id('entity')}", b'{"by":"x"}')
        await committed(journal, Commit(uuid4(), messages=(message,)))
        effects = [make_row("entity", new_id("entity"), 1) for _ in range(4)]
        outcomes: list[Committed | Conflict] = []

        async def receive(row: Row) -> None:
            commit = Commit(uuid4(), rows=(row,), received=(message.id,))
            outcomes.append(await journal.commit(commit))

        async with trio.open_nursery() as nursery:
            for row in effects:
                nursery.start_soon(receive, row)
        lost = [one for one in outcomes if isinstance(one, Conflict)]
        assert [one.guard for one in lost] == ["fence"] * 3
        assert {one.holds["message"] for one in lost} == {str(message.id)}
        stored = [await journal.load("entity", row.id) for row in effects]
        assert sum(one is not None for one in stored) == 1
