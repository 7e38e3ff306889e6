"""WebSocket: heartbeats, and the signs of life that are asked for beside them (E7)."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.brokers import Broker, Brokers
from tests.edge.clients import masked
from tests.transports.clients import CheckedSocket, Party, unique
from tests.transports.raw import RawSocket, raw_socket
from tests.transports.test_ws_resume import SEVERAL, epoch_of, events_of, outbox_bytes, seed

PONG = 0xA


@pytest.fixture(scope="module")
def quick_broker(module_brokers: Brokers) -> Broker:
    """One with a heartbeat every two seconds, which takes two silent ones after it for death."""
    return module_brokers("--heartbeat-seconds", "2", "--answer-seconds", "2")


def heads(socket: CheckedSocket) -> list[Any]:
    return [frame["data"]["heads"] for frame in socket.others if frame["type"] == "heartbeat"]


async def test_heartbeats_carry_the_heads_of_the_channels(quick_broker: Broker) -> None:
    admin = Party(quick_broker, unique("admin"))
    async with admin.rest, admin.socket() as watching, admin.socket() as other:
        entity = await admin.entity("user")
        channels = [f"entity:{entity['id']}", f"requestor:{admin.sub}"]
        for name in channels:
            await watching.subscribe(name)
        await watching.until(lambda: dict.fromkeys(channels, 0) in heads(watching))
        await admin.ask(entity["id"])
        await watching.until(lambda: heads(watching)[-1] == dict.fromkeys(channels, 1))
        await other.until(lambda: len(heads(other)) > 1)
    assert all(told == {} for told in heads(other))


async def beats(socket: RawSocket, answer: bytes, count: int) -> None:
    """Send `answer` after each of so many Pings."""
    for number in range(1, count + 1):
        while socket.pings < number:
            opcode, _ = await socket.frame()
            socket.pings += opcode == 0x9
        await socket.stream.send_all(answer)


async def test_who_gives_no_sign_of_life_is_closed_with_its_own_code(quick_broker: Broker) -> None:
    token = quick_broker.token("mute")
    async with raw_socket(quick_broker, token) as mute, raw_socket(quick_broker, token) as alive:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(beats, alive, masked(PONG, b""), 4)
            assert await mute.close_code() == 4002
            assert mute.pings
        # Any frame is a sign, such as what a client asks.
        await beats(alive, masked(0x1, b'{"type":"ping","id":"p"}'), 6)


async def test_a_reader_that_takes_its_time_is_not_dead(
    module_brokers: Brokers, quick_broker: Broker
) -> None:
    """Its Ping waits behind what it reads."""
    me = Party(quick_broker, unique("me"))
    channel = f"requestor:{me.sub}"
    await seed(module_brokers.database_url, channel, SEVERAL)
    async with me.rest, raw_socket(quick_broker, me.token, receive_buffer_bytes=8192) as slow:
        epoch = await epoch_of(me)
        await slow.send(type="resume", id="r", channel=channel, since=0, epoch=epoch)
        async with me.socket() as other:
            await other.until(lambda: len(heads(other)) >= 3)
            assert await outbox_bytes(me)
        slow.read_quickly()
        assert (await events_of(slow, SEVERAL))[0] == list(range(1, SEVERAL + 1))
