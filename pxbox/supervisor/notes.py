"""What a supervisor and its workers tell each other: notes, one a line, over a socket of theirs.

From a worker: `ready`; `greeted`, `figures` (its own), both as was asked for; `collect` (give me
everybody's).
From the supervisor: `greet` (tell whoever started us where we listen); `figures` (give me yours);
`collected` (everybody's, as was asked for).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Literal

import msgspec
import trio

READ_BYTES = 65536

Kind = Literal["ready", "greet", "greeted", "figures", "collect", "collected"]


class Note(msgspec.Struct, omit_defaults=True):
    kind: Kind
    text: str = ""


class Post(msgspec.Struct):
    """What a worker is told when it is started: its number, and its file descriptors."""

    number: int
    workers: int
    socket: int
    tally: int
    listeners: list[int]


_decode = msgspec.json.Decoder(Note).decode


class Line:
    """One end of the socket. Several tasks may send, one listens."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._sending = trio.Lock()

    async def send(self, note: Note) -> None:
        """Nothing happens where the other end is gone: whoever listens here hears of that."""
        try:
            async with self._sending:
                await self._stream.send_all(msgspec.json.encode(note) + b"\n")
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return

    async def notes(self) -> AsyncIterator[Note]:
        """What the other end sends, until it is gone."""
        unread = b""
        while True:
            try:
                received = bytes(await self._stream.receive_some(READ_BYTES))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not received:
                return
            *lines, unread = (unread + received).split(b"\n")
            for line in lines:
                yield _decode(line)

    def close(self) -> None:
        self._stream.socket.close()
