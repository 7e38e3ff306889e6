"""The short way of small messages past trio-websocket, and where it ends."""

from __future__ import annotations

import os

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from trio_websocket import ConnectionClosed

from pxbox.ws.handover import HandedOver
from pxbox.ws.intake import MOST_BYTES, unmasked
from tests.edge.clients import (
    BINARY,
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
from tests.edge.running import HANDSHAKE, Peer, running_edge

SHORT = masked(TEXT, b"short")


def with_mask(payload: bytes, mask: bytes) -> bytes:
    mixed = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + mask + mixed


@given(st.binary(max_size=300), st.binary(min_size=4, max_size=4))
def test_a_mask_is_undone_by_itself(payload: bytes, mask: bytes) -> None:
    mixed = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    assert unmasked(bytearray(mixed), bytearray(mask)) == payload


async def echoes(peer: Peer, *frames: bytes) -> list[tuple[int, bytes]]:
    await peer.send(b"".join(frames))
    return [await read_frame(peer) for _ in frames]


async def test_messages_come_whatever_their_size_and_pieces() -> None:
    texts = [b"", b"a", "ä€😀".encode(), b"x" * 125, b"y" * 126, b"z" * 65_535, b"w" * 70_000]
    async with running_edge() as edge:
        for size in (1, 3, 1000, 1_000_000):
            peer = await upgraded(await edge.peer(), HANDSHAKE)
            for text in texts[: 5 if size < 1000 else None]:
                frame = with_mask(text, os.urandom(4)) if len(text) < 65_536 else masked(TEXT, text)
                for n in range(0, len(frame), size):
                    await peer.send(frame[n : n + size])
                assert await read_frame(peer) == (TEXT, text)


@pytest.mark.parametrize(
    "frames",
    [
        [masked(BINARY, b"data")],
        [masked(TEXT, b"x" * (MOST_BYTES + 1))],
        [masked(TEXT, b"lo", final=False), masked(CONTINUATION, b"ng")],
        [masked(TEXT, b"lo", final=False), masked(PING, b"?"), masked(CONTINUATION, b"ng")],
    ],
    ids=["binary", "long", "fragmented", "fragmented around a ping"],
)
async def test_what_goes_the_long_way_keeps_its_place(frames: list[bytes]) -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        for _ in range(2):
            await peer.send(SHORT + b"".join(frames) + SHORT)
            came = [await read_frame(peer) for _ in range(3)]
            came += [await read_frame(peer)] if masked(PING, b"?") in frames else []
            messages = [payload for opcode, payload in came if opcode != PONG]
            assert messages[0] == messages[-1] == b"short"
            assert len(messages) == 3


async def test_pings_are_answered_between_small_messages() -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        for n in range(3):
            assert await echoes(peer, masked(PING, b"%d" % n)) == [(PONG, b"%d" % n)]
            assert await echoes(peer, SHORT, SHORT) == [(TEXT, b"short")] * 2
        await peer.send(masked(PONG, b"nobody asked") + SHORT)
        assert await read_frame(peer) == (TEXT, b"short")


async def test_a_flood_of_pings_is_answered_in_order_at_the_peers_pace() -> None:
    count = 4_000
    async with running_edge() as edge, trio.open_nursery() as nursery:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        nursery.start_soon(peer.send, b"".join(masked(PING, b"%d" % n) for n in range(count)))
        for n in range(count):
            assert await read_frame(peer) == (PONG, b"%d" % n)


async def test_a_length_that_has_a_shorter_form_is_refused() -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        assert await echoes(peer, SHORT) == [(TEXT, b"short")]
        await peer.send(b"\x81\xfe\x00\x05" + bytes(4) + b"short")
        assert await read_close(peer) == 1002


async def test_text_that_is_not_utf8_is_refused_after_good_messages() -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.send(SHORT + masked(TEXT, b"\xff"))
        assert await read_frame(peer) == (TEXT, b"short")
        assert await read_close(peer) == 1007


async def test_a_close_after_messages_is_answered_after_their_replies() -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.send(SHORT + SHORT + close_frame(1000))
        assert [await read_frame(peer) for _ in range(2)] == [(TEXT, b"short")] * 2
        assert await read_close(peer) == 1000


async def test_a_closing_handler_hears_the_peers_answer_though_it_read_before() -> None:
    ended = trio.Event()

    async def one_message(handed: HandedOver) -> None:
        await handed.accept()
        await handed.get_message()
        await handed.close(4000, "enough")
        with pytest.raises(ConnectionClosed):
            await handed.get_message()
        ended.set()

    async with running_edge(websocket=one_message) as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.send(SHORT)
        assert await read_close(peer) == 4000
        await peer.send(close_frame(4000))
        assert await peer.rest() == b""
        await ended.wait()


async def test_a_peer_that_leaves_ends_the_reading() -> None:
    left = trio.Event()

    async def reading(handed: HandedOver) -> None:
        await handed.accept()
        try:
            while True:
                await handed.get_message()
        except ConnectionClosed:
            left.set()

    async with running_edge(websocket=reading) as edge:
        for last in (SHORT, SHORT[:4]):
            peer = await upgraded(await edge.peer(), HANDSHAKE)
            await peer.send(last)
            await peer.stream.aclose()
            with trio.fail_after(10):
                await left.wait()
            left = trio.Event()
