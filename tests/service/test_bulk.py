"""Many requests in one call: each is judged on its own."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from pxbox.model.errors import Forbidden
from tests.service.brokers import CITY, Broker, unique

PAST = "2001-01-01T00:00:00Z"


def good(to: str, number: int) -> dict[str, Any]:
    return {"schema": {**CITY, "title": f"item {number}"}, "to": to}


def bad_items(to: str) -> list[tuple[Any, str]]:
    """Items of which each is wrong in its own way, and the code that it gets."""
    return [
        ({**good(to, 0), "unknown": 1}, "invalid_request"),
        ({"schema": CITY}, "invalid_request"),
        ({**good(to, 0), "entity": {"id": to}}, "invalid_request"),
        ([], "invalid_request"),
        (5, "invalid_request"),
        (good(unique(), 0), "unknown_addressee"),
        ({**good(to, 0), "deadlineAt": PAST}, "invalid_time"),
        ({**good(to, 0), "schema": {"type": "nothing"}}, "invalid_schema"),
        ({**good(to, 0), "flowId": "f"}, "not_found"),
        ({**good(to, 0), "quorum": 2}, "not_supported"),
        ({**good(to, 0), "claimTtl": 0}, "invalid_request"),
    ]


async def test_valid_items_are_created_and_each_invalid_one_gets_its_own_error(
    broker: Broker,
) -> None:
    ada, asker = await broker.user(), broker.asker(unique("asker"))
    wrong = bad_items(ada)
    items: list[Any] = []
    expected: list[str | None] = []
    for number, (item, code) in enumerate(wrong):
        items += [good(ada, number), item]
        expected += [None, code]
    reply = await asker.call("bulkCreateRequests", items=items)
    assert [item["index"] for item in reply["items"]] == list(range(len(items)))
    codes = [item.get("error", {}).get("code") for item in reply["items"]]
    assert codes == expected
    assert (reply["created"], reply["failed"]) == (len(wrong), len(wrong))
    for index, item in enumerate(reply["items"]):
        if expected[index] is None:
            assert item["request"]["title"] == f"item {index // 2}"
        else:
            assert item["error"]["status"] >= 400
    listed = await broker.responder(ada).call("listInquiries", limit=200)
    assert {row["id"] for row in listed["items"]} == {
        item["request"]["id"] for item in reply["items"] if "request" in item
    }


async def test_a_repeated_bulk_creates_nothing_twice(broker: Broker) -> None:
    """The key counts for each item by its place."""
    ada, asker = await broker.user(), broker.asker(unique("asker"))
    items = [good(ada, number) for number in range(10)]
    first = await asker.call("bulkCreateRequests", "key", items=items)
    again = await asker.call("bulkCreateRequests", "key", items=items)
    ids = [item["request"]["id"] for item in first["items"]]
    assert [item["request"]["id"] for item in again["items"]] == ids
    changed = [*items[:4], good(ada, 99), *items[5:], good(ada, 10)]
    mixed = await asker.call("bulkCreateRequests", "key", items=changed)
    assert mixed["items"][4]["error"]["code"] == "idempotency_key_reused"
    assert mixed["items"][10]["request"]["id"] not in ids
    assert [mixed["items"][n]["request"]["id"] for n in (0, 9)] == [ids[0], ids[9]]
    assert (await broker.responder(ada).call("listInquiries"))["total"] == 11


async def test_items_that_are_all_alike_are_as_many_requests(broker: Broker) -> None:
    ada, asker = await broker.user(), broker.asker(unique("asker"))
    reply = await asker.call("bulkCreateRequests", "key", items=[good(ada, 1)] * 20)
    assert len({item["request"]["id"] for item in reply["items"]}) == 20


async def test_others_are_served_while_many_are_created(broker: Broker) -> None:
    ada, asker = await broker.user(), broker.asker(unique("asker"))
    mine = (await asker.ask(ada))["id"]
    done: list[str] = []

    async def bulk() -> None:
        items = [good(ada, number) for number in range(500)]
        reply = await asker.call("bulkCreateRequests", items=items)
        assert reply["created"] == 500
        done.append("bulk")

    async def life() -> None:
        responder = broker.responder(ada)
        await responder.call("claimRequest", id=mine)
        await responder.call("postResponse", id=mine, payload={"city": "Rome"})
        done.append("life")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(bulk)
        nursery.start_soon(life)
    assert done == ["life", "bulk"]


async def test_who_may_not_ask_creates_nothing(broker: Broker) -> None:
    ada = await broker.user()
    with pytest.raises(Forbidden):
        await broker.responder(ada).call("bulkCreateRequests", items=[good(ada, 1)])
