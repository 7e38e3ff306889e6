"""Sessions and leases: whose hands a flow is in (F4)."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace

import asyncpg
import pytest
import trio

from pxbox.model.errors import Forbidden, InvalidRequest, NotFound, StaleCheckpoint
from pxbox.service import workers
from tests.postgres.sessions import run_asyncio
from tests.service.brokers import ROME, Broker, Brokers, unique
from tests.service.flows import (
    Connection,
    Worker,
    ask,
    held,
    owner,
    running,
    signal,
    started,
    worker,
)


async def expire(broker: Broker, session: str) -> None:
    """Let the database's clock have passed the end of this session."""
    await broker.query("update worker_session set expires_at = now() where id = $1", session)


async def test_each_flow_goes_to_one_of_the_workers_that_ask_at_once(brokers: Brokers) -> None:
    kind = unique("kind")[:40]
    ids = {(await started(brokers[0], kind))[0] for _ in range(20)}
    hands = [await worker(brokers[n % 2], kind) for n in range(4)]
    given: list[str] = []

    async def take(one: Worker) -> None:
        while flows := (await one.leases(limit=3))["flows"]:
            given.extend(flow["flowId"] for flow in flows)

    async with trio.open_nursery() as nursery:
        for one in hands:
            nursery.start_soon(take, one)
    assert sorted(given) == sorted(ids)


async def test_a_lease_skips_what_another_transaction_has_locked(broker: Broker) -> None:
    kind = unique("kind")[:40]
    first, _ = await started(broker, kind)
    second, _ = await started(broker, kind)
    hands = await worker(broker, kind)
    locked = "select id from flow where id = $1 for update"

    async def lease_meanwhile() -> list[str]:
        return [flow["flowId"] for flow in (await hands.leases())["flows"]]

    holding, release = trio.Event(), threading.Event()
    token = trio.lowlevel.current_trio_token()

    async def hold() -> None:
        connection = await asyncpg.connect(broker.url)
        async with connection.transaction():
            await connection.fetch(locked, first)
            token.run_sync_soon(holding.set)
            await asyncio.to_thread(release.wait)
        await connection.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, lambda: run_asyncio(hold))
        await holding.wait()
        assert await lease_meanwhile() == [second]
        release.set()
    assert await lease_meanwhile() == [first]


async def test_the_fence_rises_only_when_the_flow_changes_hands(broker: Broker) -> None:
    hands, flow = await running(broker)
    assert flow.fence == 1
    for _ in range(2):
        await hands.saves(flow, "SUSPENDED", waits=[signal("go", unique())])
        await owner(broker).call("signalFlow", id=flow.id, name="go")
        again = await hands.takes()
        assert again.fence == 1
        flow.wake = again.wake
    await hands.client.call("handBack", id=hands.session, flowIds=[flow.id])
    other = await worker(broker, hands.kind)
    assert (await other.takes()).fence == 2


async def test_a_checkpoint_from_hands_that_lost_the_flow_is_stale(brokers: Brokers) -> None:
    """F4: also through a broker whose activation has never heard of the change of hands."""
    one, other = brokers
    hands, flow = await running(one)
    await hands.saves(flow, text="at work")
    await expire(one, hands.session)
    await workers.end_expired(other.parts)
    heir = await worker(other, hands.kind)
    theirs = await heir.takes()
    assert (theirs.id, theirs.fence) == (flow.id, 2)
    with pytest.raises(StaleCheckpoint):
        await hands.saves(flow, "COMPLETED", result="mine")
    await heir.saves(theirs, "COMPLETED", result="theirs")
    detail = await owner(one).call("getFlow", id=flow.id)
    assert detail["result"] == "theirs"


async def test_a_flow_waits_for_its_living_worker_and_no_longer(broker: Broker) -> None:
    ana = await broker.user()
    hands, flow = await running(broker)
    asked = (await hands.saves(flow, "WAITING_INPUT", waits=[ask(ana)]))["waitIds"]["city#1"]
    other = await worker(broker, hands.kind)
    await broker.responder(ana).call("postResponse", id=asked, payload=ROME)
    assert (await other.leases())["flows"] == []
    await expire(broker, hands.session)
    (taken,) = (await other.leases())["flows"]
    assert not taken["resident"]
    assert taken["fence"] == 2


async def test_whose_worker_or_broker_has_gone_keeps_no_waiting_flow_from_others(
    brokers: Brokers,
) -> None:
    there, here = brokers
    ana = await here.user()
    for gone in ("worker", "broker"):
        kind = unique("kind")[:40]
        line = Connection()
        hands = await worker(there, kind, line=line)
        other = await worker(here, kind)
        await started(here, kind)
        asked = [ask(ana)]
        flow = await hands.takes()
        wait = (await hands.saves(flow, "WAITING_INPUT", waits=asked))["waitIds"]["city#1"]
        await here.responder(ana).call("postResponse", id=wait, payload=ROME)
        # There is its broker, which serves it.
        assert (await other.leases())["flows"] == []
        if gone == "worker":
            await workers.leave(there.parts, line)
        else:
            elsewhere = "update worker_session set served_by = 'pxbox writer gone' where id = $1"
            await here.query(elsewhere, hands.session)
        assert [one["flowId"] for one in (await other.leases())["flows"]] == [flow.id]


async def test_a_worker_that_comes_by_another_connection_is_served_by_it(broker: Broker) -> None:
    kind = unique("kind")[:40]
    first, second = Connection(), Connection()
    hands = await worker(broker, kind, line=first)
    served = "select served_by from worker_session where id = $1"
    mine = broker.core.journal.name
    hands.client = replace(hands.client, line=second)
    await hands.leases()
    await workers.leave(broker.parts, first)
    assert [row["served_by"] for row in await broker.query(served, hands.session)] == [mine]
    await workers.leave(broker.parts, second)
    assert [row["served_by"] for row in await broker.query(served, hands.session)] == [""]
    await hands.leases()
    assert [row["served_by"] for row in await broker.query(served, hands.session)] == [mine]


async def test_what_an_ended_session_ran_is_told_to_other_workers(broker: Broker) -> None:
    hands, flow = await running(broker)
    before = len(await broker.events(f"work:{hands.kind}"))
    await expire(broker, hands.session)
    await workers.end_expired(broker.parts)
    told = (await broker.events(f"work:{hands.kind}"))[before:]
    assert [event["flowId"] for event in told] == [flow.id]


async def test_a_closed_session_hands_everything_back(broker: Broker) -> None:
    hands, flow = await running(broker)
    await hands.saves(flow, text="at work")
    gone = await hands.client.call("closeSession", id=hands.session)
    assert gone["flowIds"] == [flow.id]
    again = await (await worker(broker, hands.kind)).takes()
    assert (again.id, again.revision, again.fence) == (flow.id, 1, 2)


async def test_a_suspended_flow_that_is_handed_back_is_not_run_before_it_is_woken(
    broker: Broker,
) -> None:
    hands, flow = await running(broker)
    await hands.saves(flow, "SUSPENDED", waits=[signal("go")])
    await hands.client.call("handBack", id=hands.session, flowIds=[flow.id])
    other = await worker(broker, hands.kind)
    assert (await other.leases())["flows"] == []
    await owner(broker).call("signalFlow", id=flow.id, name="go")
    assert (await other.takes()).id == flow.id


async def test_what_was_leased_in_a_reply_that_got_lost_is_given_again(broker: Broker) -> None:
    hands, flow = await running(broker)
    assert (await hands.leases())["flows"] == []
    (again,) = (await hands.leases(held={}))["flows"]
    assert (again["flowId"], again["fence"]) == (flow.id, flow.fence)
    assert (await hands.leases(held={flow.id: 0}))["flows"] == []


async def test_a_worker_hears_what_it_has_lost_while_it_was_away(broker: Broker) -> None:
    hands, flow = await running(broker)
    await broker.query("update flow set session = null where id = $1", flow.id)
    back = await hands.leases(held={flow.id: 0})
    assert back["lost"] == [flow.id]


async def test_outcomes_that_went_down_with_a_lost_reply_are_given_again(broker: Broker) -> None:
    ana = await broker.user()
    hands, flow = await running(broker)
    asked = (await hands.saves(flow, "WAITING_INPUT", waits=[ask(ana)]))["waitIds"]["city#1"]
    await broker.responder(ana).call("postResponse", id=asked, payload=ROME)
    assert (await hands.takes()).wake == 1
    (again,) = (await hands.leases(held={flow.id: 0}))["flows"]
    assert [one["payload"] for one in again["outcomes"]] == [ROME]


async def test_a_session_that_has_ended_does_nothing_more(broker: Broker) -> None:
    hands, _ = await running(broker)
    await expire(broker, hands.session)
    for operation in ("renewSession", "closeSession", "leaseFlows"):
        with pytest.raises(StaleCheckpoint):
            await hands.client.call(operation, id=hands.session)


async def test_a_renewed_session_lasts_longer(broker: Broker) -> None:
    hands, _ = await running(broker)
    shorten = "update worker_session set expires_at = now() + interval '9 s' where id = $1"
    await broker.query(shorten, hands.session)
    await hands.client.call("renewSession", id=hands.session)
    (left,) = await broker.query(
        "select expires_at > now() + interval '20 s' from worker_session where id = $1",
        hands.session,
    )
    assert left[0]


async def test_a_session_is_nobody_elses(broker: Broker) -> None:
    """X2: like one that has ended."""
    hands, _ = await running(broker)
    thief = broker.client("thief", "worker:*")
    for operation in ("renewSession", "closeSession", "leaseFlows"):
        with pytest.raises(StaleCheckpoint):
            await thief.call(operation, id=hands.session)


async def test_a_worker_works_only_on_kinds_of_its_scope(broker: Broker) -> None:
    _, kind = await started(broker)
    kinds = [{"kind": kind, "version": 1}]
    for scopes in (("flow", "admin"), ("worker:other",)):
        with pytest.raises(Forbidden):
            await broker.client("w", *scopes).call("openSession", kinds=kinds)
    anything = broker.client("w", "worker:*")
    assert (await anything.call("openSession", kinds=kinds))["sessionId"]
    with pytest.raises(InvalidRequest):
        await anything.call("openSession", kinds=[*kinds, *kinds])


async def test_a_later_version_takes_earlier_flows_and_no_other_way_round(broker: Broker) -> None:
    """F5."""
    kind = unique("kind")[:40]
    await owner(broker).call("createFlow", kind=kind, version=2)
    old = await worker(broker, kind, version=1)
    assert (await old.leases())["flows"] == []
    new = await worker(broker, kind, version=3)
    (taken,) = (await new.leases())["flows"]
    assert taken["version"] == 2
    saved = await new.saves(held(taken), version=3)
    assert saved["revision"] == 1
    detail = await owner(broker).call("getFlow", id=taken["flowId"])
    assert detail["version"] == 3


async def test_what_a_broker_knows_of_a_session_lets_nobody_else_in(broker: Broker) -> None:
    """A session that has leased here before: its end and another token are noticed all the same."""
    hands, flow = await running(broker)
    narrower = broker.client("worker", "worker:another")
    with pytest.raises(Forbidden):
        await narrower.call("leaseFlows", id=hands.session)
    somebody = broker.client("somebody", f"worker:{hands.kind}")
    with pytest.raises(StaleCheckpoint):
        await somebody.call("leaseFlows", id=hands.session)
    with pytest.raises(NotFound):
        await Worker(narrower, hands.kind, hands.session).saves(flow)
    await expire(broker, hands.session)
    with pytest.raises(StaleCheckpoint):
        await hands.leases()


async def test_a_worker_checkpoints_at_a_broker_that_did_not_lease_to_it(brokers: Brokers) -> None:
    hands, flow = await running(brokers[0])
    there = Worker(brokers[1].client("worker", f"worker:{hands.kind}"), hands.kind, hands.session)
    await there.saves(flow, steps=[{"key": "one#1", "digest": "", "result": 1}])
    await hands.saves(flow, "SUSPENDED", waits=[signal("go")])
    await owner(brokers[1]).call("signalFlow", id=flow.id, name="go")
    assert (await there.takes()).id == flow.id
