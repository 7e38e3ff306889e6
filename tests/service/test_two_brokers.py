"""Two brokers on one database: one activation per process is a matter of speed (S2, S6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from pxbox.model.errors import ClaimedByOther, PxError, WrongStatus
from tests.service.brokers import CITY, ROME, Broker, Client, unique

Brokers = tuple[Broker, Broker]
Act = Callable[[], Awaitable[Any]]


async def at_once(acts: list[Act]) -> tuple[list[Any], list[PxError]]:
    """The replies of those that won, and what the others were told."""
    replies: list[Any] = []
    refusals: list[PxError] = []

    async def run(act: Act) -> None:
        try:
            replies.append(await act())
        except PxError as refusal:
            refusals.append(refusal)

    async with trio.open_nursery() as nursery:
        for act in acts:
            nursery.start_soon(run, act)
    return replies, refusals


async def responders(brokers: Brokers, count: int) -> tuple[str, list[Client]]:
    """A group of `count` people, who call the two brokers by turns."""
    people = [await brokers[0].user() for _ in range(count)]
    group = await brokers[0].group(*people)
    return group, [brokers[n % 2].responder(id) for n, id in enumerate(people)]


def claiming(client: Client, id: str) -> Act:
    return lambda: client.call("claimRequest", id=id)


def answering(client: Client, id: str, city: str) -> Act:
    return lambda: client.call("postResponse", id=id, payload={"city": city})


def cancelling(client: Client, id: str) -> Act:
    return lambda: client.call("cancelRequest", id=id)


def making(client: Client, handle: str) -> Act:
    return lambda: client.call("createEntity", kind="user", handle=handle)


def asking(client: Client, to: str) -> Act:
    return lambda: client.ask(to, "key")


def adding(client: Client, group: str, member: str) -> Act:
    return lambda: client.call("addMember", id=group, member=member)


async def test_of_a_hundred_claims_at_once_one_wins(brokers: Brokers) -> None:
    group, people = await responders(brokers, 20)
    request = await brokers[0].asker().ask(group)
    replies, refusals = await at_once([claiming(p, request["id"]) for p in people * 5])
    winners = {reply["claim"]["by"] for reply in replies}
    assert len(winners) == 1
    assert all(isinstance(refusal, ClaimedByOther) for refusal in refusals), refusals
    assert {refusal.members["holder"] for refusal in refusals} == winners
    # The winner's own repeats renewed the lease: each was told, and each is an event.
    events = await brokers[1].events(f"request:{request['id']}")
    assert [event["type"] for event in events[1:]] == ["request.claimed"] * len(replies)
    assert {event["claim"]["by"] for event in events[1:]} == winners


async def test_of_a_hundred_answers_at_once_one_wins(brokers: Brokers) -> None:
    group, people = await responders(brokers, 20)
    request = await brokers[0].asker().ask(group)
    acts = [answering(p, request["id"], f"city {n}") for n, p in enumerate(people * 5)]
    replies, refusals = await at_once(acts)
    assert len(replies) == 1
    assert len(refusals) == 99
    for refusal in refusals:
        assert isinstance(refusal, WrongStatus), refusal
        assert refusal.members["requestStatus"] == "ANSWERED"
        assert refusal.members["closedBy"] == replies[0]["answeredBy"]
    for broker in brokers:
        read = await broker.asker().call("getResponse", id=request["id"])
        assert read == replies[0]
        events = await broker.events(f"request:{request['id']}")
        assert [event["type"] for event in events] == ["request.created", "request.answered"]


@pytest.mark.parametrize("attempt", range(3))
async def test_of_claims_answers_and_cancels_at_once_the_first_commit_wins(
    brokers: Brokers, attempt: int
) -> None:
    group, people = await responders(brokers, 10)
    asker = unique("asker")
    request = await brokers[0].asker(asker).ask(group)
    id = request["id"]
    acts: list[Act] = []
    for n, person in enumerate(people * 3):
        acts += [claiming(person, id), answering(person, id, f"city {n}")]
    acts += [cancelling(broker.asker(asker), id) for broker in brokers for _ in range(20)]
    acts = acts[attempt * 30 :] + acts[: attempt * 30]
    assert len(acts) == 100
    replies, refusals = await at_once(acts)
    final = await brokers[1].asker(asker).call("getRequest", id=id)
    assert final["status"] in ("ANSWERED", "CANCELLED")
    for refusal in refusals:
        # Whoever lost is told of a state that has really won over theirs.
        if isinstance(refusal, WrongStatus):
            assert refusal.members["requestStatus"] == final["status"]
            assert refusal.members["closedBy"] == final["closedBy"]
        else:
            assert isinstance(refusal, ClaimedByOther), refusal
    given = [reply for reply in replies if "answeredBy" in reply]
    cancelled = [reply for reply in replies if reply.get("status") == "CANCELLED"]
    assert bool(given) == (final["status"] == "ANSWERED") == (not cancelled)
    assert len(given) <= 1
    events = await brokers[0].events(f"request:{id}")
    closing = [e for e in events if e["type"] in ("request.answered", "request.cancelled")]
    assert closing == [events[-1]]
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    assert final["version"] == len(events)


async def test_what_one_broker_did_the_other_knows_at_once(brokers: Brokers) -> None:
    one, other = brokers
    ada, bob = await one.user(), await one.user()
    group = await one.group(ada, bob)
    id = (await one.asker().ask(group))["id"]
    await one.responder(ada).call("claimRequest", id=id)
    with pytest.raises(ClaimedByOther):
        await other.responder(bob).call("claimRequest", id=id)
    await other.responder(ada).call("releaseRequest", id=id)
    # This broker's activation still believes in the claim: it must not say so (S3).
    assert (await one.responder(bob).call("claimRequest", id=id))["claim"]["by"] == bob
    await other.responder(bob).call("postResponse", id=id, payload=ROME)
    with pytest.raises(WrongStatus) as refusal:
        await one.asker().call("cancelRequest", id=id)
    assert refusal.value.members["requestStatus"] == "ANSWERED"


async def test_one_handle_is_given_once(brokers: Brokers) -> None:
    handle = unique()
    acts = [making(broker.admin(), handle) for broker in brokers for _ in range(10)]
    replies, refusals = await at_once(acts)
    assert len(replies) == 1
    assert {refusal.code for refusal in refusals} == {"address_taken"}
    for broker in brokers:
        assert (await broker.admin().call("getEntity", id=handle))["id"] == replies[0]["id"]


async def test_one_idempotency_key_creates_one_request(brokers: Brokers) -> None:
    ada, asker = await brokers[0].user(), unique("asker")
    acts = [asking(broker.asker(asker), ada) for broker in brokers for _ in range(20)]
    replies, refusals = await at_once(acts)
    assert refusals == []
    assert len({reply["id"] for reply in replies}) == 1
    listed = await brokers[0].responder(ada).call("listInquiries")
    assert listed["total"] == 1


async def test_members_added_through_both_brokers_at_once_are_all_members(
    brokers: Brokers,
) -> None:
    people = [await brokers[0].user() for _ in range(6)]
    group = await brokers[0].group()
    acts = [adding(brokers[n % 2].admin(), group, member) for n, member in enumerate(people)]
    _, refusals = await at_once(acts)
    # Each loses to every other at most once, and gives up after five.
    assert {refusal.code for refusal in refusals} <= {"contended"}
    view = await brokers[1].admin().call("getEntity", id=group)
    assert len(view["members"]) == len(people) - len(refusals)


async def test_both_brokers_hold_answers_to_the_schema(brokers: Brokers) -> None:
    """Also the one that has never seen it."""
    ada = await brokers[0].user()
    schema = {**CITY, "title": unique()}
    id = (await brokers[0].asker().ask(ada, schema=schema))["id"]
    with pytest.raises(PxError) as refusal:
        await brokers[1].responder(ada).call("postResponse", id=id, payload={"city": ""})
    assert [error.pointer for error in refusal.value.errors] == ["/city"]
    await brokers[1].responder(ada).call("postResponse", id=id, payload=ROME)
