"""The client while connections break, brokers die and WebSockets are not let through."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
from anyio.to_thread import run_sync

from pxbox.client import AsyncPxBox, errors, timing, watch
from pxbox.model.request import Status
from tests.brokers import Broker, Brokers
from tests.client.people import CITY, Cast
from tests.client.proxy import Upgrades, open_proxy
from tests.client.running import on_both
from tests.client.test_events import take


async def created(px: AsyncPxBox, entity: str) -> list[str]:
    """The ids of all requests that an entity was ever asked."""
    page = await px.inquiries(entity=entity, limit=200)
    return [item.id for item in page.items]


async def ask_for_city(px: AsyncPxBox, to: str, key: str) -> object:
    return await px.ask(CITY, to=to, key=key, deadline=timedelta(hours=2))


@on_both
async def test_asking_survives_a_broker_that_is_killed_and_another_one_in_its_place(
    brokers: Brokers,
) -> None:
    first = await run_sync(brokers)
    people = Cast(first)
    await people.introduce()
    async with open_proxy(first.url) as proxy, people.asking(proxy.url) as asker:
        answers: list[object] = []

        async def ask() -> None:
            answers.append(await asker.ask(CITY, to=people.alice))

        async with anyio.create_task_group() as group:
            async with people.responding(first.url) as alice, alice.inbox(people.alice) as inbox:
                group.start_soon(ask)
                request = (await anext(inbox)).item
            await run_sync(first.kill)
            second = await run_sync(brokers)
            proxy.target = second.url
            async with people.responding(second.url) as alice:
                await alice.requests.answer(request.id, {"city": "Oslo"})
        assert answers == [{"city": "Oslo"}]


@on_both
async def test_asking_again_with_the_same_key_finds_the_same_request(brokers: Brokers) -> None:
    first = await run_sync(brokers)
    people = Cast(first)
    await people.introduce()
    async with (
        people.asking() as asker,
        people.responding() as alice,
        alice.inbox(people.alice) as inbox,
        anyio.create_task_group() as group,
    ):
        group.start_soon(ask_for_city, asker, people.alice, "onboarding")
        await anext(inbox)
        group.cancel_scope.cancel()
    await run_sync(first.kill)
    second = await run_sync(brokers)
    people = Cast(second, alice=people.alice, asker=people.asker)
    async with people.asking() as asker, people.responding() as alice:
        ids = await created(alice, people.alice)
        assert len(ids) == 1
        await alice.requests.answer(ids[0], {"city": "Oslo"})
        assert await ask_for_city(asker, people.alice, "onboarding") == {"city": "Oslo"}
        assert await created(alice, people.alice) == ids
        with pytest.raises(errors.Conflict):
            await asker.ask({"type": "string"}, to=people.alice, key="onboarding")


@on_both
async def test_a_command_whose_reply_is_lost_takes_effect_once(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with open_proxy(module_broker.url) as proxy, people.asking(proxy.url) as asker:
        await asker.validate(CITY)
        proxy.lose_reply_to = b"createRequest"
        handle = await asker.requests.create(CITY, to=people.alice)
        assert b"createRequest" not in (proxy.lose_reply_to or b"")
        async with people.responding() as alice:
            assert await created(alice, people.alice) == [handle.id]


@on_both
async def test_a_stream_over_cut_connections_has_every_event_once_and_in_order(
    module_broker: Broker,
) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with (
        open_proxy(module_broker.url) as proxy,
        people.asking() as asker,
        people.responding(proxy.url) as alice,
        alice.events(f"entity:{people.alice}") as stream,
    ):
        seen: list[int] = []
        for number in range(8):
            handle = await asker.requests.create(CITY, to=people.alice)
            if number % 2:
                proxy.cut()
            await asker.requests.cancel(handle.id)
            seen += [event.seq for event in await take(stream, 2)]
        assert seen == list(range(1, 17))
        assert proxy.connections > 4


@on_both
async def test_a_silent_path_is_given_up_and_made_anew(
    module_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(timing, "HANDSHAKE_SECONDS", 0.3)
    monkeypatch.setattr(timing, "PONG_SECONDS", 0.2)
    people = Cast(module_broker)
    await people.introduce()
    async with (
        open_proxy(module_broker.url) as proxy,
        people.responding(proxy.url) as alice,
        alice.events(f"entity:{people.alice}") as stream,
        people.asking() as asker,
    ):
        proxy.silence()
        await asker.requests.create(CITY, to=people.alice)
        await proxy.wait_connections(3)
        proxy.cut()
        proxy.resound()
        assert (await take(stream, 1))[0].seq == 1


@on_both
@pytest.mark.parametrize("upgrades", [Upgrades.FORBIDDEN, Upgrades.SWALLOWED])
async def test_where_no_websocket_is_let_through_asking_goes_by_rest(
    module_broker: Broker, upgrades: Upgrades, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "FIRST_SECONDS", 0.1)
    people = Cast(module_broker)
    await people.introduce()
    async with open_proxy(module_broker.url) as proxy:
        proxy.upgrades = upgrades
        async with people.asking(proxy.url) as asker, people.responding() as alice:
            handle = await asker.requests.create(CITY, to=people.alice)
            async with asker.events(f"request:{handle.id}", since=0) as stream:
                assert (await take(stream, 1))[0].type == "request.created"
                async with anyio.create_task_group() as group:
                    group.start_soon(alice.requests.answer, handle.id, {"city": "Oslo"})
                    assert (await handle.wait()).data == {"city": "Oslo"}
                assert (await take(stream, 1))[0].type == "request.answered"


@on_both
async def test_a_channel_that_only_a_websocket_could_watch_is_unreachable_without_one(
    module_broker: Broker,
) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with open_proxy(module_broker.url) as proxy:
        proxy.upgrades = Upgrades.FORBIDDEN
        async with people.responding(proxy.url) as alice:
            with pytest.raises(errors.Unreachable, match="lets no WebSocket through"):
                async with alice.events(f"entity:{people.alice}"):
                    pass


@on_both
async def test_an_inbox_without_websockets_is_read_again_and_again(
    module_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "RELOAD_SECONDS", 0.1)
    people = Cast(module_broker)
    await people.introduce()
    async with open_proxy(module_broker.url) as proxy, people.asking() as asker:
        proxy.upgrades = Upgrades.FORBIDDEN
        async with people.responding(proxy.url) as alice, alice.inbox(people.alice) as inbox:
            handle = await asker.requests.create(CITY, to=people.alice)
            assert (await anext(inbox)).item.id == handle.id


@on_both
async def test_an_inbox_is_right_again_after_an_outage(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with open_proxy(module_broker.url) as proxy, people.asking() as asker:
        gone = await asker.requests.create(CITY, to=people.alice)
        async with people.responding(proxy.url) as alice, alice.inbox(people.alice) as inbox:
            proxy.accepting = False
            proxy.cut()
            await asker.requests.cancel(gone.id)
            come = await asker.requests.create(CITY, to=people.alice)
            proxy.accepting = True
            changes = {(await anext(inbox)).kind, (await anext(inbox)).kind}
            assert changes == {"added", "removed"}
            assert [item.id for item in inbox.items] == [come.id]


@on_both
async def test_a_gateways_refusal_is_repeated_when_it_says_so(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with open_proxy(module_broker.url) as proxy, people.asking(proxy.url) as asker:
        busy = (
            b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        # The handshake, then the command by REST.
        proxy.answers = [busy, busy]
        await asker.requests.create(CITY, to=people.alice)
        assert proxy.times[2] - proxy.times[0] >= 1.0


@on_both
async def test_a_broker_that_is_not_there_is_unreachable_after_the_patience(
    module_broker: Broker,
) -> None:
    people = Cast(module_broker)
    async with open_proxy(module_broker.url) as proxy:
        proxy.accepting = False
        async with people.asking(proxy.url, patience=0.5) as asker:
            with pytest.raises(errors.Unreachable):
                await asker.validate(CITY)
            with pytest.raises(errors.Unreachable):
                async with asker.events("requestor:me"):
                    pass


@on_both
async def test_a_reader_far_behind_gets_everything(
    module_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "MOST_WAITING", 5)
    monkeypatch.setattr(watch, "FEW_WAITING", 2)
    people = Cast(module_broker)
    await people.introduce()
    async with (
        people.asking() as asker,
        people.responding() as alice,
        alice.events(f"entity:{people.alice}") as stream,
    ):
        for _ in range(30):
            await asker.requests.create(CITY, to=people.alice)
        assert [event.seq for event in await take(stream, 30)] == list(range(1, 31))


@on_both
async def test_being_cancelled_leaves_the_request_unless_asked(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with people.asking() as asker, people.responding() as alice:
        for cancel_on_exit, left in ((False, Status.PENDING), (True, Status.CANCELLED)):
            async with alice.inbox(people.alice) as inbox, anyio.create_task_group() as group:

                async def ask(cancel_on_exit: bool = cancel_on_exit) -> None:
                    await asker.ask(CITY, to=people.alice, cancel_on_exit=cancel_on_exit)

                group.start_soon(ask)
                asked = (await anext(inbox)).item
                group.cancel_scope.cancel()
            assert (await alice.requests.get(asked.id)).status is left


@on_both
async def test_a_token_that_is_refused_ends_every_try(module_broker: Broker) -> None:
    async with AsyncPxBox(module_broker.url, "no token") as px:
        with pytest.raises(errors.AuthError):
            await px.validate(CITY)
        with pytest.raises(errors.AuthError):
            async with px.events("requestor:me"):
                pass


@on_both
async def test_a_token_that_expires_is_asked_for_again_and_streams_go_on(
    module_broker: Broker,
) -> None:
    people = Cast(module_broker)
    await people.introduce()
    given: list[str] = []
    renewed = anyio.Event()

    async def token() -> str:
        given.append(module_broker.token(people.alice, ttl=timedelta(seconds=2)))
        if len(given) > used:
            renewed.set()
        return given[-1]

    used = 100
    async with (
        AsyncPxBox(module_broker.url, token) as alice,
        alice.events(f"entity:{people.alice}") as stream,
        people.asking() as asker,
    ):
        used = len(given)
        await renewed.wait()
        await asker.requests.create(CITY, to=people.alice)
        assert (await take(stream, 1))[0].seq == 1
