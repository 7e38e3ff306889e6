"""Peers that take their time: each is dropped by a deadline, and nobody else feels it.

The deadlines are small here; what a test waits for is the server's own act.
"""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from pxbox.edge import EdgeLimits
from pxbox.ws.frames import text_frame
from pxbox.ws.handover import HandedOver
from pxbox.ws.outbox import Outbox
from tests.edge.clients import CLOSE, TEXT, read_frame, upgraded
from tests.edge.running import HANDSHAKE, Peer, running_edge

GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"


async def drip(peer: Peer, data: bytes) -> None:
    """Send byte by byte; the pause is the slow peer's own pace, nothing waits for it."""
    with suppress(trio.BrokenResourceError):
        for at in range(len(data)):
            await peer.send(data[at : at + 1])
            await trio.sleep(0.002)


@pytest.mark.parametrize("before", [b"", GET], ids=["first", "second"])
async def test_a_head_that_drips_in_is_timed_out_while_others_are_served(before: bytes) -> None:
    async with running_edge(EdgeLimits(head_seconds=0.2)) as edge:
        peer = await edge.peer()
        if before:
            await peer.send(before)
            await peer.response()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, peer, b"GET /hello HTTP/1.1\r\nA: " + b"b" * 10_000)
            await edge.answers()
            status, problem = await peer.problem()
            nursery.cancel_scope.cancel()
        assert (status, problem["code"]) == (408, "request_timeout")


@pytest.mark.parametrize("framing", ["Content-Length: 9000", "Transfer-Encoding: chunked"])
async def test_a_body_that_drips_in_is_timed_out(framing: str) -> None:
    limits = EdgeLimits(body_seconds=0.2, body_bytes_per_second=10**9)
    async with running_edge(limits) as edge:
        peer = await edge.peer()
        await peer.send(f"POST /echo HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, peer, b"2000\r\n" + b"b" * 8000)
            await edge.answers()
            status, problem = await peer.problem()
            nursery.cancel_scope.cancel()
        assert (status, problem["code"]) == (408, "request_timeout")


async def test_a_larger_body_has_more_time() -> None:
    limits = EdgeLimits(body_seconds=2.0, body_bytes_per_second=1000)
    assert limits.patience_for_body(0) == 2.0
    assert limits.patience_for_body(1000) == 3.0


async def test_a_caller_that_never_reads_its_response_is_cut_while_others_are_served() -> None:
    async with running_edge(EdgeLimits(stall_seconds=0.2)) as edge:
        peer = await edge.peer(receive_buffer_bytes=4096)
        await peer.send(b"GET /large?bytes=30000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        await edge.answers()
        await peer.cut()


async def test_a_flood_of_requests_without_reading_costs_one_response_at_a_time() -> None:
    async with running_edge(EdgeLimits(stall_seconds=0.2)) as edge:
        peer = await edge.peer(receive_buffer_bytes=4096)
        await peer.cut(b"GET /large?bytes=8000000 HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
        assert edge.app.started.count("/large") == 1


async def test_a_handshake_that_is_cut_short_is_timed_out() -> None:
    async with running_edge(EdgeLimits(head_seconds=0.1)) as edge:
        peer = await edge.peer()
        await peer.send(HANDSHAKE[:-2])
        status, _ = await peer.problem()
        assert status == 408


async def test_a_refused_peer_that_does_not_leave_is_cut() -> None:
    async with running_edge(EdgeLimits(linger_seconds=0.1)) as edge:
        peer = await edge.peer()
        await peer.send(b"nonsense\r\n\r\n")
        status, _ = await peer.problem()
        assert status == 400
        await peer.cut(b"x")


async def test_a_refused_peer_that_sends_without_end_is_cut() -> None:
    async with running_edge(EdgeLimits(linger_bytes=100_000)) as edge:
        peer = await edge.peer()
        await peer.send(b"nonsense\r\n\r\n")
        await peer.cut()


async def test_a_slow_websocket_is_closed_with_its_own_code_and_no_other_misses_an_event() -> None:
    outboxes: list[Outbox] = []

    async def subscribe(handed: HandedOver) -> None:
        await handed.accept()
        outboxes.append(handed.outbox)
        with trio.CancelScope() as reading:
            handed.outbox.on_slow = reading.cancel
            await handed.get_message()
        if handed.outbox.slow:
            await handed.close(4000, "slow reader")

    async with running_edge(websocket=subscribe) as edge:
        slow = await upgraded(await edge.peer(receive_buffer_bytes=4096), HANDSHAKE)
        quick = await upgraded(await edge.peer(), HANDSHAKE)
        sent = 0
        while not outboxes[0].slow:
            payload = b"%d:" % sent + b"e" * 60_000
            for outbox in outboxes:
                outbox.put_event(text_frame(payload))
            assert await read_frame(quick) == (TEXT, payload)
            sent += 1
        read = 0
        while (frame := await read_frame(slow))[0] == TEXT:
            assert frame[1].startswith(b"%d:" % read)
            read += 1
        assert frame == (CLOSE, (4000).to_bytes(2, "big") + b"slow reader")
        assert read < sent
