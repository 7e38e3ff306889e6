"""What time does against what people do, through two broker processes: one of them is so, and
nothing of the other (S6, S8, S10)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import cycle
from typing import Any

import httpx
import pytest
import trio

from tests.brokers import Broker, Brokers
from tests.inspection import Database, assert_sound
from tests.processes.people import People, at_once

EACH = 6
SOON = timedelta(seconds=2.5)
SECONDS = 20.0
_LEASE_WAS_WHOLE = """
select (r.data ->> 'at')::timestamptz >= (c.data -> 'claim' ->> 'expiresAt')::timestamptz
  from event c join event r on r.channel = c.channel and r.seq = 3
 where c.channel = $1 and c.seq = 2
"""


@pytest.fixture(scope="module")
def two(module_brokers: Brokers) -> tuple[Broker, Broker]:
    return module_brokers(), module_brokers()


def now(database: Database) -> datetime:
    """The database's time, which decides (S8)."""
    time: datetime = database.value("select clock_timestamp()")
    return time


async def keep_trying(
    two: tuple[Broker, Broker], who: str, path: str, body: Callable[[], dict[str, Any]],
    until: Callable[[httpx.Response], bool],
) -> list[httpx.Response]:  # fmt: skip
    """The same call at each broker in turn, until one reply is the one waited for; all replies."""
    replies: list[httpx.Response] = []
    async with two[0].rest(two[0].token(who)) as one, two[1].rest(two[1].token(who)) as other:
        with trio.fail_after(SECONDS):
            for client in cycle((one, other)):
                replies.append(await client.post(path, json=body()))
                if until(replies[-1]):
                    return replies
    raise AssertionError("cycle() does not end")


def types(database: Database, id: str) -> list[str]:
    return [type.removeprefix("request.") for _, _, type in database.events(f"request:{id}")]


async def asked(two: tuple[Broker, Broker], people: People, **more: Any) -> list[str]:
    """The ids of 2 * EACH requests to the people, made at once."""
    replies = await at_once([people.question(broker, **more) for broker in two * EACH])
    assert {reply.status_code for reply in replies} == {201}
    return [reply.json()["id"] for reply in replies]


def nothing() -> dict[str, Any]:
    return {}


async def test_a_claim_against_a_lapse(
    two: tuple[Broker, Broker], module_brokers: Brokers, module_database: Database
) -> None:
    people = People()
    await people.enter(two[0], 2)
    ids = await asked(two, people, claimTtl=1)
    (ada, ada_id), (bob, bob_id) = people.members

    async def race(id: str) -> None:
        path = f"/v1/requests/{id}/claim"
        await keep_trying(two, ada, path, nothing, lambda reply: reply.status_code == 200)
        lost = await keep_trying(two, bob, path, nothing, lambda r: r.status_code == 200)
        assert {reply.json()["holder"] for reply in lost[:-1]} == {ada_id}

    async with trio.open_nursery() as nursery:
        for id in ids:
            nursery.start_soon(race, id)
    for id in ids:
        assert types(module_database, id)[:4] == ["created", "claimed", "released", "claimed"]
        late = module_database.value(_LEASE_WAS_WHOLE, f"request:{id}")
        assert late, "a lease is whole"
    assert bob_id != ada_id
    await assert_sound(module_brokers, module_database)


async def test_a_snoozing_against_the_deadline(
    two: tuple[Broker, Broker], module_brokers: Brokers, module_database: Database
) -> None:
    people = People()
    await people.enter(two[0], 1)
    deadline = now(module_database) + SOON
    ids = await asked(two, people, deadlineAt=deadline.isoformat())
    ada, ada_id = people.members[0]

    async def race(id: str) -> None:
        steps = iter(range(1, 100_000))

        def until() -> dict[str, Any]:
            # Each a little later than the one before, so that each is another snoozing.
            at = deadline - timedelta(seconds=0.3) + timedelta(microseconds=next(steps))
            return {"remindAt": at.isoformat()}

        path = f"/v1/inquiries/{id}/snooze"
        replies = await keep_trying(two, ada, path, until, lambda reply: reply.status_code == 409)
        assert replies[0].status_code == 200
        assert {reply.status_code for reply in replies} <= {200, 409, 422}

    async with trio.open_nursery() as nursery:
        for id in ids:
            nursery.start_soon(race, id)
    for id in ids:
        assert types(module_database, id) == ["created", "expired"]
        assert module_database.fetch("select from alarm where subject = $1", f"request:{id}") == []
        told = [t for _, i, t in module_database.events(f"entity:{ada_id}") if i.startswith(id)]
        assert told.count("request.reminder") <= 1
    await assert_sound(module_brokers, module_database)


async def test_an_escalation_against_claims(
    two: tuple[Broker, Broker], module_brokers: Brokers, module_database: Database
) -> None:
    people = People()
    await people.enter(two[0], 1)
    others = People()
    await others.enter(two[0], 1)
    steps = [{"after": 2, "to": f"group:group-{others.name}", "replace": True}]
    ids = await asked(two, people, escalate=steps)
    ada = people.members[0][0]

    async def race(id: str) -> None:
        path = f"/v1/requests/{id}/claim"
        await keep_trying(two, ada, path, nothing, lambda reply: reply.status_code == 404)

    async with trio.open_nursery() as nursery:
        for id in ids:
            nursery.start_soon(race, id)
    for id in ids:
        told = types(module_database, id)
        assert told[-1] == "escalated", "who is asked no more claims no more"
        assert told.count("escalated") == 1
        assert set(told[1:-1]) <= {"claimed"}
        (row,) = module_database.fetch("select status, state from request where id = $1", id)
        assert row["status"] == "PENDING"
        lying = module_database.fetch("select entity_id from inquiry where request_id = $1", id)
        assert [one["entity_id"] for one in lying] == [others.group]
        assert module_database.fetch("select from alarm where subject = $1", f"request:{id}") == []
    await assert_sound(module_brokers, module_database)


async def test_a_default_answer_against_answers(
    two: tuple[Broker, Broker], module_brokers: Brokers, module_database: Database
) -> None:
    people = People()
    await people.enter(two[0], 2)
    begun, deadline = trio.current_time(), now(module_database) + SOON
    ids = await asked(two, people, deadlineAt=deadline.isoformat(), defaultAnswer=-1)
    (ada, ada_id), (bob, bob_id) = people.members
    payloads: dict[str, int] = {ada: 1, bob: 2}

    async def race(id: str, who: str, begin: timedelta) -> None:
        # From a little before the deadline to a little after it: some win, some lose.
        await trio.sleep_until(begun + (SOON + begin).total_seconds())
        path, answer = f"/v1/requests/{id}/response", {"payload": payloads[who]}
        await keep_trying(two, who, path, lambda: answer, lambda r: r.status_code in (200, 409))

    async with trio.open_nursery() as nursery:
        for number, id in enumerate(ids):
            begin = timedelta(milliseconds=50 * (number - 2 * EACH))
            nursery.start_soon(race, id, ada, begin)
            nursery.start_soon(race, id, bob, begin)
    by = {None: -1, ada_id: 1, bob_id: 2}
    for id in ids:
        rows = module_database.fetch(
            "select answered_by, payload::text from response where request_id = $1", id
        )
        assert [int(row["payload"]) for row in rows] == [by[row["answered_by"]] for row in rows]
        assert len(rows) == 1
        assert types(module_database, id) == ["created", "answered"]
        assert module_database.fetch("select from alarm where subject = $1", f"request:{id}") == []
        drafts = module_database.fetch(
            "select entity_id, payload::text from draft where request_id = $1", id
        )
        lost = {ada_id, bob_id} - {rows[0]["answered_by"]}
        assert {row["entity_id"]: int(row["payload"]) for row in drafts} == {
            loser: by[loser] for loser in lost
        }, "the loser's text is a draft"
    await assert_sound(module_brokers, module_database)
