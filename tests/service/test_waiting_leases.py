"""Leases that wait for something to run (F4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from pxbox.model.errors import Draining, Overloaded
from pxbox.service import workers
from tests.service.brokers import ROME, Broker, Brokers, unique
from tests.service.flows import Connection, Json, Worker, ask, started, until, worker

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


@pytest.mark.parametrize("line", [None, Connection()], ids=["by one call", "by a connection"])
async def test_a_lease_that_waits_brings_what_is_started_through_any_broker(
    brokers: Brokers, line: Connection | None
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
    hands = await worker(broker, unique("kind")[:40], line=Connection())
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
    line = Connection()
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
    hands = await worker(broker, unique("kind")[:40], line=Connection())
    with pytest.RaisesGroup(Draining, flatten_subgroups=True):
        async with waiting(broker, hands):
            broker.parts.channels.drain()
    with trio.fail_after(PATIENCE_SECONDS), pytest.raises(Draining):
        await hands.leases(waitSeconds=LONGER)
    broker.parts.channels.draining = False
    closing = await worker(broker, unique("kind")[:40], line=Connection())
    with pytest.RaisesGroup(pytest.RaisesExc(Exception, match="ended"), flatten_subgroups=True):
        async with waiting(broker, closing):
            await closing.client.call("closeSession", id=closing.session)


async def test_a_flow_that_begins_anew_is_told_to_workers(broker: Broker) -> None:
    hands = await worker(broker, unique("kind")[:40], line=Connection())
    await started(broker, hands.kind)
    flow = await hands.takes()
    async with waiting(broker, hands) as came:
        await hands.saves(flow, restart={"round": 2})
    assert came == [[flow.id]]


async def test_a_channel_that_cannot_be_left_ends_neither_the_leaving_nor_the_broker(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Connection()
    kind = unique("kind")[:40]
    hands = await worker(broker, kind, line=line)

    async def full(channel: str, subscriber: object) -> None:
        raise Overloaded("too many wait for this channel")

    await started(broker, kind)
    assert (await hands.leases(waitSeconds=LONGER))["flows"]
    with monkeypatch.context() as patched:
        patched.setattr(broker.parts.channels, "leave", full)
        await workers.leave(broker.parts, line)
    served = "select served_by from worker_session where id = $1"
    assert [row["served_by"] for row in await broker.query(served, hands.session)] == [""]


async def test_a_lease_that_comes_after_its_connection_has_closed_is_given_nothing(
    broker: Broker,
) -> None:
    line = Connection()
    hands = await worker(broker, unique("kind")[:40], line=line)
    flow, _ = await started(broker, hands.kind)
    line.open = False
    with trio.fail_after(PATIENCE_SECONDS):
        assert (await hands.leases(waitSeconds=LONGER))["flows"] == []
    assert (await (await worker(broker, hands.kind)).takes()).id == flow


async def test_a_flow_that_was_left_to_another_is_looked_for_by_the_next_lease_too(
    broker: Broker,
) -> None:
    """Its session is served, and does not come for it: another's after a second."""
    ana, kind = await broker.user(), unique("kind")[:40]
    silent = await worker(broker, kind, line=Connection())
    await started(broker, kind)
    flow = await silent.takes()
    wait = (await silent.saves(flow, "WAITING_INPUT", waits=[ask(ana)]))["waitIds"]["city#1"]
    hands = await worker(broker, kind, line=Connection())
    async with waiting(broker, hands) as came:
        await started(broker, kind)
    assert len(came[0]) == 1
    async with waiting(broker, hands) as came:
        await broker.responder(ana).call("postResponse", id=wait, payload=ROME)
        other, _ = await started(broker, kind)
    given = set(came[0])
    with trio.fail_after(PATIENCE_SECONDS):
        while not {flow.id, other} <= given:
            leased = await hands.leases(waitSeconds=LONGER)
            given |= {one["flowId"] for one in leased["flows"]}
