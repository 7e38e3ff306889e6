"""REST: many requests in one call, and others served meanwhile."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio

from tests.brokers import Broker
from tests.contract.documents import Json
from tests.transports.clients import ANYTHING, Party

ITEMS = 1000
CALM_SECONDS = 1.0


def mixed(to: str) -> tuple[list[Any], dict[int, str]]:
    """As many items as a call may have, and the code of each that is invalid."""
    wrong: list[tuple[Any, str]] = [
        ({"to": "nobody-at-all", "schema": ANYTHING}, "unknown_addressee"),
        ({"to": to, "schema": {"type": "nonsense"}}, "invalid_schema"),
        ({"to": to}, "invalid_request"),
        ({"to": to, "schema": ANYTHING, "quorum": 2}, "not_supported"),
        ({"to": to, "schema": ANYTHING, "deadlineAt": "2020-01-01T00:00:00Z"}, "invalid_time"),
        (7, "invalid_request"),
        (None, "invalid_request"),
    ]
    items: list[Any] = [{"to": to, "schema": {"title": f"number {n}"}} for n in range(ITEMS)]
    codes = {}
    for place, n in enumerate(range(0, ITEMS, 9)):
        items[n], codes[n] = wrong[place % len(wrong)]
    return items, codes


async def test_a_bulk_creates_what_is_valid_and_says_of_each_other_item_what_is_wrong(
    asker: Party, ana: Party
) -> None:
    items, codes = mixed(ana.sub)
    reply = await asker.done("bulkCreateRequests", items=items)
    assert (reply["created"], reply["failed"]) == (ITEMS - len(codes), len(codes))
    assert [item["index"] for item in reply["items"]] == list(range(ITEMS))
    assert {n: one["error"]["code"] for n, one in enumerate(reply["items"]) if "error" in one} == (
        codes
    )
    made = [item["request"] for item in reply["items"] if "request" in item]
    titles = {one["title"] for one in made}
    assert titles == {f"number {n}" for n in range(ITEMS) if n not in codes}
    assert len({one["requestId"] for one in made}) == len(made)
    assert (await ana.done("listInquiries", limit=1))["total"] == len(made)
    page = await asker.done("listRequestEvents", id=made[-1]["id"])
    assert [one["data"]["type"] for one in page["items"]] == ["request.created"]


async def test_others_are_served_while_a_bulk_is_under_way(
    shared_broker: Broker, asker: Party, ana: Party, ben: Party
) -> None:
    """The p99 of small reads by another client stays below a second."""
    id = await asker.ask(ben.sub)
    items, _ = mixed(ana.sub)
    body = msgspec.json.encode({"items": items})
    latencies: list[float] = []
    done = trio.Event()
    # Replies are not held to the contract here: that would hold up this loop, whose time is taken.
    bulk, reader = shared_broker.rest(asker.token), shared_broker.rest(ben.token)

    async def read() -> None:
        while not done.is_set():
            started = trio.current_time()
            assert (await reader.get(f"/v1/requests/{id}")).status_code == 200
            latencies.append(trio.current_time() - started)

    async with bulk, reader, trio.open_nursery() as nursery:
        nursery.start_soon(read)
        for _ in range(3):
            assert (await bulk.post("/v1/requests/bulk", content=body)).status_code == 200
        done.set()
    assert len(latencies) > 10
    assert sorted(latencies)[int(len(latencies) * 0.99)] < CALM_SECONDS, sorted(latencies)[-5:]


@pytest.mark.parametrize(
    "body",
    [
        {"items": []}, {"items": [{}] * (ITEMS + 1)}, {"items": {}}, {"items": None}, {},
        {"items": [{}], "more": 1},
    ],
    ids=["none", "too many", "an object", "null", "left out", "unknown member"],
)  # fmt: skip
async def test_a_bulk_that_is_none_is_refused_as_a_whole(asker: Party, body: Json) -> None:
    assert await asker.refused("bulkCreateRequests", **body) == "invalid_request"
