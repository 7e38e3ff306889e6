"""One WebSocket connection, after its handshake: wsproto makes and reads the frames.

What may be held in memory is bounded both ways, and nothing here waits for a peer that does not
read: writing is one task's work, so a cancelled sender never leaves half a frame behind.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import httpcore
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import ProtocolError

from pxbox.client import timing
from pxbox.client.closing import Closed

MOST_MESSAGE_BYTES = 32 * 1024 * 1024
MOST_QUEUED_BYTES = 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_BROKEN = (httpcore.NetworkError, httpcore.TimeoutException, OSError)


class WebSocket:
    """Made by `http.open_websocket`. One task calls `receive`, one `write`; any may `send`."""

    def __init__(self, stream: Any) -> None:
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
        while len(self._out) >= MOST_QUEUED_BYTES and self._end is None:
            await self._drained.wait()
        if self._end is not None:
            raise self._end
        self._queue(TextMessage(data=text))

    async def write(self) -> None:
        """Write what is queued, until cancelled. Raises Closed if the connection breaks."""
        try:
            while True:
                await self._wanted.wait()
                self._wanted = anyio.Event()
                queued, self._out = bytes(self._out), bytearray()
                await self._stream.write(queued)
                self._drained.set()
                self._drained = anyio.Event()
        except _BROKEN as error:
            raise self._ended(1006, str(error)) from None

    async def receive(self) -> list[str]:
        """The messages that have come, at least one, in order. Raises Closed."""
        messages: list[str] = []
        while not messages:
            if self._end is not None:
                raise self._end
            try:
                data = await self._stream.read(_CHUNK_BYTES)
                self._wire.receive_data(data or None)
                self._take(messages)
            except _BROKEN as error:
                raise self._ended(1006, str(error)) from None
            except ProtocolError as error:
                raise self._ended(1002, str(error)) from None
        return messages

    def _take(self, messages: list[str]) -> None:

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

    def _queue(self, event: Event) -> None:
        self._out += self._wire.send(event)
        self._wanted.set()

    def _ended(self, code: int, reason: str) -> Closed:
        if self._end is None:
            self._end = Closed(code, reason)
            self._drained.set()
        return self._end

    async def aclose(self) -> None:
        """Say goodbye where that is possible at once, and let go of the socket."""
        goodbye = b""
        if self._end is None and self._wire.state is ConnectionState.OPEN:
            goodbye = self._wire.send(CloseConnection(1000))
        self._ended(1000, "")
        with anyio.CancelScope(shield=True):
            # A peer that does not read, or a path that leads nowhere, holds nobody up.
            with anyio.move_on_after(timing.LEAVE_SECONDS):
                # It is being left: how that failed tells nothing.
                with suppress(Exception):
                    await self._stream.write(bytes(self._out) + goodbye)
            with anyio.move_on_after(timing.LEAVE_SECONDS):
                await self._stream.aclose()
