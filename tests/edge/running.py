"""An edge on a real socket with a small Quart-Trio app behind it, and bare peers for it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import h11
import trio
from quart import Response, request
from quart_trio import QuartTrio
from trio_websocket import ConnectionClosed, WebSocketConnection, connect_websocket

from pxbox.edge import Edge, EdgeLimits, HttpHost, open_listeners
from pxbox.model.ids import is_ulid
from pxbox.ws.frames import text_frame
from pxbox.ws.handover import HandedOver, WebSocketHandler

HANDSHAKE = (
    b"GET /echo HTTP/1.1\r\nHost: broker\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PATIENCE_SECONDS = 10.0
"""For what must happen; what must not happen is never waited for."""


@dataclass(slots=True)
class AppState:
    """What the app saw, and the handles tests hold it by."""

    started: list[str] = field(default_factory=list)
    left: trio.Event = field(default_factory=trio.Event)
    waiting: trio.Event = field(default_factory=trio.Event)
    go_on: trio.Event = field(default_factory=trio.Event)


def small_app(state: AppState) -> QuartTrio:
    """Echoes, waits, streams and fails."""
    app = QuartTrio(__name__)

    @app.before_request
    async def note() -> None:
        state.started.append(request.path)

    @app.get("/hello")
    async def hello() -> Response:
        return Response("hello")

    @app.route("/echo", methods=["POST", "PUT"])
    async def echo() -> Response:
        return Response(await request.get_data(), content_type="application/octet-stream")

    @app.get("/wait")
    async def wait() -> Response:
        state.waiting.set()
        try:
            await state.go_on.wait()
        finally:
            if not state.go_on.is_set():
                state.left.set()
        return Response("went on")

    @app.get("/large")
    async def large() -> Response:
        return Response(b"x" * int(request.args["bytes"]))

    @app.post("/early")
    async def early() -> tuple[str, int]:
        return "not you", 401

    @app.route("/stream", methods=["GET", "POST"])
    async def stream() -> Response:
        async def parts() -> AsyncIterator[bytes]:
            yield b"first "
            await state.go_on.wait()
            yield b"second"

        return Response(parts())

    @app.get("/none")
    async def none() -> tuple[str, int]:
        return "", 204

    return app


def with_deaf(app: Any, state: AppState) -> Any:
    """The app, and beside it `/deaf`, which answers without having read anything."""

    async def serve(scope: Any, receive: Any, send: Any, *more: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/deaf":
            await app(scope, receive, send, *more)
            return
        await state.go_on.wait()
        headers = [(b"content-length", b"7"), (b"connection", b"close")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b"not you"})

    return serve


async def say(handed: HandedOver, message: str | bytes) -> None:
    """Send a message at the peer's pace, as replies are. Raises ConnectionClosed."""
    if isinstance(message, str):
        frame = text_frame(message.encode())
    else:
        frame = b"\x82" + text_frame(message)[1:]
    try:
        await handed.outbox.send_all(frame)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        raise ConnectionClosed(None) from None


async def echo_handler(handed: HandedOver) -> None:
    await handed.accept()
    while True:
        await say(handed, await handed.get_message())


class Peer:
    """A bare TCP client that reads HTTP by h11 and waits no longer than `PATIENCE_SECONDS`."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._unparsed = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def response(self, method: str = "GET") -> tuple[h11.Response, bytes]:
        """The next response with its body; interim ones before it are skipped."""
        connection = h11.Connection(h11.CLIENT)
        connection.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        connection.send(h11.EndOfMessage())
        if self._unparsed:
            connection.receive_data(self._unparsed)
        response, body = None, b""
        with trio.fail_after(PATIENCE_SECONDS):
            while True:
                event = connection.next_event()
                if event is h11.NEED_DATA:
                    connection.receive_data(await self.stream.receive_some())
                elif isinstance(event, h11.Response):
                    response = event
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    break
        self._unparsed, _ = connection.trailing_data
        assert response is not None
        return response, body

    async def problem(self) -> tuple[int, dict[str, Any]]:
        """The next response, which is a problem document and ends the connection."""
        response, body = await self.response()
        headers = dict(list(response.headers))
        assert headers[b"content-type"] == b"application/problem+json"
        assert headers[b"connection"] == b"close"
        assert is_ulid(headers[b"x-request-id"].decode())
        problem = json.loads(body)
        assert problem["status"] == response.status_code
        assert problem["type"] == f"urn:pxbox:problem:{problem['code']}"
        return response.status_code, problem

    async def until(self, end: bytes) -> bytes:
        """What is received up to and including `end`; what comes after it is kept."""
        received = self._unparsed
        with trio.fail_after(PATIENCE_SECONDS):
            while end not in received:
                more = await self.stream.receive_some()
                assert more, received
                received += more
        head, _, self._unparsed = received.partition(end)
        return head + end

    async def exactly(self, size: int) -> bytes:
        received = self._unparsed
        with trio.fail_after(PATIENCE_SECONDS):
            while len(received) < size:
                more = await self.stream.receive_some()
                assert more, received
                received += more
        self._unparsed = received[size:]
        return received[:size]

    async def rest(self) -> bytes:
        """All that comes until the server has closed; a reset is an error."""
        received, self._unparsed = self._unparsed, b""
        with trio.fail_after(PATIENCE_SECONDS):
            while more := await self.stream.receive_some():
                received += more
        return received

    async def cut(self, repeated: bytes = b"x" * 65536) -> None:
        """Wait until the server has cut the connection, sending all the time, never reading."""
        with trio.fail_after(PATIENCE_SECONDS):
            with suppress(trio.BrokenResourceError):
                while True:
                    await self.stream.send_all(repeated)


class RunningEdge:
    """An edge that is served in a nursery, with all its peers closed at the end."""

    def __init__(self, edge: Edge, port: int, state: AppState, draining: trio.Event) -> None:
        self.edge = edge
        self.port = port
        self.app = state
        self.draining = draining
        self.ended = trio.Event()
        self.faults: list[BaseException] = []
        self.fault_came = trio.Event()
        self._sockets: list[trio.socket.SocketType] = []

    async def peer(self, *, receive_buffer_bytes: int | None = None) -> Peer:
        """A new connection, which the server has accepted: connecting alone is the kernel's."""
        sock = trio.socket.socket()
        if receive_buffer_bytes is not None:
            sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer_bytes)
        self._sockets.append(sock)
        accepted = self.edge.stats.accepted_total
        await sock.connect(("127.0.0.1", self.port))
        with trio.fail_after(PATIENCE_SECONDS):
            while self.edge.stats.accepted_total == accepted:
                await trio.lowlevel.checkpoint()
        return Peer(trio.SocketStream(sock))

    async def answers(self) -> None:
        """Fail unless other peers are served, over HTTP and over WebSocket."""
        peer = await self.peer()
        await peer.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        response, body = await peer.response()
        assert (response.status_code, body) == (200, b"hello")
        await peer.stream.aclose()

    async def websocket(self, nursery: trio.Nursery, path: str = "/echo") -> WebSocketConnection:
        with trio.fail_after(PATIENCE_SECONDS):
            return await connect_websocket(nursery, "127.0.0.1", self.port, path, use_ssl=False)

    async def fault(self) -> BaseException:
        """Wait for the one fault that this test is about; a second one fails it."""
        with trio.fail_after(PATIENCE_SECONDS):
            await self.fault_came.wait()
        return self.faults.pop()

    def close_peers(self) -> None:
        for sock in self._sockets:
            sock.close()


@asynccontextmanager
async def running_edge(
    limits: EdgeLimits | None = None, websocket: WebSocketHandler = echo_handler
) -> AsyncIterator[RunningEdge]:
    """Serve an edge; on leaving, it must have had no fault and still answer, then it drains."""
    state, draining = AppState(), trio.Event()

    def on_error(peer: str, error: BaseException) -> None:
        running.faults.append(error)
        running.fault_came.set()

    edge = Edge(
        http=HttpHost(with_deaf(small_app(state), state), on_error),
        websocket=websocket,
        limits=limits,
    )
    listeners = await open_listeners("127.0.0.1", 0)
    running = RunningEdge(edge, listeners[0].getsockname()[1], state, draining)

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        await edge.serve(listeners, draining=draining, task_status=task_status)
        running.ended.set()

    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        try:
            yield running
            if not draining.is_set():
                await running.answers()
        finally:
            running.close_peers()
        state.go_on.set()
        draining.set()
        with trio.fail_after(PATIENCE_SECONDS):
            await running.ended.wait()
        assert edge.stats.connections == edge.stats.websockets == 0
        if running.faults:
            raise BaseExceptionGroup("faults at the edge", running.faults)
