"""The trail: who did what, when, by which token, on whose behalf; and who may read it."""

from __future__ import annotations

from typing import Any

import pytest

from pxbox.model.errors import Forbidden, InvalidCursor, NotFound
from pxbox.model.ids import new_ulid
from pxbox.model.principal import AUDIT
from tests.service.brokers import ROME, Broker, Client, unique


def auditor(broker: Broker) -> Client:
    return broker.client("auditor", AUDIT)


async def timeline(client: Client, id: str, **more: Any) -> list[Any]:
    items: list[Any] = (await client.call("getRequestTimeline", id=id, **more))["items"]
    return items


async def test_every_transition_is_there_with_its_client_token_and_entity(broker: Broker) -> None:
    """S4: the entry is of the transition's own commit."""
    ada, bob = await broker.user(), await broker.user()
    id = (await broker.asker("shop").ask([ada, bob]))["id"]
    mine = broker.responder(ada)
    await mine.call("claimRequest", id=id)
    await broker.operator().call("reassignRequest", id=id, to=bob, reason="on leave")
    await broker.responder(bob).call("postResponse", id=id, payload=ROME)
    entries = await timeline(auditor(broker), id)
    assert [one["type"] for one in entries] == [
        "request.created", "request.claimed", "request.reassigned", "request.answered",
    ]  # fmt: skip
    assert [one["version"] for one in entries] == [1, 2, 3, 4]
    assert [one["client"] for one in entries] == [
        "shop", f"client of {ada}", "operator", f"client of {bob}",
    ]  # fmt: skip
    assert [one["onBehalfOf"] for one in entries] == [None, ada, None, bob]
    assert {one["tokenId"] for one in entries} == {"token"}
    assert [one["status"] for one in entries] == ["PENDING", "CLAIMED", "PENDING", "ANSWERED"]
    handed = entries[2]["detail"]
    assert handed == {"to": [bob], "previousTo": [ada, bob], "reason": "on leave"}
    at = [one["at"] for one in entries]
    assert at == sorted(at)


async def test_what_time_did_was_nobodys_doing(broker: Broker) -> None:
    ada = await broker.user()
    id = (await broker.asker().ask(ada, deadlineIn=1, deadlineNear=0))["id"]
    async with broker.parts.channels.news(f"request:{id}") as came:
        await came.wait()
    last = (await timeline(auditor(broker), id))[-1]
    assert last["type"] == "request.expired"
    assert (last["actor"], last["client"], last["tokenId"], last["onBehalfOf"]) == (None,) * 4


async def test_the_asker_reads_its_own_without_clients_and_tokens(broker: Broker) -> None:
    ada = await broker.user()
    asker = broker.asker(unique("shop"))
    id = (await asker.ask(ada))["id"]
    await broker.responder(ada).call("claimRequest", id=id)
    entries = await timeline(asker, id)
    assert [one["actor"] for one in entries] == [asker.principal.sub, ada]
    assert {(one["client"], one["tokenId"]) for one in entries} == {(None, None)}
    assert await timeline(broker.admin(), id) == entries


async def test_others_cannot_tell_it_from_a_missing_one(broker: Broker) -> None:
    """X2."""
    ada = await broker.user()
    id = (await broker.asker().ask(ada))["id"]
    with pytest.raises(NotFound):
        await timeline(broker.asker("another"), id)
    with pytest.raises(Forbidden):
        await timeline(broker.responder(ada), id)
    for client in (auditor(broker), broker.asker("another")):
        with pytest.raises(NotFound):
            await timeline(client, new_ulid())
    with pytest.raises(Forbidden):
        await broker.admin().call("getEntityTimeline", id=ada)


async def test_it_outlives_the_events(broker: Broker) -> None:
    ada = await broker.user()
    id = (await broker.asker().ask(ada))["id"]
    await broker.query("delete from event where channel = $1", f"request:{id}")
    assert [one["type"] for one in await timeline(auditor(broker), id)] == ["request.created"]


async def test_pages_follow_each_other(broker: Broker) -> None:
    ada = await broker.user()
    mine, audit = broker.responder(ada), auditor(broker)
    id = (await broker.asker().ask(ada))["id"]
    for _ in range(2):
        await mine.call("claimRequest", id=id)
        await mine.call("releaseRequest", id=id)
    whole = await timeline(audit, id)
    assert len(whole) == 5
    assert await _all(audit, "getRequestTimeline", id) == whole
    of_ada = (await audit.call("getEntityTimeline", id=ada))["items"]
    assert await _all(audit, "getEntityTimeline", ada) == of_ada
    first = await audit.call("getRequestTimeline", id=id, limit=2)
    other = (await broker.asker().ask(ada))["id"]
    for cursor in (first["nextCursor"], "x", "W10"):
        with pytest.raises(InvalidCursor):
            await timeline(audit, other, cursor=cursor)


async def _all(client: Client, operation: str, id: str) -> list[Any]:
    items: list[Any] = []
    cursor = None
    while True:
        page = await client.call(operation, id=id, limit=2, cursor=cursor)
        items += page["items"]
        cursor = page["nextCursor"]
        if cursor is None:
            return items


async def test_an_entitys_has_what_was_done_to_it_and_for_it_newest_first(broker: Broker) -> None:
    ada = await broker.user()
    team = await broker.group(ada)
    id = (await broker.asker().ask(team))["id"]
    await broker.responder(ada).call("claimRequest", id=id)
    entries = (await auditor(broker).call("getEntityTimeline", id=ada))["items"]
    assert [one["type"] for one in entries] == [
        "request.claimed", "membership.added", "entity.created",
    ]  # fmt: skip
    claimed, added, created = entries
    assert (claimed["requestId"], claimed["entityId"]) == (id, None)
    assert (added["entityId"], added["detail"], added["client"]) == (ada, {"group": team}, "admin")
    assert created["status"] is None
    of_team = (await auditor(broker).call("getEntityTimeline", id=team))["items"]
    assert of_team[0]["detail"] == {"member": ada}


async def test_snoozing_is_nobody_elses_business(broker: Broker) -> None:
    ada = await broker.user()
    id = (await broker.asker().ask(ada))["id"]
    await broker.responder(ada).call("snooze", id=id, remindAt="2041-01-31T12:00:00Z")
    assert len(await timeline(auditor(broker), id)) == 1
