"""Both interleavings of "suspend" and "answered", in transactions by hand (F2)."""

from __future__ import annotations

import asyncio
from dataclasses import replace as replaced
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from msgspec import Raw
from msgspec.structs import replace

from actors.journal import Commit, Committed, Conflict, Event, Row, Settlement
from pxbox.behaviors.flow_commits import flow_row, new_flow_row
from pxbox.model.flow import Flow, FlowStatus
from pxbox.model.ids import new_ulid
from pxbox.postgres.statements import sql
from tests.postgres.sessions import Sessions, with_sessions

AT = datetime(2030, 1, 1, tzinfo=UTC)
NULL = Raw(b"null")


def created() -> tuple[Flow, Commit]:
    flow = Flow(new_ulid(), "expense", "asker", AT, AT, version=1, kind_version=1)
    row = new_flow_row(flow, NULL, NULL)
    return flow, Commit(uuid4(), rows=(row,))


def suspends(flow: Flow, wake: int = 0) -> Commit:
    after = replace(flow, version=2, status=FlowStatus.WAITING_INPUT)
    row = flow_row(after, runnable="clear", seen=wake)
    row = type(row)(row.table, row.id, row.version, row.values, {"wake": wake})
    return Commit(uuid4(), rows=(row,))


def answered(flow: Flow, wait: str = "", wakes: bool = True) -> Commit:
    outcome = {"outcome": "answered", "data": None}
    return Commit(uuid4(), settlements=(Settlement(flow.id, wait or new_ulid(), outcome, wakes),))


async def found(sessions: Sessions, flow: Flow) -> tuple[str, int, int, bool]:
    """(status, wake, seen, whether it is to be run)."""
    text = "select status, wake, seen, runnable_at is not null from flow where id = $1"
    [(status, wake, seen, runnable)] = await sessions.eye.fetch(text, flow.id)
    return status, wake, seen, runnable


def test_an_answer_first_refuses_the_waiting_and_says_what_woke_it(
    shared_database_url: str,
) -> None:
    async def body(sessions: Sessions) -> None:
        flow, creation = created()
        worker, responder = await sessions.pair()
        await worker.whole(creation)
        await responder.begin()
        await responder.put(answered(flow))
        suspending = asyncio.ensure_future(worker.whole(suspends(flow)))
        await sessions.blocked(worker, suspending)
        await responder.commit()
        [refused] = await suspending
        assert isinstance(refused, Conflict)
        assert refused.guard == "fence"
        assert refused.holds["column"] == "wake"
        assert await found(sessions, flow) == ("RUNNING", 1, 0, True)

    with_sessions(shared_database_url, body)


def test_an_answer_after_the_flow_came_to_wait_wakes_it(shared_database_url: str) -> None:
    async def body(sessions: Sessions) -> None:
        flow, creation = created()
        worker, responder = await sessions.pair()
        await worker.whole(creation)
        await worker.begin()
        await worker.put(suspends(flow))
        answering = asyncio.ensure_future(responder.whole(answered(flow)))
        await sessions.blocked(responder, answering)
        await worker.commit()
        [done] = await answering
        assert isinstance(done, Committed)
        assert await found(sessions, flow) == ("WAITING_INPUT", 1, 0, True)

    with_sessions(shared_database_url, body)


@pytest.mark.parametrize("first", ["suspend", "answered"])
def test_in_one_batch_the_flow_waits_and_is_woken(shared_database_url: str, first: str) -> None:
    async def body(sessions: Sessions) -> None:
        flow, creation = created()
        session = await sessions.open()
        await session.whole(creation)
        both = [suspends(flow), answered(flow)]
        outcomes = await session.whole(*(both if first == "suspend" else reversed(both)))
        assert all(isinstance(one, Committed) for one in outcomes)
        assert await found(sessions, flow) == ("WAITING_INPUT", 1, 0, True)

    with_sessions(shared_database_url, body)


def test_answers_at_once_are_counted_each(shared_database_url: str) -> None:
    async def body(sessions: Sessions) -> None:
        flow, creation = created()
        one, other = await sessions.pair()
        await one.whole(creation)
        await one.begin()
        await one.put(answered(flow))
        second = asyncio.ensure_future(other.whole(answered(flow)))
        await sessions.blocked(other, second)
        await one.commit()
        await second
        await one.whole(answered(flow), answered(flow), answered(flow, wakes=False))
        assert (await found(sessions, flow))[1] == 4

    with_sessions(shared_database_url, body)


def test_an_outcome_wakes_no_flow_that_has_ended(shared_database_url: str) -> None:
    async def body(sessions: Sessions) -> None:
        flow, creation = created()
        session = await sessions.open()
        await session.whole(creation)
        ends = replace(flow, version=2, status=FlowStatus.COMPLETED, closed_at=AT)
        await session.whole(Commit(uuid4(), rows=(flow_row(ends, runnable="clear"),)))
        await session.whole(answered(flow))
        assert await found(sessions, flow) == ("COMPLETED", 0, 0, False)

    with_sessions(shared_database_url, body)


def test_what_is_leased_while_the_session_ends_goes_to_others(shared_database_url: str) -> None:
    async def body(sessions: Sessions) -> None:
        flow, creation = created()
        broker, another = await sessions.pair()
        await broker.whole(creation)
        session = new_ulid()
        lasts = timedelta(seconds=30)
        await another.fetch(sql("open_session"), session, "me", "{}", lasts, None, None)
        await broker.begin()
        given = await broker.fetch(sql("lease_flows"), session, "me", [flow.kind], [1], 200)
        assert flow.id in [id for id, *_ in given]
        ending = asyncio.ensure_future(another.fetch(sql("end_sessions"), session, None))
        await sessions.blocked(another, ending)
        await broker.commit()
        assert flow.id in [id for id, *_ in await ending]
        assert await found(sessions, flow) == ("RUNNING", 0, 0, True)

    with_sessions(shared_database_url, body)


def test_a_checkpoint_with_steps_that_is_sent_again_has_landed(shared_database_url: str) -> None:
    """Its steps are recorded already, by itself: no reason to refuse it."""

    async def body(sessions: Sessions) -> None:
        flow, creation = created()
        worker, again = await sessions.pair()
        await worker.whole(creation)
        step = {"flow_id": flow.id, "n": 1, "key": "score#1", "digest": "d", "result": "1"}
        rows = (flow_row(replace(flow, version=2)), Row("flow_step", f"{flow.id}/score#1", 1, step))
        told = (Event(new_ulid(), (f"flow:{flow.id}",), b"{}"),)
        checkpoint = Commit(uuid4(), rows=rows, events=told)
        for session in (worker, again):
            [outcome] = await session.whole(checkpoint)
            assert isinstance(outcome, Committed), outcome
        [other] = await again.whole(replaced(checkpoint, id=uuid4()))
        assert isinstance(other, Conflict)
        assert await sessions.log(f"flow:{flow.id}") == [(1, told[0].id)]
        [(steps,)] = await sessions.eye.fetch(
            "select count(*) from flow_step where flow_id = $1", flow.id
        )
        assert steps == 1

    with_sessions(shared_database_url, body)
