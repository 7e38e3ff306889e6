"""What a WebSocket peer may send to do harm: each costs that peer its own connection at most."""

from __future__ import annotations

import tracemalloc

import pytest
import trio
from trio_websocket import ConnectionClosed

from pxbox.edge import EdgeLimits
from pxbox.ws.handover import HandedOver, WebSocketLimits
from tests.edge.clients import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_frame,
    masked,
    read_close,
    read_frame,
    upgraded,
)
from tests.edge.running import HANDSHAKE, running_edge, say

UNREADABLE = {
    "a reserved bit": (masked(TEXT, b"x", reserved=0x40), 1002),
    "an unknown opcode": (masked(0x3, b"x"), 1002),
    "no mask": (b"\x81\x01x", 1002),
    "a fragmented ping": (masked(PING, b"", final=False), 1002),
    "a continuation of nothing": (masked(CONTINUATION, b"x"), 1002),
    "text that is not UTF-8": (masked(TEXT, b"\xff\xff"), 1007),
    "a ping of 126 bytes": (masked(PING, b"x" * 126), 1002),
    "a close with one byte": (masked(CLOSE, b"x"), 1002),
    "a close with a code of nobody": (close_frame(1005), 1002),
    "a length with its highest bit": (b"\x82\xff" + b"\xff" * 8 + bytes(4), 1002),
}


@pytest.mark.parametrize("name", UNREADABLE)
async def test_a_frame_that_cannot_be_read_is_answered_by_a_close_that_says_so(name: str) -> None:
    frame, code = UNREADABLE[name]
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.send(frame)
        assert await read_close(peer) == code
        assert await peer.rest() == b""
        await edge.answers()


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
async def test_a_message_above_the_limit_is_answered_by_1009(opcode: int) -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.send(masked(opcode, b"x" * (1024 * 1024)))
        assert await read_frame(peer) == (opcode, b"x" * (1024 * 1024))
        await peer.send(masked(opcode, b"x" * (1024 * 1024 + 1)))
        assert await read_close(peer) == 1009
        await edge.answers()


async def test_the_limit_of_a_text_message_is_in_bytes() -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.send(masked(TEXT, "€".encode() * 349_526))
        assert await read_close(peer) == 1009


async def test_a_frame_that_announces_more_than_memory_is_not_waited_for() -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.send(b"\x82\xff" + (2**62).to_bytes(8, "big") + bytes(4))
        await peer.send(b"x" * (1024 * 1024 + 1))
        assert await read_close(peer) == 1009


async def test_fragments_of_nothing_do_not_add_up() -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.send(masked(TEXT, b"a", final=False))
        empty = masked(CONTINUATION, b"", final=False) * 3000
        tracemalloc.start()
        try:
            for _ in range(3):
                await peer.send(empty)
                await peer.send(masked(PING, b"here"))
                assert await read_frame(peer) == (PONG, b"here")
            grown, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # A list of 9,000 parts alone would be 72 KB.
        assert grown < 60_000
        await peer.send(masked(CONTINUATION, b"b"))
        assert await read_frame(peer) == (TEXT, b"ab")


async def test_a_message_in_many_fragments_arrives_whole() -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        parts = [b"%d," % number for number in range(2000)]
        await peer.send(masked(BINARY, parts[0], final=False))
        for part in parts[1:]:
            await peer.send(masked(CONTINUATION, part, final=False))
        await peer.send(masked(CONTINUATION, b"end"))
        assert await read_frame(peer) == (BINARY, b"".join(parts) + b"end")


async def test_a_flood_of_pings_does_not_keep_others_waiting() -> None:
    async with running_edge() as edge:
        flooding = await upgraded(await edge.peer(receive_buffer_bytes=4096), HANDSHAKE)
        other = await upgraded(await edge.peer(), HANDSHAKE)
        pings = masked(PING, b"x" * 125) * 1000
        async with trio.open_nursery() as nursery:
            nursery.start_soon(flooding.cut, pings)
            for number in range(20):
                await other.send(masked(TEXT, b"%d" % number))
                assert await read_frame(other) == (TEXT, b"%d" % number)
            nursery.cancel_scope.cancel()


async def test_a_ping_after_the_servers_close_does_not_cut_the_closing_short() -> None:
    async def close_first(handed: HandedOver) -> None:
        await handed.accept()
        await handed.close(4002, "going")

    async with running_edge(websocket=close_first) as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        assert await read_close(peer) == 4002
        await peer.send(masked(PING, b"late") + masked(TEXT, b"later") + close_frame(4002))
        assert await peer.rest() == b""


async def test_a_peer_that_never_answers_a_close_is_left_behind() -> None:
    async def close_first(handed: HandedOver) -> None:
        await handed.accept()
        await handed.close(4002, "going")

    limits = EdgeLimits(websocket=WebSocketLimits(close_seconds=0.1))
    async with running_edge(limits, websocket=close_first) as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        assert await read_close(peer) == 4002
        await peer.cut(masked(PING, b""))


async def test_a_reply_to_a_peer_that_left_ends_only_its_own_connection() -> None:
    replied = trio.Event()

    async def reply_late(handed: HandedOver) -> None:
        await handed.accept()
        try:
            await handed.get_message()
            while True:
                await say(handed, "x" * 1000)
        except ConnectionClosed:
            replied.set()
            raise

    async with running_edge(websocket=reply_late) as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.send(masked(TEXT, b"go"))
        await read_frame(peer)
        await peer.stream.aclose()
        with trio.fail_after(10):
            await replied.wait()
        await edge.answers()
