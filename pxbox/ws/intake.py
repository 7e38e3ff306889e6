"""The intake: small text messages on their way to their reader, past trio-websocket.

Nearly all that clients send is one small text message in one frame. Those are read here, by the
very task that wants them; trio-websocket would take three steps of tasks and ten times the CPU.
Control frames go to it and are answered there. Anything else, well-formed or not, ends the short
way for the rest of the connection: from then on trio-websocket reads for itself.
"""

from __future__ import annotations

import trio

from pxbox.ws.outbox import Outbox

MOST_BYTES = 32 * 1024
"""Longer messages are left to trio-websocket."""

_TEXT, _PING, _PONG = 0x81, 0x89, 0x8A  # each whole and the last of its message
_MASKED = 0x80


class Intake(trio.abc.Stream):
    """The stream under trio-websocket: reads come from here, all else is the outbox's."""

    def __init__(self, outbox: Outbox, message_bytes: int) -> None:
        """`message_bytes`: the longest message that is allowed at all."""
        self._outbox = outbox
        self._most_bytes = min(message_bytes, MOST_BYTES)
        self._begun = False
        self._direct = True
        self._buffer = bytearray()  # begins where a frame begins
        self._given = b""
        self._lot = trio.lowlevel.ParkingLot()
        self._taken = trio.Event()
        self._reading: trio.CancelScope | None = None

    async def next_text(self) -> str | None:
        """The next message, where the short way is open; None once it is not."""
        if self._reading is not None:
            # Two tasks want messages: trio-websocket knows how to serve them.
            self.give_way()
        while self._direct:
            text = self._peel()
            if text is not None:
                return text
            if self._given:
                await self._taken.wait()
            elif self._direct:
                await self._receive()
        return None

    def give_way(self) -> None:
        """Let trio-websocket read from now on: what is here, and all that comes."""
        if not self._direct:
            return
        self._direct = False
        self._given += self._buffer
        self._buffer.clear()
        self._taken.set()
        if self._reading is not None:
            self._reading.cancel()
        else:
            self._lot.unpark_all()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """For trio-websocket: the handshake, what it is given, and in the end all that comes."""
        if not self._begun:
            self._begun = True
            return await self._outbox.receive_some(max_bytes)
        if not self._given:
            self._taken.set()
        while not self._given and (self._direct or self._reading is not None):
            await self._lot.park()
        if self._given:
            given, self._given = self._given, b""
            return given
        return await self._outbox.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._outbox.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._outbox.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._outbox.aclose()

    async def _receive(self) -> None:
        try:
            with trio.CancelScope() as self._reading:
                data = await self._outbox.receive_some()
                self._buffer += data
                if not data:
                    self.give_way()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # trio-websocket finds the same, and says what it means.
            self.give_way()
        finally:
            self._reading = None
            if not self._direct:
                self._given += self._buffer
                self._buffer.clear()
                self._lot.unpark_all()

    def _peel(self) -> str | None:
        """Take the first frame off: a message is returned, a control frame is given on.

        None, and the way still open: there is no whole frame.
        """
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        kind, size, start = buffer[0], buffer[1] - _MASKED, 6
        if kind == _TEXT and size == 126:
            if len(buffer) < 4:
                return None
            size, start = int.from_bytes(buffer[2:4], "big"), 8
            if size < 126:
                size = -1  # such a length has a shorter form, which is the only one allowed
        elif not (kind in (_TEXT, _PING, _PONG) and size < 126):
            size = -1
        if not 0 <= size <= self._most_bytes:
            self.give_way()
            return None
        end = start + size
        if len(buffer) < end:
            return None
        if kind == _TEXT:
            return self._text(start, end)
        self._give(bytes(buffer[:end]))
        del buffer[:end]
        return None

    def _text(self, start: int, end: int) -> str | None:
        buffer = self._buffer
        try:
            text = unmasked(buffer[start:end], buffer[start - 4 : start]).decode()
        except UnicodeDecodeError:
            self.give_way()
            return None
        del buffer[:end]
        return text

    def _give(self, frame: bytes) -> None:
        self._given += frame
        self._taken = trio.Event()
        self._lot.unpark_all()


def unmasked(payload: bytearray, mask: bytearray) -> bytes:
    size = len(payload)
    long_mask = (mask * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(long_mask, "big")
    return mixed.to_bytes(size, "big")
