"""Workers against a real broker: what is done once stays done, whoever is killed (F1, F3, F4)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from anyio import from_thread

from pxbox.client import AsyncPxBox
from pxbox.flows import Context, FlowKind, flow
from pxbox.flows.history import History
from pxbox.flows.keeper import Keeper
from pxbox.flows.worker import WAIT_SECONDS, Worker
from pxbox.model.flow import FlowStatus
from pxbox.model.wire.flows import LeasedFlow
from tests.brokers import Broker, Brokers
from tests.client.proxy import open_proxy
from tests.client.running import on, on_both
from tests.flows.working import SCOPES, answer, client, introduce, name, waiting, working
from tests.servers import AsyncpgThread


def steady(done: list[str], who: str) -> FlowKind:
    """Before, ask, after: what is done is written down."""

    def do(what: str) -> str:
        done.append(what)
        return what

    @flow(name("steady"))
    async def steady(ctx: Context) -> list[Any]:
        await ctx.step("before", do, "before")
        asked = await ctx.ask("question", to=who, schema=int)
        await ctx.step("after", do, "after")
        return [asked.data]

    return steady


@pytest.fixture
def database(module_brokers: Brokers) -> Iterator[AsyncpgThread]:
    thread = AsyncpgThread(module_brokers.database_url)
    yield thread
    thread.close()


@on_both
async def test_a_question_that_is_refused_fails_its_flow_by_name_and_line(
    module_broker: Broker,
) -> None:
    @flow(name("asks"))
    async def asks(ctx: Context) -> None:
        await ctx.ask("receipt", to="nobody-of-that-name", schema=int)

    async with client(module_broker) as px, working(px, asks):
        ended = await (await px.flows.start(asks)).wait()
    assert ended.status == "FAILED"
    said, refused, *where = str(ended.error).splitlines()
    assert "nobody-of-that-name" in said
    assert "receipt#1" in refused
    assert where[-1].strip().startswith('await ctx.ask("receipt"')
    assert sum(line.startswith("  File") for line in where) == 1


@on_both
async def test_what_is_asked_beside_the_code_is_nothing_that_a_replay_misses(
    module_broker: Broker,
) -> None:
    """F1: only what the code did is compared with what it does."""
    ann, bob, done = name("ann"), name("bob"), list[str]()
    kind = steady(done, ann)
    async with (
        client(module_broker) as px,
        client(module_broker, ann) as her,
        client(module_broker, bob) as him,
    ):
        await introduce(px, ann, bob)
        async with working(px, kind):
            handle = await px.flows.start(kind)
            await waiting(handle, "question#1")
            beside = {"to": bob, "schema": {"type": "integer"}, "flowId": handle.id}
            await px.call("createRequest", beside)
            await answer(him, bob, 1)
        async with working(px, kind) as worker:
            await answer(her, ann, 7)
            assert await handle.result() == [7]
            assert worker.replays
    assert done == ["before", "after"]


@on_both
async def test_a_flow_asks_steps_signals_and_has_children(module_broker: Broker) -> None:
    ann = name("ann")

    @flow(name("kid"))
    async def kid(ctx: Context, n: int) -> int:
        return n * 2

    @flow(name("whole"))
    async def whole(ctx: Context) -> list[Any]:
        found = await ctx.gather({
            "one": ctx.asking(to=ann, schema=int),
            "kid": ctx.starting(kid, 4),
            "nap": ctx.sleeping(0.01),
        })  # fmt: skip
        first = await ctx.race({"never": ctx.asking(to=ann, schema=int),
                                "word": ctx.signalling(str)})  # fmt: skip
        return [found["one"].data, found["kid"].data, first.won, first.result.data]

    async with client(module_broker) as px, client(module_broker, ann) as her:
        await introduce(px, ann)
        async with working(px, whole, kid):
            handle = await px.flows.start(whole, key=name("once"))
            await answer(her, ann, 7)
            await px.flows.signal(handle.id, "word", "hurry")
            assert await handle.result(list[Any]) == [7, 8, "word", "hurry"]
        # The losing question is withdrawn.
        async with her.inbox(ann) as inbox:
            while inbox.items:
                await anext(inbox)
        told = {(item.key, item.what) for item in await px.flows.timeline(handle.id)}
        assert {("one#1", "opened"), ("one#1", "settled"), ("kid#1", "settled")} <= told


@on_both
async def test_a_clean_stop_hands_back_and_nothing_is_done_again(module_broker: Broker) -> None:
    ann, done = name("ann"), list[str]()
    kind = steady(done, ann)
    async with client(module_broker) as px, client(module_broker, ann) as her:
        await introduce(px, ann)
        async with working(px, kind):
            handle = await px.flows.start(kind)
            await waiting(handle, "question#1")
        async with working(px, kind):
            await answer(her, ann, 1)
            assert await handle.result() == [1]
    assert done == ["before", "after"]


@on_both
async def test_flows_that_wait_leave_memory_and_are_replayed(module_broker: Broker) -> None:
    """F3: the resident limit bounds memory; a suspended flow is a row."""
    people, done = [name("ann") for _ in range(3)], list[str]()

    @flow(name("evicted"))
    async def evicted(ctx: Context, who: str) -> int:
        await ctx.step("before", done.append, who)
        return (await ctx.ask("question", to=who, schema=int)).data

    async with client(module_broker) as px:
        await introduce(px, *people)
        async with working(px, evicted, resident=1) as worker:
            handles = [await px.flows.start(evicted, who) for who in people]
            for handle in handles:
                await waiting(handle, "question#1")
            for n, who in enumerate(people):
                async with client(module_broker, who) as her:
                    await answer(her, who, n)
            assert [await handle.result() for handle in handles] == [0, 1, 2]
            assert worker.replays >= 2
    assert sorted(done) == sorted(people)


@on_both
async def test_a_worker_that_lost_its_session_goes_on_with_another(module_broker: Broker) -> None:
    """F4: its runs are dropped, leased again under a higher fence, and replayed."""
    ann, done = name("ann"), list[str]()
    kind = steady(done, ann)
    async with client(module_broker) as px, client(module_broker, ann) as her:
        await introduce(px, ann)
        async with working(px, kind) as worker:
            handle = await px.flows.start(kind)
            await waiting(handle, "question#1")
            lost = worker.session
            await px.call("closeSession", {"id": lost})
            await answer(her, ann, 3)
            assert await handle.result() == [3]
            assert worker.session != lost
    assert done == ["before", "after"]


@pytest.mark.parametrize("ended", [True, False])
def test_a_worker_that_is_gone_without_a_word_loses_nothing(
    module_broker: Broker, database: AsyncpgThread, ended: bool
) -> None:
    """A session that ends by the database's clock gives its flows to another worker. One that has
    not ended yet leaves what wakes to whoever begins next: sooner than that would look again."""
    ann, done = name("ann"), list[str]()
    kind = steady(done, ann)

    async def go() -> None:
        async with client(module_broker) as px, client(module_broker, ann) as her:
            await introduce(px, ann)
            async with client(module_broker) as first, anyio.create_task_group() as group:
                async with working(first, kind) as worker:
                    handle = await px.flows.start(kind)
                    await waiting(handle, "question#1")
                    # It never says goodbye: as after SIGKILL.
                    session, worker._session = worker.session, None
                group.cancel_scope.cancel()
            await answer(her, ann, 4)
            if ended:
                gone = f"update worker_session set expires_at = now() where id = '{session}'"
                database.execute(gone)
            with anyio.fail_after(WAIT_SECONDS * 0.8):
                async with working(px, kind):
                    assert await handle.result() == [4]

    on("asyncio", go)
    assert done == ["before", "after"]


def test_a_broker_that_is_killed_at_a_checkpoint_loses_nothing(brokers: Brokers) -> None:
    ann, done, kills = name("ann"), list[str](), list[Broker]()
    broker = brokers()

    async def go() -> None:
        async with open_proxy(broker.url) as proxy:

            def act(what: str) -> str:
                done.append(what)
                if what == "first":
                    # Before its checkpoint: that is sent to a broker that is gone.
                    broker.kill()
                    from_thread.run_sync(proxy.cut)
                    kills.append(broker)
                    proxy.target = brokers().url
                return what

            @flow(name("survivor"))
            async def survivor(ctx: Context) -> list[Any]:
                asked = await ctx.ask("question", to=ann, schema=int)
                await ctx.step("first", act, "first")
                await ctx.sleep("breathe", 0.01)
                await ctx.step("second", act, "second")
                return [asked.data]

            token = broker.token("admin", SCOPES)
            async with AsyncPxBox(proxy.url, token) as px:
                await introduce(px, ann)
                async with working(px, survivor):
                    handle = await px.flows.start(survivor)
                    async with client(broker, ann, proxy.url) as her:
                        await answer(her, ann, 5)
                    assert await handle.result() == [5]

    on("asyncio", go)
    assert (done, len(kills)) == (["first", "second"], 1)


@pytest.mark.parametrize("strikes", [0, 2])
def test_a_flow_that_never_awaits_is_named_and_the_others_are_handed_back(
    module_broker: Broker, strikes: int
) -> None:
    """After three times it is parked."""
    released, struck = threading.Event(), list[dict[str, int]]()

    def begin_again(strikes: dict[str, int]) -> None:
        struck.append(dict(strikes))
        released.set()

    @flow(name("stuck"))
    async def stuck(ctx: Context) -> None:
        await ctx.step("one", lambda: 1)
        released.wait(60)

    @flow(name("calm"))
    async def calm(ctx: Context) -> str:
        await ctx.signal("go")
        return "went"

    async def go() -> None:
        token = module_broker.token("admin", SCOPES)
        async with client(module_broker) as px:
            gentle = await px.flows.start(calm)
            async with working(px, stuck, calm) as worker:
                await waiting(gentle, "go#1")
                handle = await px.flows.start(stuck)
                before = {handle.id: strikes} if strikes else {}
                keeper = Keeper(module_broker.url, token, worker, before, begin_again, 0.5)
                keeper.start()
                try:
                    while not struck:
                        await anyio.sleep(0.05)
                finally:
                    keeper.stop()
            found = await handle.get()
            if strikes:
                assert struck == [{}]
                assert found.parked is not None
                assert found.parked.code == "stuck"
                assert "without awaiting" in found.parked.reason
            else:
                assert struck == [{handle.id: 1}]
                assert found.parked is None
            async with working(px, calm):
                await gentle_end(px, gentle.id)

    async def gentle_end(px: AsyncPxBox, id: str) -> None:
        await px.flows.signal(id, "go")
        assert (await px.flows.wait(id)).status is FlowStatus.COMPLETED

    on("asyncio", go)


def test_an_unknown_addressee_is_told_to_the_code(module_broker: Broker) -> None:
    @flow(name("wrong"))
    async def wrong(ctx: Context) -> None:
        await ctx.ask("question", to="nobody-here", schema=int)

    async def go() -> None:
        async with client(module_broker) as px, working(px, wrong):
            ended = await (await px.flows.start(wrong)).wait()
            assert ended.status is FlowStatus.FAILED
            assert "nobody-here" in str(ended.error)

    on("asyncio", go)


def test_code_that_changed_parks_and_goes_on_once_it_is_mended(module_broker: Broker) -> None:
    """F5, and the retry of one that is parked."""
    ann, kind = name("ann"), name("changing")

    @flow(kind)
    async def good(ctx: Context) -> int:
        return (await ctx.ask("question", to=ann, schema=int)).data

    @flow(kind)
    async def bad(ctx: Context) -> int:
        return (await ctx.ask("another", to=ann, schema=int)).data

    async def go() -> None:
        async with client(module_broker) as px, client(module_broker, ann) as her:
            await introduce(px, ann)
            async with working(px, good):
                handle = await px.flows.start(good)
                await waiting(handle, "question#1")
            await answer(her, ann, 6)
            async with working(px, bad):
                while (found := await handle.get()).parked is None:
                    await anyio.sleep(0.05)
                assert found.parked.code == "not_deterministic"
                assert "question#1" in found.parked.reason
            await px.flows.retry(handle.id)
            async with working(px, good):
                assert await handle.result() == 6

    on("asyncio", go)


@on_both
async def test_a_flow_that_is_woken_while_its_record_is_read_runs_once(
    module_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given to the same session twice, it is begun again from the longer record."""
    ann, starts = name("ann"), list[str]()

    @flow(name("woken"))
    async def woken(ctx: Context) -> list[int]:
        starts.append("start")
        found = await ctx.gather({
            "one": ctx.asking(to=ann, schema=int), "other": ctx.asking(to=ann, schema=int),
        })  # fmt: skip
        return [found["one"].data, found["other"].data]

    reads, dropped = list[LeasedFlow](), list[str]()

    async def slowly(worker: Worker, leased: LeasedFlow) -> History:
        reads.append(leased)
        if len(reads) == 1:
            try:
                await anyio.sleep_forever()
            finally:
                dropped.append(leased.flow_id)
        return await read(worker, leased)

    async with client(module_broker) as px, client(module_broker, ann) as her:
        await introduce(px, ann)
        async with working(px, woken):
            handle = await px.flows.start(woken)
            flow_now = await waiting(handle, "one#1", "other#1")
        read = Worker._history
        monkeypatch.setattr(Worker, "_history", slowly)
        first, second = [wait.id for wait in flow_now.waiting]
        async with working(px, woken):
            await her.call("postResponse", {"id": first, "payload": 1})
            while not reads:
                await anyio.sleep(0)
            await her.call("postResponse", {"id": second, "payload": 2})
            assert await handle.result() == [1, 2]
            assert dropped == [handle.id]
    assert starts == ["start", "start"]
