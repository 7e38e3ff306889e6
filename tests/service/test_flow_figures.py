"""What `/metrics` says of flows: how many there are, how soon they are run, what is replayed."""

from __future__ import annotations

import pytest

from pxbox.observe import Metrics
from pxbox.readings import flow_readings
from pxbox.service.flow_figures import MOST_KINDS, OTHERS, Counts, bounded
from tests.service.brokers import ROME, Broker, unique
from tests.service.flows import ask, owner, running, signal, started, timer

# What is counted and what there is, at one moment.
DIFFERENCE = """
    select t.kind, t.state, t.n, f.n as really
      from (select kind, state, sum(n) as n from flow_tally group by kind, state) t
      full join (select kind, px_flow_state(status, parked, wake, seen) as state, count(*) as n
                   from flow where px_flow_state(status, parked, wake, seen) is not null
                  group by 1, 2) f using (kind, state)
     where coalesce(t.n, 0) <> coalesce(f.n, 0)
"""


async def counted(broker: Broker, kind: str) -> dict[str, int]:
    """The states of a kind's flows, which have to be counted as they are."""
    found = (await broker.parts.flows.tally()).get(kind, {})
    assert await broker.query(DIFFERENCE) == []
    return found


async def test_a_flow_is_counted_where_it_stands_through_its_life(broker: Broker) -> None:
    ada = await broker.user()
    hands, flow = await running(broker)
    assert await counted(broker, hands.kind) == {"running": 1}
    await hands.saves(flow, "WAITING_INPUT", waits=[ask(ada)])
    assert await counted(broker, hands.kind) == {"waiting": 1}
    id = (await broker.responder(ada).call("listInquiries"))["items"][0]["id"]
    await broker.responder(ada).call("postResponse", id=id, payload=ROME)
    assert await counted(broker, hands.kind) == {"running": 1}
    await hands.takes()
    parked = {"code": "stuck", "reason": "it is"}
    await hands.saves(flow, parked=parked)
    assert await counted(broker, hands.kind) == {"parked": 1}
    await owner(broker).call("retryFlow", id=flow.id)
    assert await counted(broker, hands.kind) == {"running": 1}
    await hands.takes()
    await hands.saves(flow, "COMPLETED", result=1)
    assert await counted(broker, hands.kind) == {}


async def test_cancelled_flows_external_ones_and_those_of_lost_workers_are_counted_too(
    broker: Broker,
) -> None:
    hands, flow = await running(broker)
    await hands.saves(flow, "SUSPENDED", waits=[timer(3600)])
    external = await owner(broker).call("createFlow", kind=hands.kind, cursor={"page": 1})
    await started(broker, hands.kind)
    await hands.takes()
    assert await counted(broker, hands.kind) == {"running": 2, "waiting": 1}
    await hands.client.call("closeSession", id=hands.session)
    assert await counted(broker, hands.kind) == {"running": 2, "waiting": 1}
    for id in (flow.id, external["flowId"]):
        await owner(broker).call("cancelFlow", id=id)
    assert await counted(broker, hands.kind) == {"running": 1}
    await broker.query("delete from flow where kind = $1", hands.kind)
    assert await counted(broker, hands.kind) == {}


async def test_counts_are_put_together_by_whoever_comes_and_stay_the_same(
    brokers: tuple[Broker, Broker],
) -> None:
    kind = unique("kind")[:40]
    for n in range(6):
        await started(brokers[n % 2], kind)
    for broker in (*brokers, *brokers):
        assert await counted(broker, kind) == {"running": 6}
    rows = await brokers[0].query("select n from flow_tally where kind = $1", kind)
    assert [row["n"] for row in rows] == [6]


def wakes(broker: Broker) -> dict[str, float]:
    """The samples of the histogram, by name."""
    families = list(broker.parts.flow_figures.wakes.collect())
    return {s.name.rpartition("_")[2]: s.value for s in families[0].samples
            if s.name.endswith(("_count", "_sum"))}  # fmt: skip


async def test_from_the_wake_to_the_worker_is_measured_and_a_replay_is_counted(
    broker: Broker,
) -> None:
    figures = broker.parts.flow_figures
    before, replays = wakes(broker), figures.replays
    hands, flow = await running(broker)
    await hands.saves(flow, "SUSPENDED", waits=[signal("go")])
    await owner(broker).call("signalFlow", id=flow.id, name="go")
    woken = "update flow set runnable_at = runnable_at - interval '100 s' where id = $1"
    await broker.query(woken, flow.id)
    await hands.takes()
    after = wakes(broker)
    assert after["count"] - before["count"] == 2
    assert 100 < after["sum"] - before["sum"] < 160
    assert figures.replays == replays
    await hands.client.call("getFlowHistory", id=flow.id)
    await hands.client.call("getFlowHistory", id=flow.id, afterStep=1)
    assert figures.replays == replays + 1


MANY = {f"kind-{n:03}": {"running": n + 1} for n in range(MOST_KINDS + 10)}
NONE = {"running": 0, "waiting": 0, "parked": 0}


@pytest.mark.parametrize(
    ("found", "before", "shown"),
    [
        ({}, {}, {}),
        ({"a": {"waiting": 2}}, {}, {"a": {**NONE, "waiting": 2}}),
        ({}, {"a": {**NONE, "waiting": 2}}, {"a": NONE}),
        (MANY, {}, {
            **{f"kind-{n:03}": {**NONE, "running": n + 1} for n in range(10, MOST_KINDS + 10)},
            OTHERS: {**NONE, "running": sum(range(1, 11))},
        }),
        ({}, {OTHERS: {**NONE, "running": 3}}, {OTHERS: NONE}),
    ],
)  # fmt: skip
def test_only_so_many_kinds_are_shown(found: Counts, before: Counts, shown: Counts) -> None:
    assert bounded(found, before) == shown


async def test_the_figures_are_rendered_by_kind_and_state(broker: Broker) -> None:
    figures, metrics = broker.parts.flow_figures, Metrics()
    before, figures.counts = figures.counts, {"lunch": {**NONE, "waiting": 7}}
    metrics.read_from(lambda: list(flow_readings(figures)))
    metrics.show(figures.wakes)
    lines = metrics.render().decode().splitlines()
    figures.counts = before
    assert 'pxbox_flows{kind="lunch",state="waiting"} 7.0' in lines
    assert 'pxbox_flows{kind="lunch",state="parked"} 0.0' in lines
    assert any(line.startswith("pxbox_flow_wake_seconds_bucket{") for line in lines)
    assert any(line.startswith("pxbox_flow_replays_total ") for line in lines)
