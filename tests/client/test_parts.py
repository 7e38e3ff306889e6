"""Payloads that are longer than a message: in parts over the WebSocket there is, else by REST."""

from __future__ import annotations

import hashlib
from typing import Any

import anyio
import msgspec
import pytest
from anyio.to_thread import run_sync

from pxbox.client.connection import IN_PARTS
from pxbox.client.frames import PIECE_BYTES, Frame, Parts, decode_frame, encode_parts
from pxbox.service import operations
from pxbox.ws.parts import MESSAGE_BYTES
from tests.brokers import Broker, Brokers
from tests.client.people import Cast
from tests.client.proxy import Upgrades, open_proxy
from tests.client.running import on_both

TEXT = {"type": "string"}
MEBIBYTE = 1024 * 1024


def letters(size: int) -> str:
    """A text of at least so many bytes, with characters of every length and such as are escaped."""
    unit = 'Long: "é", \\ and \n 木 and 🌍. '
    return unit * (size // len(unit.encode()) + 1)


def joined(data: bytes) -> Frame | None:
    """What becomes of a command's data that is sent in parts and joined again."""
    parts, whole = Parts(), None
    for text in encode_parts("c1", "postResponse", data, "k", hashlib.sha256(data).hexdigest()):
        assert len(text.encode()) < MESSAGE_BYTES
        assert whole is None
        frame = decode_frame(text)
        assert frame.meta is not None
        assert frame.meta["idempotencyKey"] == "k"
        whole = parts.join(frame)
    return whole


@pytest.mark.parametrize("shift", range(4))
@pytest.mark.parametrize("unit", ["x", "é", "木", "🌍", '\\"', letters(1)])
def test_what_is_cut_into_parts_joins_again_wherever_the_cuts_fall(unit: str, shift: int) -> None:
    data = b"x" * shift + (unit * (2 * PIECE_BYTES // len(unit.encode()) + 1)).encode()
    whole = joined(data)
    assert whole is not None
    assert bytes(whole.data) == data


def test_the_operations_that_go_in_parts_are_those_of_the_broker() -> None:
    assert {name for name, one in operations.OPERATIONS.items() if one.large} == IN_PARTS


@on_both
async def test_large_payloads_take_the_websocket_one_after_the_other(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    prefill, answer = letters(2 * MEBIBYTE), letters(3 * MEBIBYTE)
    async with (
        open_proxy(module_broker.url) as proxy,
        people.asking(proxy.url) as asker,
        people.responding(proxy.url) as alice,
    ):
        made: list[str] = []

        async def ask() -> None:
            handle = await asker.requests.create(TEXT, to=people.alice, prefill=prefill)
            made.append(handle.id)

        async def respond(id: str) -> None:
            await alice.requests.answer(id, answer)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask)
        kept = (await asker.requests.get(made[0])).prefill
        assert isinstance(kept, msgspec.Raw)
        assert msgspec.json.decode(kept) == prefill
        async with anyio.create_task_group() as group:
            for id in made:
                group.start_soon(respond, id)
        for id in made:
            reply: Any = await asker.call("getResponse", {"id": id})
            assert reply["payload"] == answer
        # REST would have connections of its own.
        assert proxy.connections == 2


async def test_parts_that_do_not_arrive_in_time_go_by_rest(brokers: Brokers) -> None:
    broker = await run_sync(lambda: brokers("--parts-seconds", "1"))
    people = Cast(broker)
    await people.introduce()
    answer = letters(3 * MEBIBYTE // 2)
    async with (
        open_proxy(broker.url) as proxy,
        people.asking(broker.url) as asker,
        people.responding(proxy.url) as alice,
    ):
        handle = await asker.requests.create(TEXT, to=people.alice)
        assert await alice.requests.get(handle.id)
        assert proxy.connections == 1
        proxy.delay_seconds = 0.1
        await alice.requests.answer(handle.id, answer)
        assert (await handle.wait()).data == answer
        assert proxy.connections == 2


@on_both
async def test_large_payloads_go_by_rest_where_there_is_no_websocket(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    answer = letters(2 * MEBIBYTE)
    async with open_proxy(module_broker.url) as proxy, people.asking() as asker:
        proxy.upgrades = Upgrades.FORBIDDEN
        handle = await asker.requests.create(TEXT, to=people.alice)
        async with people.responding(proxy.url) as alice:
            await alice.requests.answer(handle.id, answer)
        assert (await handle.wait()).data == answer
