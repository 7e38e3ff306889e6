"""One WebSocket connection: httpx makes the handshake, wsproto the frames.

What may be held in memory is bounded both ways, and nothing here waits for a peer that does not
read: writing is one task's work, so a cancelled sender never leaves half a frame behind.
"""

from __future__ import annotations

import base64
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio

from pxbox.client.errors import Unreachable

if TYPE_CHECKING:
    import httpx

MOST_MESSAGE_BYTES = 32 * 1024 * 1024
MOST_QUEUED_BYTES = 1024 * 1024
CLOSE_SECONDS = 2.0
_CHUNK_BYTES = 256 * 1024


class Refused(Exception):
    """The handshake was answered by something other than a WebSocket."""

    def __init__(
        self, status: int, content_type: str, body: bytes, retry_after: str | None
    ) -> None:
        super().__init__(f"the handshake was answered with {status}")
        self.status = status
        self.content_type = content_type
        self.body = body
        self.retry_after = retry_after


class Closed(Exception):
    """The connection has ended; `code` is the peer's, 1006 where it gave none."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the connection was closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason


class WebSocket:
    """Made by `open_websocket`. One task calls `receive`, one `write`; any may `send`."""

    def __init__(self, stream: Any) -> None:
        from wsproto.connection import Connection, ConnectionType

        self._stream = stream
        self._wire = Connection(ConnectionType.CLIENT)
        self._out = bytearray()
        self._wanted = anyio.Event()
        self._drained = anyio.Event()
        self._parts: list[str] = []
        self._held = 0
        self._end: Closed | None = None

    async def send(self, text: str) -> None:
        """Queue one message; waits only while the peer is far behind. Raises Closed."""
        from wsproto.events import TextMessage

        while len(self._out) >= MOST_QUEUED_BYTES and self._end is None:
            await self._drained.wait()
        if self._end is not None:
            raise self._end
        self._queue(TextMessage(data=text))

    async def write(self) -> None:
        """Write what is queued, until cancelled. Raises Closed if the connection breaks."""
        import httpcore

        try:
            while True:
                await self._wanted.wait()
                self._wanted = anyio.Event()
                queued, self._out = bytes(self._out), bytearray()
                await self._stream.write(queued)
                self._drained.set()
                self._drained = anyio.Event()
        except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
            raise self._ended(1006, str(error)) from None

    async def receive(self) -> list[str]:
        """The messages that have come, at least one, in order. Raises Closed."""
        import httpcore
        from wsproto.utilities import ProtocolError

        messages: list[str] = []
        while not messages:
            if self._end is not None:
                raise self._end
            try:
                data = await self._stream.read(_CHUNK_BYTES)
                self._wire.receive_data(data or None)
                self._take(messages)
            except (httpcore.NetworkError, httpcore.TimeoutException, OSError) as error:
                raise self._ended(1006, str(error)) from None
            except ProtocolError as error:
                raise self._ended(1002, str(error)) from None
        return messages

    def _take(self, messages: list[str]) -> None:
        from wsproto.events import CloseConnection, Ping, TextMessage

        for event in self._wire.events():
            if isinstance(event, TextMessage):
                self._held += len(event.data)
                if self._held > MOST_MESSAGE_BYTES:
                    self._ended(1009, "a message is larger than this client takes")
                    return
                self._parts.append(event.data)
                if event.message_finished:
                    messages.append("".join(self._parts))
                    self._parts.clear()
                    self._held = 0
            elif isinstance(event, Ping):
                self._queue(event.response())
            elif isinstance(event, CloseConnection):
                # Messages that came before it are still given out.
                self._ended(int(event.code), event.reason or "")
                return

    def _queue(self, event: Any) -> None:
        self._out += self._wire.send(event)
        self._wanted.set()

    def _ended(self, code: int, reason: str) -> Closed:
        if self._end is None:
            self._end = Closed(code, reason)
            self._drained.set()
        return self._end

    async def aclose(self) -> None:
        """Say goodbye where that is possible at once, and let go of the socket."""
        from wsproto.connection import ConnectionState
        from wsproto.events import CloseConnection

        goodbye = b""
        if self._end is None and self._wire.state is ConnectionState.OPEN:
            goodbye = self._wire.send(CloseConnection(1000))
        self._ended(1000, "")
        with anyio.CancelScope(shield=True):
            # A peer that does not read, or a path that leads nowhere, holds nobody up.
            with anyio.move_on_after(CLOSE_SECONDS):
                # It is being left: how that failed tells nothing.
                with suppress(Exception):
                    await self._stream.write(bytes(self._out) + goodbye)
            with anyio.move_on_after(CLOSE_SECONDS):
                await self._stream.aclose()


@asynccontextmanager
async def open_websocket(
    http: httpx.AsyncClient, url: str, headers: dict[str, str], patience: float
) -> AsyncIterator[WebSocket]:
    """A connection that lasts as long as the block.

    Raises Refused, or Unreachable where nobody answered within `patience` seconds.
    """
    import httpx
    from wsproto.utilities import generate_accept_token

    nonce = base64.b64encode(os.urandom(16))
    upgrade = {
        "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": nonce.decode(),
    }  # fmt: skip
    request = http.build_request("GET", url, headers={**upgrade, **headers})
    try:
        with anyio.fail_after(patience):
            response = await http.send(request, stream=True)
    except (httpx.TransportError, TimeoutError) as error:
        raise Unreachable(
            f"no WebSocket at {url}: {error or 'no answer'}", retryable=True
        ) from None
    accepted = response.headers.get("sec-websocket-accept", "").encode()
    if response.status_code != 101 or accepted != generate_accept_token(nonce):
        raise await _refusal(response, patience)
    socket = WebSocket(response.extensions["network_stream"])
    try:
        yield socket
    finally:
        await socket.aclose()
        with anyio.CancelScope(shield=True):
            await response.aclose()


async def _refusal(response: httpx.Response, patience: float) -> Exception:
    import httpx

    try:
        with anyio.move_on_after(patience):
            await response.aread()
    except httpx.TransportError:
        pass
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
    body = response.content if response.is_stream_consumed else b""
    headers = response.headers
    return Refused(
        response.status_code, headers.get("content-type", ""), body, headers.get("retry-after")
    )
