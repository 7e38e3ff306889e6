"""Flows by the operations: waits and outcomes, checkpoints, cancelling (F1, F2, F5, F6)."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from pxbox.model.errors import (
    FlowParked,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    StaleCheckpoint,
    WrongStatus,
)
from pxbox.model.principal import FLOW, OPERATE, RESPOND
from tests.service.brokers import ROME, Broker, unique
from tests.service.flows import (
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

STEP = {"key": "score#1", "digest": "d", "result": {"risk": 1}}
Brokers = tuple[Broker, Broker]


async def test_an_answer_wakes_the_flow_that_waits_for_it(broker: Broker) -> None:
    ana = await broker.user()
    hands, flow = await running(broker)
    saved = await hands.saves(flow, "WAITING_INPUT", waits=[ask(ana)])
    assert not saved["behind"]
    assert (await hands.leases())["flows"] == []
    asked = saved["waitIds"]["city#1"]
    await broker.responder(ana).call("postResponse", id=asked, payload=ROME)
    assert (await read(broker, flow.id))["status"] == "RUNNING"
    (again,) = (await hands.leases())["flows"]
    assert again["resident"]
    assert again["fence"] == flow.fence
    (outcome,) = again["outcomes"]
    assert (outcome["id"], outcome["outcome"]) == (asked, "answered")
    assert outcome["payload"] == ROME


@pytest.mark.parametrize("brokers_apart", [False, True])
async def test_an_answer_before_the_flow_came_to_wait_keeps_it_going(
    brokers: Brokers, brokers_apart: bool
) -> None:
    """F2: the worker on one broker, who answers on the same or another; "answered" first."""
    one, other = brokers if brokers_apart else (brokers[0], brokers[0])
    ana = await one.user()
    hands, flow = await running(one)
    asked = (await hands.saves(flow, waits=[ask(ana)]))["waitIds"]["city#1"]
    await other.responder(ana).call("postResponse", id=asked, payload=ROME)
    saved = await hands.saves(flow, "WAITING_INPUT", steps=[STEP])
    assert saved["behind"]
    assert saved["status"] == "RUNNING"
    assert [(one["outcome"], one["payload"]) for one in saved["outcomes"]] == [("answered", ROME)]
    assert (await read(one, flow.id))["steps"] == 1
    done = await hands.saves(flow, "COMPLETED", result="Rome")
    assert done["status"] == "COMPLETED"


@pytest.mark.parametrize("brokers_apart", [False, True])
async def test_answers_and_suspends_at_once_lose_no_wake(
    brokers: Brokers, brokers_apart: bool
) -> None:
    """F2: whichever commits first, the run gets the outcome; by the reply or by a lease."""
    one, other = brokers if brokers_apart else (brokers[0], brokers[0])
    ana = await one.user()
    for _ in range(5):
        hands, flow = await running(one)
        asked = (await hands.saves(flow, waits=[ask(ana)]))["waitIds"]["city#1"]
        saved: list[Json] = []

        async def suspend(hands: Any = hands, flow: Any = flow, saved: Any = saved) -> None:
            saved.append(await hands.saves(flow, "WAITING_INPUT"))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(suspend)
            await other.responder(ana).call("postResponse", id=asked, payload=ROME)
        outcomes = saved[0]["outcomes"] or (await hands.awaits())["outcomes"]
        assert [(one["id"], one["payload"]) for one in outcomes] == [(asked, ROME)]


async def test_a_checkpoint_that_is_behind_tells_outcomes_and_no_open_waits(
    broker: Broker,
) -> None:
    ana = await broker.user()
    hands, flow = await running(broker)
    waits = [ask(ana), ask(ana, "other#1")]
    ids = (await hands.saves(flow, waits=waits))["waitIds"]
    await broker.responder(ana).call("postResponse", id=ids["city#1"], payload=ROME)
    saved = await hands.saves(flow, "WAITING_INPUT")
    assert [one["key"] for one in saved["outcomes"]] == ["city#1"]


@pytest.mark.parametrize("how", ["declined", "cancelled"])
async def test_an_ask_that_is_not_answered_has_its_own_outcome(broker: Broker, how: str) -> None:
    ana = await broker.user()
    hands, flow = await running(broker)
    asked = (await hands.saves(flow, "WAITING_INPUT", waits=[ask(ana)]))["waitIds"]["city#1"]
    if how == "declined":
        await broker.responder(ana).call("declineRequest", id=asked, reason="no")
    else:
        await owner(broker).call("cancelRequest", id=asked)
    (outcome,) = (await hands.awaits())["outcomes"]
    assert outcome["outcome"] == how
    assert outcome["payload"] is None


async def test_a_deadline_that_passes_is_the_outcome_of_its_ask(broker: Broker) -> None:
    ana = await broker.user()
    hands, flow = await running(broker)
    late = ask(ana)
    late["request"]["deadlineIn"] = 1
    await hands.saves(flow, "WAITING_INPUT", waits=[late])
    (outcome,) = (await hands.awaits())["outcomes"]
    assert outcome["outcome"] == "expired"


async def test_a_timer_fires_once(broker: Broker) -> None:
    hands, flow = await running(broker)
    await hands.saves(flow, "SUSPENDED", waits=[timer(0.05)])
    (outcome,) = (await hands.awaits())["outcomes"]
    assert (outcome["kind"], outcome["outcome"]) == ("timer", "fired")
    assert await broker.query("select from alarm where subject = $1", f"flow:{flow.id}") == []


async def test_a_signal_is_taken_by_the_oldest_wait_for_its_name(broker: Broker) -> None:
    hands, flow = await running(broker)
    waits = [signal("go"), signal("go", "go#2"), signal("stop", "stop#1")]
    await hands.saves(flow, "SUSPENDED", waits=waits)
    await owner(broker).call("signalFlow", id=flow.id, name="go", data=[1])
    (outcome,) = (await hands.awaits())["outcomes"]
    assert (outcome["key"], outcome["outcome"], outcome["detail"]) == ("go#1", "received", [1])
    left = [wait["key"] for wait in (await read(broker, flow.id))["waiting"]]
    assert left == ["go#2", "stop#1"]


async def test_signals_before_their_waits_are_kept_and_taken_in_order(broker: Broker) -> None:
    hands, flow = await running(broker)
    for n in range(3):
        await owner(broker).call("signalFlow", id=flow.id, name="go", data=n)
    saved = await hands.saves(flow, "SUSPENDED", waits=[signal("go"), signal("go", "go#2")])
    assert saved["behind"]
    assert [one["detail"] for one in saved["outcomes"]] == [0, 1]
    last = await hands.saves(flow, "SUSPENDED", waits=[signal("go", "go#3")])
    assert [one["detail"] for one in last["outcomes"]] == [2]


async def test_a_wait_for_a_signal_expires_and_the_signal_is_kept_for_the_next(
    broker: Broker,
) -> None:
    hands, flow = await running(broker)
    await hands.saves(flow, "SUSPENDED", waits=[signal("go", after=0.05)])
    woken = await hands.awaits()
    assert [one["outcome"] for one in woken["outcomes"]] == ["expired"]
    flow.wake = woken["wake"]
    await owner(broker).call("signalFlow", id=flow.id, name="go", data="late")
    saved = await hands.saves(flow, "SUSPENDED", waits=[signal("go", "go#2")])
    assert [one["detail"] for one in saved["outcomes"]] == ["late"]


async def test_a_signal_ends_the_time_of_its_wait(broker: Broker) -> None:
    hands, flow = await running(broker)
    await hands.saves(flow, "SUSPENDED", waits=[signal("go", after=3600)])
    await owner(broker).call("signalFlow", id=flow.id, name="go")
    assert await broker.query("select from alarm where subject = $1", f"flow:{flow.id}") == []


@pytest.mark.parametrize(
    ("ends", "outcome", "detail"),
    [("COMPLETED", "completed", 7), ("FAILED", "failed", "broke"), (None, "cancelled", "stop")],
)
async def test_the_end_of_a_child_is_the_outcome_of_its_wait(
    broker: Broker, ends: str | None, outcome: str, detail: object
) -> None:
    hands, flow = await running(broker)
    kind = unique("kid")[:40]
    ids = (await hands.saves(flow, "SUSPENDED", waits=[child(kind)]))["waitIds"]
    kid = await worker(broker, kind)
    taken = await kid.takes()
    assert taken.id == ids["kid#1"]
    if ends is None:
        await owner(broker).call("cancelFlow", id=taken.id, reason="stop")
    else:
        more = {"result": 7} if ends == "COMPLETED" else {"error": "broke"}
        await kid.saves(taken, ends, **more)
    (settled,) = (await hands.awaits())["outcomes"]
    assert (settled["outcome"], settled["detail"]) == (outcome, detail)


async def test_a_checkpoint_again_is_answered_and_done_once(broker: Broker) -> None:
    ana = await broker.user()
    hands, flow = await running(broker)
    given = {"waits": [ask(ana)], "steps": [STEP]}
    first = await hands.saves(flow, "WAITING_INPUT", **given)
    flow.revision = 0
    again = await hands.saves(flow, "WAITING_INPUT", **given)
    assert again["behind"]
    assert again["revision"] == 1
    assert again["waitIds"] == first["waitIds"]
    assert again["outcomes"] == []
    found = await read(broker, flow.id)
    assert (found["steps"], len(found["waiting"])) == (1, 1)


async def test_a_checkpoint_from_another_revision_is_stale(broker: Broker) -> None:
    hands, flow = await running(broker)
    await hands.saves(flow, steps=[STEP])
    flow.revision = 0
    with pytest.raises(StaleCheckpoint) as stale:
        await hands.saves(flow, text="something else")
    assert stale.value.members["revision"] == 1


async def test_steps_have_their_results_in_the_history(broker: Broker) -> None:
    hands, flow = await running(broker)
    steps = [{"key": f"s#{n}", "digest": "", "result": n} for n in range(1, 601)]
    await hands.saves(flow, steps=steps)
    first = await hands.client.call("getFlowHistory", id=flow.id)
    assert first["more"]
    assert len(first["steps"]) == 500
    rest = await hands.client.call("getFlowHistory", id=flow.id, afterStep=500)
    assert not rest["more"]
    assert [step["result"] for step in (*first["steps"], *rest["steps"])] == [*range(1, 601)]


async def test_a_restart_begins_with_nothing_but_the_new_input(broker: Broker) -> None:
    hands, flow = await running(broker)
    await hands.saves(flow, steps=[STEP])
    await hands.saves(flow, restart={"round": 2})
    found = await read(broker, flow.id)
    assert (found["steps"], found["input"], found["status"]) == (0, {"round": 2}, "RUNNING")
    history = await hands.client.call("getFlowHistory", id=flow.id)
    assert (history["steps"], history["waits"]) == ([], [])


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


async def test_what_is_recorded_stays_and_a_step_of_the_same_name_is_refused(
    broker: Broker,
) -> None:
    """F1: a replay would find the one for the other. Nothing else of that checkpoint is kept."""
    hands, flow = await running(broker)
    await hands.saves(flow, steps=[STEP])
    for _ in range(2):
        with pytest.raises(InvalidRequest, match="'score#1' is recorded already"):
            await hands.saves(flow, cursor=1, steps=[{**STEP, "key": "new#1"}, STEP])
    found = await read(broker, flow.id)
    assert (found["revision"], found["steps"]) == (1, 1)
    await hands.saves(flow, steps=[{**STEP, "key": "new#1"}])
    history = await hands.client.call("getFlowHistory", id=flow.id)
    assert [step["key"] for step in history["steps"]] == ["score#1", "new#1"]


async def test_what_a_wait_needs_is_asked_for(broker: Broker) -> None:
    hands, flow = await running(broker)
    for kind in ("ask", "timer", "signal", "child"):
        with pytest.raises(InvalidRequest, match="is of kind"):
            await hands.saves(flow, waits=[{"key": "a#1", "kind": kind, "digest": ""}])
    with pytest.raises(InvalidRequest, match="given 2 times"):
        await hands.saves(flow, steps=[STEP, STEP])
    with pytest.raises(InvalidRequest, match="score#1"):
        await hands.saves(flow, steps=[{**STEP, "result": "x" * 512 * 1024}])
    with pytest.raises(InvalidRequest, match="cursor"):
        await hands.saves(flow, cursor="x" * 256 * 1024)
    with pytest.raises(InvalidRequest, match="wake"):
        await hands.client.call(
            "checkpointFlow", id=flow.id, sessionId=hands.session, fence=flow.fence, revision=0,
            status="SUSPENDED",
        )  # fmt: skip
    assert (await read(broker, flow.id))["revision"] == 0
