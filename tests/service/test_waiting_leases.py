"""Leases that wait for something to run (F4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from pxbox.service import workers
from tests.service.brokers import ROME, Broker, unique
from tests.service.flows import Json, Worker, ask, started, until, worker

Brokers = tuple[Broker, Broker]
PATIENCE_SECONDS = 10.0
LONGER = 20
"""Than the patience: what comes back in time did not come by the end of the waiting."""


@asynccontextmanager
async def waiting(broker: Broker, hands: Worker) -> AsyncIterator[list[list[str]]]:
    """A lease that waits; the flows that it brought, once it has come back, which is in time."""
    came: list[list[str]] = []

    async def lease() -> None:
        leased = await hands.leases(waitSeconds=LONGER)
        came.append([flow["flowId"] for flow in leased["flows"]])

    async def listens() -> Json | None:
        return {} if f"work:{hands.kind}" in broker.parts.channels.watched() else None

    with trio.fail_after(PATIENCE_SECONDS):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lease)
            await until(listens)
            yield came


@pytest.mark.parametrize("line", [None, object()], ids=["by one call", "by a connection"])
async def test_a_lease_that_waits_brings_what_is_started_through_any_broker(
    brokers: Brokers, line: object | None
) -> None:
    for starting in brokers:
        hands = await worker(brokers[0], unique("kind")[:40], line=line)
        async with waiting(brokers[0], hands) as came:
            flow, _ = await started(starting, hands.kind)
        assert came == [[flow]]


async def test_what_there_was_before_and_what_is_woken_come_to_the_same_session(
    broker: Broker,
) -> None:
    ana = await broker.user()
    hands = await worker(broker, unique("kind")[:40], line=object())
    ids = {(await started(broker, hands.kind))[0] for _ in range(2)}
    given = [(await hands.leases(limit=1, waitSeconds=LONGER))["flows"][0] for _ in ids]
    assert {flow["flowId"] for flow in given} == ids
    flow = given[0]
    saved: Json = await hands.client.call(
        "checkpointFlow", id=flow["flowId"], sessionId=hands.session, fence=1, revision=0,
        status="WAITING_INPUT", wake=0, waits=[ask(ana)],
    )  # fmt: skip
    async with waiting(broker, hands) as came:
        asked = saved["waitIds"]["city#1"]
        await broker.responder(ana).call("postResponse", id=asked, payload=ROME)
    assert came == [[flow["flowId"]]]


async def test_nothing_is_given_to_a_worker_that_has_left(broker: Broker) -> None:
    line = object()
    hands = await worker(broker, unique("kind")[:40], line=line)
    async with waiting(broker, hands) as came:
        await workers.leave(broker.parts, line)
    assert came == [[]]
    assert f"work:{hands.kind}" not in broker.parts.channels.watched()
    flow, _ = await started(broker, hands.kind)
    other = await worker(broker, hands.kind)
    assert (await other.takes()).id == flow


async def test_a_session_that_is_closed_and_a_broker_that_drains_end_the_waiting(
    broker: Broker,
) -> None:
    hands = await worker(broker, unique("kind")[:40], line=object())
    async with waiting(broker, hands) as came:
        broker.parts.channels.drain()
    assert came == [[]]
    broker.parts.channels.draining = False
    closing = await worker(broker, unique("kind")[:40], line=object())
    with pytest.RaisesGroup(pytest.RaisesExc(Exception, match="ended"), flatten_subgroups=True):
        async with waiting(broker, closing):
            await closing.client.call("closeSession", id=closing.session)


async def test_a_flow_that_begins_anew_is_told_to_workers(broker: Broker) -> None:
    hands = await worker(broker, unique("kind")[:40], line=object())
    await started(broker, hands.kind)
    flow = await hands.takes()
    async with waiting(broker, hands) as came:
        await hands.saves(flow, restart={"round": 2})
    assert came == [[flow.id]]
