"""External flows over REST: any language, no worker; and polling a flow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from tests.contract.documents import Json
from tests.transports.clients import Party, unique

PATIENCE_SECONDS = 10.0


@pytest.fixture
def maker(party: Callable[..., Party]) -> Party:
    """A program that runs a flow of its own."""
    return party(unique("maker"), "flow request")


async def flow(maker: Party, **more: object) -> str:
    made = await maker.done("createFlow", kind="import", **more)
    return str(made["flowId"])


async def waits(maker: Party, id: str, revision: int = 0, wake: int = 0, **more: object) -> Json:
    return await maker.done(
        "checkpointFlow", id=id, revision=revision, status="WAITING_INPUT", wake=wake, **more
    )


async def test_an_external_flow_from_its_start_to_its_end(maker: Party, ana: Party) -> None:
    reply = await maker.rest.post("/v1/flows", json={"kind": "import", "cursor": {"line": 0}})
    id = reply.json()["flowId"]
    assert (reply.status_code, reply.headers["location"]) == (201, f"/v1/flows/{id}")
    request = await maker.ask(ana.sub, flowId=id)
    await waits(maker, id, cursor={"line": 7}, text="waits for ana")
    assert (await maker.done("getFlow", id=id))["status"] == "WAITING_INPUT"
    await ana.done("postResponse", id=request, payload="yes")
    woken = await maker.done("getFlow", id=id)
    assert (woken["status"], woken["wake"], woken["cursor"]) == ("RUNNING", 1, {"line": 7})
    (wait,) = (await maker.done("getFlowHistory", id=id))["waits"]
    assert (wait["id"], wait["outcome"], wait["payload"]) == (request, "answered", "yes")
    await maker.done("checkpointFlow", id=id, revision=1, status="COMPLETED", result=[1])
    ended = await maker.done("getFlow", id=id)
    assert (ended["status"], ended["result"]) == ("COMPLETED", [1])


async def test_an_answer_before_the_checkpoint_keeps_an_external_flow_running(
    maker: Party, ana: Party
) -> None:
    """F2."""
    id = await flow(maker)
    request = await maker.ask(ana.sub, flowId=id)
    await ana.done("postResponse", id=request, payload=1)
    saved = await waits(maker, id)
    assert (saved["behind"], saved["status"]) == (True, "RUNNING")
    assert [one["id"] for one in saved["outcomes"]] == [request]


async def test_an_event_is_kept_in_the_cursor_and_wakes_the_flow(maker: Party) -> None:
    id = await flow(maker, cursor={"line": 3})
    await waits(maker, id)
    for _ in range(2):
        told = await maker.done("resumeFlow", id=id, event="paid", data={"n": 1})
        assert told["status"] == "RUNNING"
    found = await maker.done("getFlow", id=id)
    assert found["cursor"] == {"line": 3, "lastEvent": {"event": "paid", "data": {"n": 1}}}
    events = (await maker.rest.get(f"/v1/flows/{id}")).headers["etag"]
    await maker.done("resumeFlow", id=id, event="paid", data={"n": 1})
    assert (await maker.rest.get(f"/v1/flows/{id}")).headers["etag"] == events


async def test_an_event_before_the_checkpoint_keeps_the_flow_from_waiting(maker: Party) -> None:
    """F2: what is told while it runs is not slept over."""
    id = await flow(maker)
    await maker.done("resumeFlow", id=id, event="paid")
    saved = await waits(maker, id)
    assert (saved["behind"], saved["status"]) == (True, "RUNNING")
    assert [(one["name"], one["outcome"]) for one in saved["outcomes"]] == [("paid", "received")]
    assert not (await waits(maker, id, 1, saved["wake"]))["behind"]


async def test_a_flow_that_has_ended_is_not_resumed(maker: Party) -> None:
    id = await flow(maker)
    await maker.done("checkpointFlow", id=id, revision=0, status="FAILED", error="no")
    assert await maker.refused("resumeFlow", id=id, event="paid") == "wrong_status"


async def test_who_waits_for_news_of_a_flow_is_told_when_it_is_answered(
    maker: Party, ana: Party
) -> None:
    id = await flow(maker)
    request = await maker.ask(ana.sub, flowId=id)
    await waits(maker, id)
    etag = (await maker.rest.get(f"/v1/flows/{id}")).headers["etag"]
    headers = {"if-none-match": etag}
    assert (await maker.rest.get(f"/v1/flows/{id}", headers=headers)).status_code == 304
    found: list[Json] = []

    async def poll() -> None:
        reply = await maker.rest.get(f"/v1/flows/{id}", headers={**headers, "prefer": "wait=20"})
        found.append(reply.json())

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(poll)
            await ana.done("postResponse", id=request, payload="yes")
    assert found[0]["status"] == "RUNNING"


async def test_workers_and_watchers_hear_of_what_they_may(
    party: Callable[..., Party], maker: Party
) -> None:
    """X2, F4: `work:<kind>` is for workers of that kind alone, `flow:<id>` for who may read it."""
    kind = unique("kind")
    hands = party(unique("hands"), f"worker:{kind}")
    stranger = party(unique("stranger"), "flow admin")
    async with hands.socket() as socket, maker.socket() as own, stranger.socket() as other:
        await socket.subscribe(f"work:{kind}")
        denied = await other.ask(type="subscribe", channel=f"work:{kind}")
        assert denied["data"]["code"] == "not_found"
        made = await maker.done("createFlow", kind=kind, version=1)
        await own.subscribe(f"flow:{made['flowId']}")
        await maker.done("cancelFlow", id=made["flowId"])
        event = await socket.event("flow.runnable")
        assert (event["channel"], event["data"]["flowId"]) == (f"work:{kind}", made["id"])
        told = await own.event("flow.cancelled")
        assert told["channel"] == f"flow:{made['flowId']}"
