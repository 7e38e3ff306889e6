"""Whether what was asked has got to anybody: noted on the way, written late, shown to the asker."""

from __future__ import annotations

from typing import Any

import pytest

from pxbox.model.channel import Entry, Several
from pxbox.model.errors import NotFound
from pxbox.model.ids import new_ulid
from pxbox.service.reach import NEWEST, OLD_ENOUGH
from tests.service.brokers import Broker, Client, unique


class Subscriber:
    """Takes what comes."""

    def put(self, channel: str, entry: Entry, encoded: bytes) -> None: ...

    def put_several(self, channel: str, entries: list[Entry], several: Several) -> None: ...


async def reached(broker: Broker, asker: Client, id: str) -> Any:
    await broker.parts.deliveries.write()
    return (await asker.call("getRequest", id=id))["delivery"]["reached"]


async def test_a_request_gets_from_nobody_to_one_who_opened_it(broker: Broker) -> None:
    ada = await broker.user()
    asker, mine = broker.asker(unique("shop")), broker.responder(ada)
    await broker.parts.channels.join(f"entity:{ada}", Subscriber())
    unnoticed = (await asker.ask(await broker.user()))["id"]
    id = (await asker.ask(ada))["id"]
    assert await reached(broker, asker, id) == "notified"
    assert await reached(broker, asker, unnoticed) == "none"
    await mine.call("listInquiries")
    assert await reached(broker, asker, id) == "seen"
    assert (await mine.call("getRequest", id=id))["delivery"] is None
    await mine.call("markRead", id=id)
    assert await reached(broker, asker, id) == "opened"
    seen = (await asker.call("getRequest", id=id))["delivery"]
    assert seen["notifiedAt"] <= seen["seenAt"] <= seen["openedAt"]


@pytest.mark.parametrize("act", ["claimRequest", "putDraft"])
async def test_who_begins_has_opened_it(broker: Broker, act: str) -> None:
    ada = await broker.user()
    asker = broker.asker(unique("shop"))
    id = (await asker.ask(ada))["id"]
    payload: dict[str, Any] = {"payload": 1} if act == "putDraft" else {}
    await broker.responder(ada).call(act, None, id=id, **payload)
    assert await reached(broker, asker, id) == "opened"


async def test_looks_of_others_do_not_count(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    asker = broker.asker(unique("shop"))
    id = (await asker.ask(ada))["id"]
    await broker.admin().call("listInquiries", entityId=ada)
    await broker.admin().call("getRequest", id=id)
    await asker.call("listRequests")
    with pytest.raises(NotFound):
        await broker.responder(bob).call("getRequest", id=id)
    assert await reached(broker, asker, id) == "none"


async def test_the_asker_finds_what_reached_nobody(broker: Broker) -> None:
    ada = await broker.user()
    asker, mine = broker.asker(unique("shop")), broker.responder(ada)
    told, closed, lost = [(await asker.ask(ada, tags=["a"]))["id"] for _ in range(3)]
    await mine.call("getRequest", id=told)
    await asker.call("cancelRequest", id=closed)
    await broker.parts.deliveries.write()

    async def found(**where: Any) -> list[str]:
        return [one["id"] for one in (await asker.call("listRequests", **where))["items"]]

    assert await found() == [lost, closed, told], "the newest first"
    assert await found(reached="none") == [lost]
    assert await found(reached="seen", status="PENDING", tag="a") == [told]
    assert await found(reached="none", status="CANCELLED") == []
    assert await found(tag="b") == []
    page = await asker.call("listRequests", limit=2)
    assert page["positions"] == {f"requestor:{asker.principal.sub}": 4}
    assert await found(limit=2, cursor=page["nextCursor"]) == [told]
    with pytest.raises(NotFound):
        await broker.asker("another").call("listRequests", requestor=asker.principal.sub)
    theirs = await broker.admin().call("listRequests", requestor=asker.principal.sub)
    assert len(theirs["items"]) == 3


async def test_what_reached_nobody_is_counted_once_it_is_old_enough(broker: Broker) -> None:
    ada = await broker.user()
    asker = broker.asker()
    old, told, young = [(await asker.ask(ada))["id"] for _ in range(3)]
    aged = "update request set created_at = created_at - interval '2 minutes' where id = any($1)"
    before = await _unreached(broker)
    await broker.query(aged, [old, told])
    await broker.responder(ada).call("getRequest", id=told)
    await broker.parts.deliveries.write()
    assert await _unreached(broker) == before + 1
    assert young


async def _unreached(broker: Broker) -> int:
    return await broker.parts.reaches.unreached(NEWEST, OLD_ENOUGH)


async def test_what_is_not_of_a_request_is_not_noted(broker: Broker) -> None:
    deliveries = broker.parts.deliveries
    first = deliveries.first
    deliveries.told("entity:x", b'{"id":"' + b"\xff" * 60 + b'","type":"request.created"}')
    deliveries.told("entity:x", b'{"id":"x.1.0","type":"membership.added"}')
    deliveries.told("request:x", f'{{"id":"{new_ulid()}.1.0","type":"request.created"}}'.encode())
    deliveries.told("entity:x", f'{{"id":"{new_ulid()}.1.0","type":"request.created"}}'.encode())
    await deliveries.write()
    assert deliveries.first == first, "there is no such request"
