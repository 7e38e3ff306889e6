"""Requests that are created with a flow's id, and not by a checkpoint of it (F2, F6)."""

from __future__ import annotations

from functools import partial

import pytest

from pxbox.model.errors import WrongStatus
from tests.service.brokers import ROME, Broker, unique
from tests.service.flows import Json, owner, read, running, until


async def external(broker: Broker) -> str:
    made = await owner(broker).call("createFlow", kind=unique("kind")[:40], cursor={})
    return str(made["flowId"])


async def status(broker: Broker, request: str, wanted: str) -> Json | None:
    found: Json = await owner(broker).call("getRequest", id=request)
    assert found["status"] in ("PENDING", wanted)
    return found if found["status"] == wanted else None


async def test_a_flow_waits_for_its_request_from_the_moment_it_is_created(broker: Broker) -> None:
    ana, flow = await broker.user(), await external(broker)
    asked = (await owner(broker).ask(ana, flowId=flow))["id"]
    assert [(wait["id"], wait["kind"]) for wait in (await read(broker, flow))["waiting"]] == [
        (asked, "ask")
    ]
    await broker.responder(ana).call("postResponse", id=asked, payload=ROME)
    after = await read(broker, flow)
    assert (after["waiting"], after["wake"]) == ([], 1)
    told = (await owner(broker).call("getFlowTimeline", id=flow))["items"]
    assert [(item["what"], item["outcome"], item["by"]) for item in told] == [
        ("opened", None, None),
        ("settled", "answered", ana),
    ]


@pytest.mark.parametrize(
    ("operation", "end"),
    [("cancelFlow", {}), ("checkpointFlow", {"revision": 0, "status": "COMPLETED"})],
)
async def test_a_flow_that_ends_withdraws_its_requests(
    broker: Broker, operation: str, end: Json
) -> None:
    """F6: nobody is left with a question that nobody needs the answer of."""
    ana, flow = await broker.user(), await external(broker)
    asked = [(await owner(broker).ask(ana, flowId=flow))["id"] for _ in range(2)]
    await broker.responder(ana).call("postResponse", id=asked[0], payload=ROME)
    await owner(broker).call(operation, id=flow, **end)
    await until(partial(status, broker, asked[1], "CANCELLED"))
    assert await status(broker, asked[0], "ANSWERED")
    assert await broker.query(
        "select from message where recipient = any($1)", [f"request:{id}" for id in asked]
    ) == []  # fmt: skip


async def test_a_workers_flow_withdraws_what_was_asked_beside_its_code(broker: Broker) -> None:
    ana = await broker.user()
    hands, flow = await running(broker)
    asked = (await owner(broker).ask(ana, flowId=flow.id))["id"]
    await hands.saves(flow, "COMPLETED", result=1)
    await until(partial(status, broker, asked, "CANCELLED"))


async def test_a_flow_that_has_ended_asks_nobody_and_a_repeat_is_answered(broker: Broker) -> None:
    """S6, S7."""
    ana, flow = await broker.user(), await external(broker)
    asked = await owner(broker).ask(ana, "once", flowId=flow)
    await owner(broker).call("cancelFlow", id=flow)
    again = await owner(broker).ask(ana, "once", flowId=flow)
    assert again["id"] == asked["id"]
    with pytest.raises(WrongStatus) as refusal:
        await owner(broker).ask(ana, "another", flowId=flow)
    assert refusal.value.members["flowStatus"] == "CANCELLED"
    assert [
        row["id"]
        for row in await broker.query(
            "select id from request where state -> 'flow' ->> 'id' = $1", flow
        )
    ] == [asked["id"]]


async def test_one_open_request_of_a_flow_is_about_a_subject(broker: Broker) -> None:
    ana, flow = await broker.user(), await external(broker)
    asked = await owner(broker).ask(ana, flowId=flow, subjectKey="invoice 7")
    again = await owner(broker).ask(ana, flowId=flow, subjectKey="invoice 7")
    assert (again["id"], again["existing"]) == (asked["id"], True)
    assert len((await read(broker, flow))["waiting"]) == 1
