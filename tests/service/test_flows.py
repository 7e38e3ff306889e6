"""Flows as their authors and owners see them: steered, seen, ended (F5, F6, X2)."""

from __future__ import annotations

from functools import partial

import pytest

from pxbox.model.errors import (
    FlowParked,
    IdempotencyKeyReused,
    NotFound,
    WrongStatus,
)
from pxbox.model.principal import FLOW, OPERATE, RESPOND
from tests.service.brokers import ROME, Broker, unique
from tests.service.flows import (
    STEP,
    Json,
    ask,
    child,
    owner,
    read,
    running,
    signal,
    started,
    timer,
    until,
    worker,
)


async def test_a_parked_flow_is_left_alone_until_it_is_retried(broker: Broker) -> None:
    """F5: visible, with its reason."""
    hands, flow = await running(broker)
    reason = {"code": "unknown_version", "reason": "deploy version 2"}
    await hands.saves(flow, parked=reason)
    (listed,) = (await owner(broker).call("listFlows", kind=hands.kind, parked=True))["items"]
    assert listed["parked"]["code"] == "unknown_version"
    assert (await hands.leases())["flows"] == []
    with pytest.raises(FlowParked):
        await hands.saves(flow, "COMPLETED")
    await owner(broker).call("retryFlow", id=flow.id)
    again = await hands.takes()
    assert (again.id, again.revision) == (flow.id, 1)


async def test_a_failed_flow_can_be_retried_and_a_completed_one_cannot(broker: Broker) -> None:
    hands, flow = await running(broker)
    await hands.saves(flow, "FAILED", error="it broke")
    assert (await read(broker, flow.id))["error"] == "it broke"
    await owner(broker).call("retryFlow", id=flow.id)
    flow = await hands.takes()
    await hands.saves(flow, "COMPLETED", result=1)
    for operation in ("retryFlow", "cancelFlow"):
        with pytest.raises(WrongStatus) as refusal:
            await owner(broker).call(operation, id=flow.id)
        assert refusal.value.members["flowStatus"] == "COMPLETED"


async def test_cancelling_a_flow_cancels_what_it_waits_for(broker: Broker) -> None:
    """F6, S5: by messages; the child's own asks too."""
    ana = await broker.user()
    hands, flow = await running(broker)
    kind = unique("kid")[:40]
    waits = [ask(ana), child(kind), timer(3600), signal("go")]
    ids = (await hands.saves(flow, "SUSPENDED", waits=waits))["waitIds"]
    kid = await worker(broker, kind)
    kids = await kid.saves(await kid.takes(), "WAITING_INPUT", waits=[ask(ana)])
    cancelled = await owner(broker).call("cancelFlow", id=flow.id, reason="enough")
    assert (cancelled["status"], cancelled["closedBy"]) == ("CANCELLED", "owner")
    for asked in (ids["city#1"], kids["waitIds"]["city#1"]):
        await until(partial(closed, broker, "getRequest", asked))
    await until(partial(closed, broker, "getFlow", ids["kid#1"]))
    assert await broker.query("select from alarm where subject = $1", f"flow:{flow.id}") == []
    waiting = await read(broker, flow.id)
    assert [w["kind"] for w in waiting["waiting"] if w["kind"] in ("timer", "signal")] == []
    again = await owner(broker).call("cancelFlow", id=flow.id)
    assert again["status"] == "CANCELLED"


async def closed(broker: Broker, operation: str, id: str) -> Json | None:
    found: Json = await owner(broker).call(operation, id=id)
    assert found["status"] in ("PENDING", "RUNNING", "WAITING_INPUT", "CANCELLED")
    return found if found["status"] == "CANCELLED" else None


async def test_an_answer_that_won_stays_an_answer(broker: Broker) -> None:
    """F6: the message finds it answered; the message is gone all the same."""
    ana = await broker.user()
    hands, flow = await running(broker)
    ids = (await hands.saves(flow, "WAITING_INPUT", waits=[ask(ana), ask(ana, "b#1")]))["waitIds"]
    await broker.responder(ana).call("postResponse", id=ids["city#1"], payload=ROME)
    await owner(broker).call("cancelFlow", id=flow.id)
    await until(partial(closed, broker, "getRequest", ids["b#1"]))
    answered = await owner(broker).call("getRequest", id=ids["city#1"])
    assert answered["status"] == "ANSWERED"
    assert await broker.query(
        "select from message where recipient = any($1)", [f"request:{id}" for id in ids.values()]
    ) == []  # fmt: skip


async def test_a_checkpoint_lets_go_of_waits_that_lost(broker: Broker) -> None:
    """A race: what lost is cancelled in the winner's checkpoint, and wakes nobody."""
    ana = await broker.user()
    hands, flow = await running(broker)
    ids = (await hands.saves(flow, "WAITING_INPUT", waits=[ask(ana), timer(3600)]))["waitIds"]
    await broker.responder(ana).call("postResponse", id=ids["city#1"], payload=ROME)
    flow.wake = (await hands.awaits())["wake"]
    saved = await hands.saves(flow, "SUSPENDED", cancels=[ids["nap#1"]], waits=[signal("go")])
    assert not saved["behind"]
    assert (await hands.leases())["flows"] == []
    waits = (await hands.client.call("getFlowHistory", id=flow.id))["waits"]
    assert {wait["key"]: wait["outcome"] for wait in waits} == {
        "city#1": "answered", "nap#1": "cancelled", "go#1": None,
    }  # fmt: skip


async def test_a_cancelled_flow_undoes_what_it_has_to(broker: Broker) -> None:
    hands, flow = await running(broker)
    await hands.saves(flow, "SUSPENDED", waits=[signal("go")], compensations=1)
    await owner(broker).call("cancelFlow", id=flow.id)
    leased = await hands.awaits()
    assert (leased["status"], leased["compensations"]) == ("CANCELLED", 1)
    done = await hands.saves(flow, "CANCELLED", steps=[STEP])
    assert done["status"] == "CANCELLED"
    with pytest.raises(WrongStatus):
        await hands.saves(flow, "CANCELLED", text="more")


async def test_the_timeline_says_what_happened_and_by_whom(broker: Broker) -> None:
    ana = await broker.user()
    hands, flow = await running(broker)
    ids = (await hands.saves(flow, "WAITING_INPUT", steps=[STEP], waits=[ask(ana)]))["waitIds"]
    await broker.responder(ana).call("postResponse", id=ids["city#1"], payload=ROME)
    items = (await owner(broker).call("getFlowTimeline", id=flow.id))["items"]
    told = {(one["what"], one["key"], one["outcome"], one["by"]) for one in items}
    assert told == {
        ("step", "score#1", None, None), ("opened", "city#1", None, None),
        ("settled", "city#1", "answered", ana),
    }  # fmt: skip


async def test_the_events_of_a_flow_tell_its_life(broker: Broker) -> None:
    ana = await broker.user()
    hands, flow = await running(broker)
    await hands.saves(flow, "SUSPENDED", waits=[timer(3600)], text="sleeps")
    await owner(broker).call("cancelFlow", id=flow.id)
    told = [event["type"] for event in await broker.events(f"flow:{flow.id}")]
    assert told == ["flow.created", "flow.updated", "flow.cancelled"]
    work = await broker.events(f"work:{hands.kind}")
    assert {event["type"] for event in work} == {"flow.runnable"}
    assert ana not in str(work)


async def test_a_flow_is_seen_by_those_who_may_and_steered_by_its_own(broker: Broker) -> None:
    """X2: another's flow is like none."""
    ana = await broker.user()
    id, kind = await started(broker)
    seers = [
        owner(broker), broker.admin(), broker.client("w", f"worker:{kind}"),
        broker.client("w", "worker:*"), broker.client("operator", FLOW, OPERATE),
    ]  # fmt: skip
    for client in seers:
        assert (await client.call("getFlow", id=id))["id"] == id
    strangers = [
        broker.client("stranger", FLOW), broker.client("w", "worker:other"),
        broker.client("owner", RESPOND), broker.client("s", FLOW, entity=ana),
    ]  # fmt: skip
    for client in strangers:
        for operation in ("getFlow", "getFlowTimeline", "getFlowHistory"):
            with pytest.raises(NotFound):
                await client.call(operation, id=id)
    stranger = broker.client("stranger", FLOW)
    assert (await stranger.call("listFlows", kind=kind))["items"] == []
    for operation, more in (
        ("signalFlow", {"name": "go"}), ("resumeFlow", {"event": "go"}), ("cancelFlow", {}),
        ("retryFlow", {}), ("checkpointFlow", {"revision": 0, "status": "COMPLETED"}),
    ):  # fmt: skip
        with pytest.raises(NotFound):
            await stranger.call(operation, id=id, **more)
    assert (await read(broker, id))["status"] == "RUNNING"


async def test_an_owner_sees_its_flows_and_the_requests_they_made(broker: Broker) -> None:
    boss, ana = await broker.user(), await broker.user()
    made = await owner(broker, "maker", entity=boss).call("createFlow", kind="import")
    asked = await owner(broker, "maker", entity=boss).ask(ana, flowId=made["flowId"])
    mine = broker.client("another client", FLOW, entity=boss)
    assert (await mine.call("getFlow", id=made["flowId"]))["ownerEntity"] == boss
    assert (await mine.call("listFlows", kind="import", ownerEntity=boss))["items"]
    with pytest.raises(NotFound):
        await broker.client("stranger", FLOW).call("listFlows", ownerEntity=boss)
    with pytest.raises(NotFound):
        await owner(broker, "other").ask(ana, flowId=made["flowId"])
    assert (await broker.responder(ana).call("getRequest", id=asked["id"]))["id"] == asked["id"]


async def test_commands_of_flows_can_be_repeated_with_a_key(broker: Broker) -> None:
    """S7."""
    client, kind = owner(broker), unique("kind")[:40]
    first = await client.outcome("createFlow", "k", kind=kind, version=1)
    again = await client.outcome("createFlow", "k", kind=kind, version=1)
    assert again.replayed
    (only,) = (await client.call("listFlows", kind=kind))["items"]
    with pytest.raises(IdempotencyKeyReused):
        await client.outcome("createFlow", "k", kind=kind, version=2)
    assert not first.replayed
    for _ in range(2):
        await client.call("signalFlow", "s", id=only["id"], name="go", data=1)
    hands = await worker(broker, kind)
    saved = await hands.saves(
        await hands.takes(), "SUSPENDED", waits=[signal("go"), signal("go", "go#2")]
    )
    assert [one["key"] for one in saved["outcomes"]] == ["go#1"]
