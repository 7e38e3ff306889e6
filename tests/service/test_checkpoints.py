"""Checkpoints: what a run makes durable, once and in its order (F1)."""

from __future__ import annotations

import pytest

from pxbox.model.errors import (
    InvalidRequest,
    StaleCheckpoint,
)
from tests.service.brokers import Broker
from tests.service.flows import (
    STEP,
    ask,
    read,
    running,
)


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
