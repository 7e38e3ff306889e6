"""The framing of a request's body: which bytes belong to it, and when it ends. No I/O here."""

from __future__ import annotations

from typing import Protocol

import h11

from pxbox.edge.limits import EdgeLimits
from pxbox.edge.refusals import Refusal, body_too_large, malformed


class Body(Protocol):
    """What is still to come of a body."""

    @property
    def complete(self) -> bool:
        """Whether all of it was taken."""
        ...

    @property
    def most_bytes(self) -> int:
        """How long it is, or may become."""
        ...

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        """Split what was received: what belongs to this body, and what comes after it.

        Raises Refusal where the framing is broken or the body too large; nothing of `data` is
        to be used then.
        """
        ...


class CountedBody:
    """A body of a stated length, 0 for none (RFC 9112, section 6.2)."""

    __slots__ = ("_left", "most_bytes")

    def __init__(self, size_bytes: int) -> None:
        self._left = size_bytes
        self.most_bytes = size_bytes

    @property
    def complete(self) -> bool:
        return self._left == 0

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        if len(data) <= self._left:
            self._left -= len(data)
            return data, b""
        mine, rest = data[: self._left], data[self._left :]
        self._left = 0
        return mine, rest


class ChunkedBody:
    """A body in chunks (RFC 9112, section 7.1), read by the connection that read its head.

    Bounded in payload, in chunks (each costs far more than its bytes) and in what surrounds
    them. Trailers are refused: h11 ends their lines at a bare LF, which others do not.
    """

    __slots__ = ("_chunks", "_connection", "_ending", "_limits", "_payload", "_wire", "complete")

    def __init__(self, connection: h11.Connection, limits: EdgeLimits) -> None:
        self._connection = connection
        self._limits = limits
        self._payload = 0
        self._chunks = 0
        self._wire = 0
        self._ending = b""
        self.complete = False

    @property
    def most_bytes(self) -> int:
        return self._limits.body_bytes

    def take(self, data: bytes) -> tuple[bytes, bytes]:
        if not data:
            return b"", b""
        self._connection.receive_data(data)
        while not self.complete:
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError as error:
                detail, _, _ = str(error).partition(": ")
                raise malformed(detail) from error
            if isinstance(event, h11.Data):
                self._count(event)
            elif isinstance(event, h11.EndOfMessage):
                return self._finish(data, event)
            else:
                break
        self._keep(data)
        return data, b""

    def _count(self, event: h11.Data) -> None:
        self._payload += len(event.data)
        self._chunks += event.chunk_start
        if self._payload > self._limits.body_bytes:
            raise body_too_large(self._limits.body_bytes)
        if self._chunks > self._limits.body_chunks:
            raise Refusal(413, "payload_too_large", "the body comes in too many chunks")

    def _keep(self, data: bytes) -> None:
        self._wire += len(data)
        self._ending = (self._ending + data[-4:])[-4:]
        if self._wire > 2 * self._limits.body_bytes + self._limits.head_bytes:
            raise body_too_large(self._limits.body_bytes)

    def _finish(self, data: bytes, event: h11.EndOfMessage) -> tuple[bytes, bytes]:
        rest, _ = self._connection.trailing_data
        mine = data[: len(data) - len(rest)]
        self._keep(mine)
        if event.headers or self._ending != b"\r\n\r\n":
            raise malformed("a chunked body ends with an empty line, without trailers")
        self.complete = True
        return mine, rest
