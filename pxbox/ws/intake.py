"""The intake: small messages on their way to their reader, past trio-websocket.

Nearly all that clients send is one small text message in one frame, or the answer to a Ping. Those
are read here, by the very task that wants them; trio-websocket would take three steps of tasks and
ten times the CPU, and for a connection that says nothing, as much memory as all the rest of it.
Anything else, well-formed or not, ends the short way for the rest of the connection: from then on
trio-websocket reads.
"""

from __future__ import annotations

import trio

from pxbox.ws.frames import pong_frame
from pxbox.ws.outbox import Outbox

MOST_BYTES = 32 * 1024
"""Longer messages are left to trio-websocket."""

_TEXT, _PING, _PONG = 0x81, 0x89, 0x8A  # each whole and the last of its message
_MASKED = 0x80


class Intake(trio.abc.Stream):
    """Reads small messages; and once it has ended, the stream under trio-websocket.

    One task reads at a time.
    """

    __slots__ = ("_buffer", "_most_bytes", "_outbox")

    def __init__(self, outbox: Outbox, message_bytes: int) -> None:
        """`message_bytes`: the longest message that is allowed at all."""
        self._outbox = outbox
        self._most_bytes = min(message_bytes, MOST_BYTES)
        self._buffer = bytearray()  # begins where a frame begins

    async def next_text(self) -> str | None:
        """The next message; None where the short way ends: it is not to be asked again then.

        Pings are answered, Pongs dropped. Raises what `receive_some` of the outbox raises, and
        BrokenResourceError where the peer has left. Cancelled, it has consumed nothing.
        """
        while True:
            frame = self._whole_frame()
            if frame is None:
                return None
            kind, start, end = frame
            if not end:
                await self._receive()
            elif kind != _TEXT:
                await self._control(kind, start, end)
            else:
                return self._text(start, end)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """For trio-websocket: what is here, then all that comes."""
        if self._buffer:
            await trio.lowlevel.checkpoint()
            data = bytes(self._buffer)
            self._buffer.clear()
            return data
        return await self._outbox.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._outbox.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._outbox.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._outbox.aclose()

    async def _receive(self) -> None:
        data = await self._outbox.receive_some()
        if not data:
            raise trio.BrokenResourceError("the peer has left")
        self._buffer += data

    def _whole_frame(self) -> tuple[int, int, int] | None:
        """What kind the first frame is of, and where its payload begins and ends: 0 where it is not
        whole yet. None where it is none for here."""
        buffer = self._buffer
        if len(buffer) < 2:
            return 0, 0, 0
        kind, size, start = buffer[0], buffer[1] - _MASKED, 6
        if kind == _TEXT and size == 126:
            if len(buffer) < 4:
                return kind, 0, 0
            size, start = int.from_bytes(buffer[2:4], "big"), 8
            if size < 126:
                return None  # such a length has a shorter form, which is the only one allowed
        elif not (kind in (_TEXT, _PING, _PONG) and size < 126):
            return None
        if not 0 <= size <= self._most_bytes:
            return None
        end = start + size
        return kind, start, end if len(buffer) >= end else 0

    def _text(self, start: int, end: int) -> str | None:
        buffer = self._buffer
        try:
            text = unmasked(buffer[start:end], buffer[start - 4 : start]).decode()
        except UnicodeDecodeError:
            return None
        del buffer[:end]
        return text

    async def _control(self, kind: int, start: int, end: int) -> None:
        buffer = self._buffer
        payload = unmasked(buffer[start:end], buffer[start - 4 : start])
        del buffer[:end]
        if kind == _PING:
            await self._outbox.send_all(pong_frame(payload))
            # Whoever sends thousands of them is not to keep others waiting (X4).
            await trio.lowlevel.checkpoint()


def unmasked(payload: bytearray, mask: bytearray) -> bytes:
    size = len(payload)
    long_mask = (mask * (size // 4 + 1))[:size]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(long_mask, "big")
    return mixed.to_bytes(size, "big")
