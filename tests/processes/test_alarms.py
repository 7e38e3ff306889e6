"""Deadlines and lapsed claims with two broker processes: each fires once, and in time (S8, S10)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
import trio

from pxbox.behaviors.alarm import MOST_AT_ONCE
from tests.brokers import Broker, Brokers, Socket
from tests.inspection import Database, assert_sound, eventually
from tests.processes.people import Call, People, at_once

EACH = 5
LATE_SECONDS = 3.0
"""S10 says 1 s, on a machine that is not busy with other tests."""
SOON = timedelta(seconds=2)
OVERDUE = 5 * MOST_AT_ONCE
STEP = timedelta(milliseconds=1)
EXPIRED = """
select (data ->> 'deadlineAt')::timestamptz as due, (data ->> 'at')::timestamptz as at,
       (data ->> 'lateBy')::float as late
  from event where channel = $1 and data ->> 'type' = 'request.expired' order by seq
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


async def test_what_fell_due_while_no_broker_ran_fires_oldest_first_and_says_how_late(
    two: tuple[Broker, Broker], brokers: Brokers, database: Database
) -> None:
    """Each of the two brokers has a bounded number under way, which may end in any order."""
    people = People()
    await people.enter(two[0], 1)
    first = now(database) + SOON
    items = [
        people.question(two[0], deadlineAt=(first + n * STEP).isoformat()).body
        for n in reversed(range(OVERDUE))
    ]
    (asked,) = await at_once([Call(two[0], people.asker, "/v1/requests/bulk", {"items": items})])
    assert asked.json()["created"] == OVERDUE
    for broker in two:
        broker.kill()
    assert len(database.events(people.channel)) == OVERDUE, "the brokers ended too late"
    await eventually(lambda: now(database) > first + OVERDUE * STEP, "all deadlines have passed")
    ended = now(database)
    for _ in two:
        await trio.to_thread.run_sync(brokers)
    await eventually(
        lambda: len(database.events(people.channel)) >= 2 * OVERDUE, "all have expired"
    )
    await eventually(lambda: database.value("select count(*) from alarm") == 0, "all have fired")
    rows = database.fetch(EXPIRED, people.channel)
    assert len(rows) == OVERDUE
    places = sorted(range(OVERDUE), key=lambda place: rows[place]["due"])
    assert all(abs(place - rank) <= 2 * MOST_AT_ONCE for rank, place in enumerate(places))
    for row in rows:
        assert row["late"] >= (ended - row["due"]).total_seconds()
        assert row["late"] == pytest.approx((row["at"] - row["due"]).total_seconds(), abs=0.01)
    await assert_sound(brokers, database)
