"""What flows wait for, and how each wait ends (F2, S10)."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.service.brokers import ROME, Broker, Brokers, unique
from tests.service.flows import (
    STEP,
    Json,
    ask,
    child,
    owner,
    read,
    running,
    signal,
    timer,
    worker,
)


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
