"""Deadlines and lapsed claims with two broker processes: each fires once, and in time (S8, S10)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
import trio

from pxbox.behaviors.alarm import MOST_AT_ONCE
from tests.brokers import Broker, Brokers, Socket
from tests.inspection import Database, assert_sound, eventually
from tests.processes.overdue import models
from tests.processes.people import Call, People, at_once

EACH = 5
LATE_SECONDS = 3.0
"""S10 says 1 s, on a machine that is not busy with other tests."""
SOON = timedelta(seconds=2)
OVERDUE = 10_000
STEP = timedelta(milliseconds=1)
# Of each of these events that channel's which tells of all of its kind, as they were committed.
TOLD = """
select channel, seq, data ->> 'type' as type, data ->> 'requestId' as id,
       (data ->> 'at')::timestamptz as at, (data ->> 'lateBy')::float as late
  from event
 where data ->> 'type' = any($1) and data ->> 'requestId' like $2 || '%'
   and (channel like 'requestor:%' or data ->> 'type' = 'request.reminder')
 order by channel, seq
"""


@pytest.fixture
def two(brokers: Brokers) -> tuple[Broker, Broker]:
    return brokers(), brokers()


def now(database: Database) -> datetime:
    """The database's time, which decides (S8)."""
    time: datetime = database.value("select clock_timestamp()")
    return time


def told_late(socket: Socket) -> list[dict[str, Any]]:
    """What the socket was told of alarms."""
    return [event["data"] for event in socket.events if "lateBy" in event["data"]]


async def test_deadlines_and_lapsed_claims_fire_once_with_two_brokers(
    two: tuple[Broker, Broker], brokers: Brokers, database: Database
) -> None:
    people = People()
    await people.enter(two[0], 1)
    ((member, _),) = people.members
    async with two[1].websocket(two[1].token(people.asker)) as socket:
        await socket.subscribe(people.channel)
        due = (now(database) + SOON).isoformat()
        questions = [people.question(broker, deadlineAt=due) for broker in two] * EACH
        questions += [people.question(broker, claimTtl=1) for broker in two] * EACH
        asked = await at_once(questions)
        assert {reply.status_code for reply in asked} == {201}
        claims = [
            Call(question.broker, member, f"/v1/requests/{reply.json()['id']}/claim")
            for question, reply in zip(questions, asked, strict=True)
            if "claimTtl" in question.body
        ]
        assert {reply.status_code for reply in await at_once(claims)} == {200}
        await socket.until(lambda: len(told_late(socket)) >= len(questions))
    # Nothing is left that could fire once more.
    await eventually(lambda: database.value("select count(*) from alarm") == 0, "all have fired")
    types = Counter(type for _, _, type in database.events(people.channel))
    assert types["request.expired"] == types["request.released"] == 2 * EACH
    for event in told_late(socket):
        assert 0 <= event["lateBy"] <= LATE_SECONDS
    await assert_sound(brokers, database)


async def test_ten_thousand_that_fell_due_while_no_broker_ran_fire_once_and_oldest_first(
    brokers: Brokers, database: Database
) -> None:
    """Each of two brokers has a bounded number under way, which may end in any order (S10)."""
    people = People()
    first = brokers()
    await people.enter(first, 1)
    kinds = await models(first, database, people)
    first.kill()
    ended = now(database)
    due = [ended - STEP * (OVERDUE - n) for n in range(OVERDUE)]
    for place, kind in enumerate(kinds):
        kind.remove(database)
        numbers = range(place, OVERDUE, len(kinds))
        kind.copy(database, [overdue_id(n) for n in numbers], [due[n] for n in numbers])
    assert database.value("select count(*) from alarm") == OVERDUE
    for _ in range(2):
        await trio.to_thread.run_sync(brokers)
    await eventually(lambda: database.value("select count(*) from alarm") == 0, "all have fired")
    told = database.fetch(TOLD, [kind.event for kind in kinds], overdue_id(0)[:10])
    assert len(told) == OVERDUE, "each once"
    for row in told:
        n = number(row["id"])
        assert row["type"] == kinds[n % len(kinds)].event
        assert row["late"] == pytest.approx((row["at"] - due[n]).total_seconds(), abs=0.01)
        assert row["at"] > ended
    for channel in {row["channel"] for row in told}:
        order = [number(row["id"]) for row in told if row["channel"] == channel]
        fired = list[int]()
        ranks = {n: rank for rank, n in enumerate(sorted(order))}
        for n in order:
            # Whatever fell due before this one and has not fired yet is under way.
            older = bisect_left(fired, n)
            assert ranks[n] - older <= 2 * MOST_AT_ONCE
            fired.insert(older, n)
    await assert_sound(brokers, database)


def overdue_id(number: int) -> str:
    return f"00VERDVE00{number:016}"


def number(id: str) -> int:
    return int(id[10:])
