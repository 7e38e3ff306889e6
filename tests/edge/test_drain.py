"""Draining: what was asked is answered, nothing more is taken, and it ends in bounded time (A6)."""

from __future__ import annotations

import errno
import socket
from functools import partial
from typing import Any

import pytest
import trio
import trio.testing

from pxbox.edge import Edge, EdgeLimits, HttpHost, open_listeners
from pxbox.ws.handover import HandedOver, WebSocketLimits
from tests.edge.clients import TEXT, close_frame, masked, read_close, read_frame, upgraded
from tests.edge.running import (
    HANDSHAKE,
    PATIENCE_SECONDS,
    AppState,
    RunningEdge,
    echo_handler,
    running_edge,
    small_app,
)

GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
WAIT = b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"


async def ended(edge: RunningEdge) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        await edge.ended.wait()


async def test_idle_connections_are_closed_at_once_and_nothing_is_accepted() -> None:
    async with running_edge() as edge:
        silent, kept_alive = await edge.peer(), await edge.peer()
        await kept_alive.send(GET)
        await kept_alive.response()
        edge.draining.set()
        assert await silent.rest() == b""
        assert await kept_alive.rest() == b""
        await ended(edge)
        with pytest.raises(ConnectionRefusedError):
            await edge.peer()


async def test_a_request_in_hand_is_answered_and_its_connection_closed() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(WAIT)
        await edge.app.waiting.wait()
        edge.draining.set()
        await trio.testing.wait_all_tasks_blocked()
        edge.app.go_on.set()
        response, body = await peer.response()
        assert body == b"went on"
        assert dict(list(response.headers))[b"connection"] == b"close"
        assert await peer.rest() == b""


async def test_a_request_whose_body_is_arriving_is_answered() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n")
        await peer.send(b"Content-Length: 4\r\n\r\n")
        await peer.until(b"\r\n\r\n")
        edge.draining.set()
        await trio.testing.wait_all_tasks_blocked()
        await peer.send(b"body")
        response, body = await peer.response("POST")
        assert body == b"body"
        assert dict(list(response.headers))[b"connection"] == b"close"


async def test_a_websocket_handler_is_told_and_closes() -> None:
    async def going_away(handed: HandedOver) -> None:
        await handed.accept()
        await handed.draining.wait()
        await handed.close(1001, "going away")

    async with running_edge(websocket=going_away) as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        edge.draining.set()
        assert await read_close(peer) == 1001
        await peer.send(close_frame(1001))
        assert await peer.rest() == b""
        await peer.stream.aclose()
        await ended(edge)


async def test_what_goes_on_after_the_grace_period_is_cut() -> None:
    limits = EdgeLimits(grace_seconds=0.2)
    async with running_edge(limits, websocket=echo_handler) as edge:
        waiting = await edge.peer()
        await waiting.send(WAIT)
        await edge.app.waiting.wait()
        talking = await upgraded(await edge.peer(), HANDSHAKE)
        begun = await edge.peer()
        await begun.send(GET[:10])
        await trio.testing.wait_all_tasks_blocked()
        edge.draining.set()
        await talking.send(masked(TEXT, b"still served"))
        assert await read_frame(talking) == (TEXT, b"still served")
        await ended(edge)
        for peer in (waiting, talking, begun):
            assert await peer.rest() == b""


async def test_peers_that_never_read_do_not_delay_it() -> None:
    """One in the middle of a response, one of a WebSocket that is being closed."""

    async def flood(handed: HandedOver) -> None:
        await handed.accept()
        while not handed.outbox.queued_bytes:
            handed.outbox.put(b"\x82\x7d" + b"x" * 125)
        full.set()
        await handed.draining.wait()
        await handed.close(1001, "going away")

    full = trio.Event()
    websocket_limits = WebSocketLimits(close_seconds=60)
    limits = EdgeLimits(
        grace_seconds=60, stall_seconds=60, drain_stall_seconds=0.2, websocket=websocket_limits
    )
    async with running_edge(limits, websocket=flood) as edge:
        caller = await edge.peer(receive_buffer_bytes=4096)
        await caller.send(b"GET /large?bytes=30000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        reader = await edge.peer(receive_buffer_bytes=4096)
        await upgraded(reader, HANDSHAKE)
        await full.wait()
        edge.draining.set()
        await ended(edge)


async def test_cancelling_the_server_ends_everything_at_once() -> None:
    edge = Edge(http=HttpHost(small_app(AppState()), unexpected), websocket=echo_handler)
    listeners = await open_listeners("127.0.0.1", 0)
    port = listeners[0].getsockname()[1]

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        await edge.serve(listeners, draining=trio.Event(), task_status=task_status)

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        client = await trio.open_tcp_stream("127.0.0.1", port)
        async with client:
            await client.send_all(HANDSHAKE)
            assert (await client.receive_some()).startswith(b"HTTP/1.1 101")
            nursery.cancel_scope.cancel()
    assert edge.stats.connections == edge.stats.websockets == 0


def unexpected(peer: str, error: BaseException) -> None:
    raise AssertionError(peer) from error


async def test_a_free_port_is_the_same_on_every_address() -> None:
    listeners = await open_listeners("localhost", 0)
    try:
        assert len({listener.getsockname()[1] for listener in listeners}) == 1
    finally:
        for listener in listeners:
            listener.close()


async def test_a_port_that_is_taken_is_an_error_and_leaks_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        await open_listeners("127.0.0.1", taken.getsockname()[1])


async def test_a_handler_that_fails_while_it_is_cut_is_reported_and_stops_nothing() -> None:
    async def fail_when_cut(handed: HandedOver) -> None:
        await handed.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            try:
                await trio.sleep_forever()
            finally:
                raise RuntimeError("a fault in the clean-up")

    async with running_edge(EdgeLimits(grace_seconds=0.1), websocket=fail_when_cut) as edge:
        await upgraded(await edge.peer(), HANDSHAKE)
        other = await edge.peer()
        await other.send(WAIT)
        await edge.app.waiting.wait()
        edge.draining.set()
        fault = await edge.fault()
        assert isinstance(fault, BaseExceptionGroup)
        assert fault.subgroup(RuntimeError) is not None
        await ended(edge)


class Exhausted(socket.socket):
    """A listening socket for which the process has no file descriptor left, once."""

    exhausted = False

    def accept(self) -> tuple[socket.socket, Any]:
        if not self.exhausted:
            self.exhausted = True
            raise OSError(errno.EMFILE, "Too many open files")
        return super().accept()


async def test_a_process_without_file_descriptors_goes_on_when_it_has_some_again() -> None:
    faults: list[BaseException] = []

    def on_error(peer: str, error: BaseException) -> None:
        faults.append(error)

    listener = Exhausted()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    edge = Edge(http=HttpHost(small_app(AppState()), on_error), websocket=echo_handler)
    draining = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(partial(edge.serve, [listener], draining=draining))
        client = await trio.open_tcp_stream(*listener.getsockname())
        async with client:
            await client.send_all(GET)
            assert (await client.receive_some()).startswith(b"HTTP/1.1 200")
        draining.set()
    (fault,) = faults
    assert isinstance(fault, OSError)
