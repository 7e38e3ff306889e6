"""A connection while it speaks HTTP: every head judged here, ordinary requests fed to the host.

Requests are fed one at a time: a pipelined one waits in the connection until the response before
it was sent, so that whatever it turns out to be, a WebSocket or garbage, it is answered in its
turn, and so that pipelining buys nobody more than one request's share.
"""

from __future__ import annotations

import math

import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol

from pxbox.edge.bodies import Body
from pxbox.edge.heads import Head, HeadReader, judge
from pxbox.edge.host import HttpHost, announce_close
from pxbox.edge.limits import EdgeLimits
from pxbox.edge.refusals import Refusal, too_slow
from pxbox.tcp import Wire

_JOINED_BYTES = 64 * 1024


# How long a connection that was made as draining began may take to say what it came for.
_NEW_SECONDS = 1.0


class HttpConnection:
    """The requests of one connection, until it ends or becomes a WebSocket.

    The app's tasks run in `nursery`, which belongs to this connection alone. The caller runs
    `serve`, lets the nursery end, then runs `part` unless a handshake came.
    """

    def __init__(
        self, wire: Wire, host: HttpHost, limits: EdgeLimits, nursery: trio.Nursery
    ) -> None:
        self._wire = wire
        self._limits = limits
        self._nursery = nursery
        self._carries = (host.carries_payload, host.carries_file)
        self._http = host
        self._protocol: H11Protocol | None = None
        self._busy = False  # a request is with the app
        self._over = False  # no further request is served
        self._gone = False  # the peer is: nothing is sent any more
        self._draining = False
        self._new = True  # nothing was asked on it yet
        self._refusal: Refusal | None = None
        self._head_due = False  # what the host sends next is a response's head
        self._response_head = b""
        self._sent = False  # something of the present response has left
        self._reading: trio.CancelScope | None = None
        self._turn = trio.lowlevel.ParkingLot()

    async def serve(self) -> bytes | None:
        """Serve to the end; return the handshake where the next request is a WebSocket's."""
        try:
            while (head := await self._next_head()) is not None:
                if head.websocket is not None:
                    return head.websocket
                await self._feed(head)
        except Refusal as refusal:
            self._refusal = refusal
            self._nursery.cancel_scope.cancel()
            return None
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._gone = True
        await self._tell_closed()
        return None

    async def part(self) -> None:
        """Say what remains to be said; after that the socket is to be closed."""
        if self._gone:
            return
        if self._refusal is not None and not self._sent:
            try:
                await self._wire.send_all(self._refusal.response())
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
        if self._refusal is not None or self._over:
            await self._wire.linger(
                seconds=self._limits.linger_seconds, max_bytes=self._limits.linger_bytes
            )

    def drain(self) -> None:
        """Answer what has been asked and nothing more; an idle connection ends at once, and one
        that is just being made is served what it came for."""
        self._draining = True
        if self._protocol is not None:
            announce_close(self._protocol)
        if self._reading is not None and not self._busy:
            if self._new:
                self._reading.deadline = trio.current_time() + _NEW_SECONDS
            else:
                self._reading.cancel()

    async def _next_head(self) -> Head | None:
        """The next request's head, once the response before it was sent; None if none comes."""
        data = self._wire.take_unread() or await self._wait_for_peer()
        if not data:
            return None
        while self._busy:
            await self._turn.park()
        if self._over:
            return None
        reader = HeadReader(self._limits)
        found = reader.feed(data) or await self._read_head(reader)
        if found is None:
            return None
        raw, rest = found
        self._wire.unread(rest)
        return judge(raw, self._limits, *self._carries)

    async def _wait_for_peer(self) -> bytes:
        """The first bytes of what comes next; empty if nothing does.

        While the app is at work this notices that the peer leaves. What comes early is kept, and
        nothing more is read before its turn.
        """
        if self._over or (self._draining and not self._busy and not self._new):
            return b""
        patience = math.inf if self._busy else self._limits.idle_seconds
        if self._draining and self._new:
            patience = _NEW_SECONDS
        data = b""
        with trio.move_on_after(patience) as self._reading:
            data = await self._wire.receive()
            self._gone = not data
        self._reading = None
        return data

    async def _read_head(self, reader: HeadReader) -> tuple[bytes, bytes] | None:
        with trio.move_on_after(self._limits.head_seconds):
            while data := await self._wire.receive():
                if (found := reader.feed(data)) is not None:
                    return found
            self._gone = True
            return None
        raise too_slow("the request head took too long to arrive")

    def _host(self) -> H11Protocol:
        """hypercorn's side of it: not made for a connection that becomes a WebSocket at once."""
        if self._protocol is None:
            self._protocol = self._http.open(self._wire, self._nursery, self._on_event)
            if self._draining:
                announce_close(self._protocol)
        return self._protocol

    async def _tell_closed(self) -> None:
        """An app that is still at work has lost its caller: it is told."""
        if self._protocol is not None:
            await self._protocol.handle(Closed())

    async def _feed(self, head: Head) -> None:
        self._busy = True
        self._new = False
        self._head_due = True
        mine, rest = head.body.take(self._wire.take_unread())
        self._wire.unread(rest)
        await self._host().handle(RawData(head.raw + mine))
        if not head.body.complete:
            await self._feed_body(head.body)

    async def _feed_body(self, body: Body) -> None:
        patience = self._limits.patience_for_body(body.most_bytes)
        with trio.move_on_after(patience) as self._reading:
            while not (body.complete or self._over):
                data = await self._wire.receive()
                if not data:
                    self._gone = self._over = True
                    break
                mine, rest = body.take(data)
                self._wire.unread(rest)
                await self._host().handle(RawData(mine))
        late = self._reading.cancelled_caught and not self._over
        self._reading = None
        if late:
            raise too_slow("the request body took too long to arrive")

    async def _on_event(self, event: Event) -> None:
        """What the host has to say, called from the app's task."""
        if isinstance(event, RawData):
            await self._send(event.data)
        elif isinstance(event, Closed):
            self._over = True
            self._end_response()
        elif isinstance(event, Updated) and event.idle:
            self._end_response()

    async def _send(self, data: bytes) -> None:
        # The host gives head, body and end one by one. Kept together they are one system call
        # and one packet; ASGI has the head wait for the first of the body anyway.
        if self._head_due and not _is_informational(data):
            self._head_due = False
            self._response_head = data
            return
        if self._response_head and len(data) < _JOINED_BYTES:
            data = self._response_head + data
            self._response_head = b""
        try:
            if self._response_head:
                head, self._response_head = self._response_head, b""
                await self._transmit(head)
            await self._transmit(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._gone = self._over = True
            self._end_response()
            await self._tell_closed()

    async def _transmit(self, data: bytes) -> None:
        if data and not self._gone:
            self._sent = not _is_informational(data)
            await self._wire.send_all(data)

    def _end_response(self) -> None:
        self._busy = False
        self._sent = False
        self._turn.unpark_all()
        if self._reading is not None:
            if self._over or self._draining:
                self._reading.cancel()
            else:
                self._reading.deadline = trio.current_time() + self._limits.idle_seconds


def _is_informational(data: bytes) -> bool:
    """Whether this is a 1xx response, after which the response itself is still to come."""
    return data.startswith(b"HTTP/1.1 1")
