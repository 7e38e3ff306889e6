"""A WebSocket client for tests: whatever the broker sends is kept until a test asks for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from wsproto.utilities import LocalProtocolError

# Far above what a quiet machine needs: these only end what would never end.
REPLY_SECONDS = 60.0
HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 2.0


class Refused(Exception):
    """A command over WebSocket was answered with this problem."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem['code']}: {problem['detail']}")
        self.code: str = problem["code"]
        self.problem = problem


class Socket:
    """One end of a WebSocket. `events` are the event frames in the order in which they came,
    `others` what nobody asked for: heartbeats, notices, errors without an id.

    `close_code` is the server's once `closed` is set; 1006 where there was none.
    """

    def __init__(self, connection: WebSocketConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []
        self.closed = trio.Event()
        self.close_code: int | None = None
        self._replies: dict[str, dict[str, Any]] = {}
        self._news = trio.Event()
        self._last_id = 0

    async def ask(self, **frame: Any) -> dict[str, Any]:
        """Send a frame with an id of its own, and return the one that answers it.

        An `error` is returned like any other. Raises ConnectionError if the connection ends.
        """
        self._last_id += 1
        id = f"f{self._last_id}"
        await self.send({**frame, "id": id})
        await self.until(lambda: id in self._replies)
        return self._replies.pop(id)

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame as it is. Raises ConnectionError if the connection has ended."""
        try:
            await self.connection.send_message(msgspec.json.encode(frame).decode())
        except ConnectionClosed as error:
            raise ConnectionError(str(error)) from None

    async def command(self, op: str, data: Mapping[str, Any], key: str | None = None) -> Any:
        """Carry out an operation; `key` is an idempotency key. Raises Refused."""
        meta = {"meta": {"idempotencyKey": key}} if key else {}
        reply = await self.ask(type="cmd", op=op, data=data, **meta)
        if reply["type"] == "error":
            raise Refused(reply["data"])
        return reply["data"]

    async def subscribe(self, channel: str) -> dict[str, Any]:
        """Watch a channel from its head on; return the `subscribed` frame. Raises Refused."""
        reply = await self.ask(type="subscribe", channel=channel)
        if reply["type"] == "error":
            raise Refused(reply["data"])
        return reply

    async def resume(self, channel: str, since: int, epoch: str) -> dict[str, Any]:
        """Watch a channel from a position on; return the `recovered` frame. Raises Refused."""
        reply = await self.ask(type="resume", channel=channel, since=since, epoch=epoch)
        if reply["type"] == "error":
            raise Refused(reply["data"])
        return reply

    async def until(self, holds: Callable[[], bool], seconds: float = REPLY_SECONDS) -> None:
        """Return once `holds()`, which is asked after every frame. Raises ConnectionError if the
        connection ends before, trio.TooSlowError past the deadline."""
        with trio.fail_after(seconds):
            while not holds():
                if self.closed.is_set():
                    raise ConnectionError(f"closed with {self.close_code}")
                await self._news.wait()

    async def event(self, type: str, seconds: float = REPLY_SECONDS) -> dict[str, Any]:
        """The first event frame of this type, waited for if it has not come yet."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if event["data"]["type"] == type]

        await self.until(lambda: bool(found()), seconds)
        return found()[0]

    async def read(self) -> None:
        """Take in frames until the connection ends."""
        try:
            while True:
                self._take(msgspec.json.decode(await self.connection.get_message()))
        except ConnectionClosed as error:
            self.close_code = 1006 if error.reason is None else error.reason.code
            self.closed.set()
            self._tell()

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "event":
            self.events.append(frame)
        elif "id" in frame:
            self._replies[frame["id"]] = frame
        else:
            self.others.append(frame)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


@asynccontextmanager
async def open_socket(url: str, token: str, patience: float) -> AsyncIterator[Socket]:
    """A connection to the broker at this http:// URL, open as long as the block lasts.

    `patience` is how many seconds the handshake may take. Raises OSError or trio_websocket's
    HandshakeError if there is no connection to be had; what the block raises comes out as it is,
    in no group.
    """
    headers = [(b"authorization", f"Bearer {token}".encode())]
    where = urlsplit(url)
    failure: Exception | None = None
    # By hand: trio_websocket's own way leaves the socket open where the handshake fails.
    stream = await trio.open_tcp_stream(where.hostname or "", where.port or 0)
    try:
        async with stream, trio.open_nursery() as nursery:
            try:
                # It also waits for ever where the connection ends before the answer.
                with trio.move_on_after(patience) as handshake:
                    connection = await wrap_client_stream(
                        nursery, stream, where.netloc, "/v1/ws", extra_headers=headers
                    )
                _require_answer(handshake)
                socket = Socket(connection)
                nursery.start_soon(socket.read)
                yield socket
                with trio.move_on_after(CLOSE_SECONDS):
                    await connection.aclose()
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
    except* LocalProtocolError:
        # It answers a Ping that crosses its own Close, which wsproto does not let it.
        pass
    if failure is not None:
        raise failure


def _require_answer(handshake: trio.CancelScope) -> None:
    if handshake.cancelled_caught:
        raise ConnectionError("no answer to the handshake")
