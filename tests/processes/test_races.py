"""Many commands to one request through two broker processes: the first commit wins (S2, S6, S7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from typing import Any

import httpx
import pytest
import trio

from tests.brokers import Broker, Brokers
from tests.inspection import Database, assert_sound
from tests.processes.people import Call, People, at_once

MEMBERS = 25
COMMANDS = 100


@pytest.fixture(scope="module")
def two(module_brokers: Brokers) -> tuple[Broker, Broker]:
    return module_brokers(), module_brokers()


def by_members(
    people: People, two: Sequence[Broker], path: str, body: dict[str, Any] | None = None
) -> list[Call]:
    """COMMANDS calls by all members in turn, to each broker in turn; `payload` counts them."""
    turns = zip(range(COMMANDS), cycle(people.members), cycle(two), strict=False)
    return [
        Call(broker, handle, path, {**(body or {}), **({"payload": n} if body is not None else {})})
        for n, (handle, _), broker in turns
    ]


def winner_of(replies: Sequence[httpx.Response]) -> dict[str, Any]:
    """The one success; the others are conflicts."""
    assert Counter(reply.status_code for reply in replies) == {200: 1, 409: len(replies) - 1}
    won: dict[str, Any] = next(reply.json() for reply in replies if reply.status_code == 200)
    return won


async def test_of_many_claims_one_wins_and_the_others_hear_who_holds_it(
    two: tuple[Broker, Broker], module_brokers: Brokers, module_database: Database
) -> None:
    people = People()
    await people.enter(two[0], MEMBERS)
    id = (await people.ask(two[0]))["id"]
    calls = by_members(people, two, f"/v1/requests/{id}/claim")
    replies = await at_once(calls)
    assert {reply.status_code for reply in replies} == {200, 409}
    # Each member claims several times: whoever holds it renews the lease.
    (holder,) = {reply.json()["claim"]["by"] for reply in replies if reply.status_code == 200}
    handle = next(handle for handle, member in people.members if member == holder)
    for call, reply in zip(calls, replies, strict=True):
        assert (reply.status_code == 200) is (call.who == handle)
        if reply.status_code == 409:
            assert reply.json()["code"] == "claimed_by_other"
            assert reply.json()["holder"] == holder
    await assert_sound(module_brokers, module_database)


async def test_of_many_answers_one_wins_and_the_others_hear_whose_it_is(
    two: tuple[Broker, Broker], module_brokers: Brokers, module_database: Database
) -> None:
    people = People()
    await people.enter(two[0], MEMBERS)
    id = (await people.ask(two[0]))["id"]
    replies = await at_once(by_members(people, two, f"/v1/requests/{id}/response", {}))
    won = winner_of(replies)
    for lost in (reply.json() for reply in replies if reply.status_code == 409):
        assert lost["code"] == "wrong_status"
        assert lost["requestStatus"] == "ANSWERED"
        assert lost["closedBy"] == won["answeredBy"]
        assert lost["closedAt"] == won["answeredAt"]
    kept = module_database.fetch("select payload from response where request_id = $1", id)
    assert [int(row["payload"]) for row in kept] == [won["payload"]]
    types = [type for _, _, type in module_database.events(f"request:{id}")]
    assert types == ["request.created", "request.answered"]
    await assert_sound(module_brokers, module_database)


async def test_of_claims_answers_and_cancels_one_closes_it_and_all_others_hear_which(
    two: tuple[Broker, Broker], module_brokers: Brokers, module_database: Database
) -> None:
    people = People()
    await people.enter(two[0], MEMBERS)
    id = (await people.ask(two[0]))["id"]
    kinds = [
        by_members(people, two, f"/v1/requests/{id}/claim"),
        by_members(people, two, f"/v1/requests/{id}/response", {}),
        [Call(broker, people.asker, f"/v1/requests/{id}/cancel") for broker in two] * COMMANDS,
    ]
    calls = [call for trio_ in zip(*kinds, strict=False) for call in trio_][:COMMANDS]
    replies = await at_once(calls)
    status = module_database.value("select status from request where id = $1", id)
    types = [type for _, _, type in module_database.events(f"request:{id}")]
    assert types[0] == "request.created"
    assert types[-1] == f"request.{status.lower()}"
    assert set(types[1:-1]) <= {"request.claimed"}
    assert status in {"ANSWERED", "CANCELLED"}
    for call, reply in zip(calls, replies, strict=True):
        assert_fits(call, reply, status)
    closing = "response" if status == "ANSWERED" else "cancel"
    winners = [
        call
        for call, reply in zip(calls, replies, strict=True)
        if reply.status_code == 200 and call.path.endswith(closing)
    ]
    # What is cancelled may be cancelled again.
    assert len(winners) == (1 if status == "ANSWERED" else COMMANDS // 3)
    await assert_sound(module_brokers, module_database)


def assert_fits(call: Call, reply: httpx.Response, status: str) -> None:
    """A success is of a claim, or of what closed the request; a refusal names what won."""
    kind = call.path.rpartition("/")[2]
    if reply.status_code == 200:
        assert kind == "claim" or (kind == "response") is (status == "ANSWERED")
        return
    assert reply.status_code == 409, reply.text
    refusal = reply.json()
    if refusal["code"] == "wrong_status":
        assert refusal["requestStatus"] == status
    else:
        assert refusal["code"] == "claimed_by_other"
        assert kind in {"claim", "response"}
        assert refusal["holder"]


async def test_one_create_sent_to_both_brokers_at_once_makes_one_request(
    two: tuple[Broker, Broker], module_brokers: Brokers, module_database: Database
) -> None:
    people = People()
    await people.enter(two[0], 1)
    keys = [f"{people.name}-{number}" for number in range(10)]
    replies = await at_once([people.question(broker, key) for key in keys for broker in two])
    assert {reply.status_code for reply in replies} == {201}
    for first, second in zip(replies[::2], replies[1::2], strict=True):
        assert first.json() == second.json()
        assert first.headers["location"] == second.headers["location"]
        marks = [reply.headers.get("idempotent-replayed") for reply in (first, second)]
        assert sorted(marks, key=str) == [None, "true"]
    made = module_database.fetch("select id from request where requestor = $1", people.asker)
    assert {row["id"] for row in made} == {reply.json()["id"] for reply in replies}
    assert len(made) == len(keys)
    await assert_sound(module_brokers, module_database)


async def test_what_another_broker_has_changed_decides_a_command_to_this_one(
    two: tuple[Broker, Broker], module_database: Database
) -> None:
    """This broker remembers the request as claimed; the other one has cancelled it (S2)."""
    here, there = two
    people = People()
    await people.enter(here, 1)
    ((member, entity),) = people.members
    path = f"/v1/requests/{(await people.ask(here))['id']}"
    (claimed,) = await at_once([Call(here, member, f"{path}/claim")])
    assert claimed.json()["claim"]["by"] == entity
    (cancelled,) = await at_once([Call(there, people.asker, f"{path}/cancel")])
    assert cancelled.json()["status"] == "CANCELLED"
    (refused,) = await at_once([Call(here, member, f"{path}/response", {"payload": 1})])
    assert refused.status_code == 409
    assert refused.json()["requestStatus"] == "CANCELLED"
    assert refused.json()["closedBy"] == people.asker


async def test_a_refusal_is_not_given_on_what_this_broker_remembers(
    two: tuple[Broker, Broker],
) -> None:
    """This broker remembers another's claim; the other one has seen it released (S3)."""
    here, there = two
    people = People()
    await people.enter(here, 2)
    (first, _), (second, _) = people.members
    path = f"/v1/requests/{(await people.ask(here))['id']}"
    await at_once([Call(here, first, f"{path}/claim")])
    await at_once([Call(there, first, f"{path}/release")])
    (claimed,) = await at_once([Call(here, second, f"{path}/claim")])
    assert claimed.status_code == 200, claimed.text


async def test_an_answer_through_one_broker_is_told_to_the_subscriber_of_the_other(
    two: tuple[Broker, Broker],
) -> None:
    here, there = two
    people = People()
    await people.enter(here, 1)
    ((member, _),) = people.members
    async with there.websocket(there.token(people.asker)) as socket:
        await socket.subscribe(people.channel)
        path = f"/v1/requests/{(await people.ask(here))['id']}"
        await at_once([Call(here, member, f"{path}/response", {"payload": 1})])
        with trio.fail_after(3):
            await socket.event("request.answered")
        assert [event["seq"] for event in socket.events] == [1, 2]
