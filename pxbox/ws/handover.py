"""A connection that the edge hands over to become a WebSocket, from its handshake to its end.

wsproto reads and answers the handshake, small messages take the short way of an `Intake`, and
trio-websocket speaks the protocol for all the rest, the closing included: only then is it made, for
of an idle connection it would be half the memory. What its reader does with hostile input is
corrected here, in `_Connection`; the rest of `ws/` uses its public face only.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

import msgspec
import trio
from trio_websocket import CloseReason, ConnectionClosed, WebSocketConnection
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection, ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)  # fmt: skip

from pxbox.model.ids import new_ulid
from pxbox.service.problems import problem_of
from pxbox.tcp import Wire
from pxbox.ws.intake import Intake
from pxbox.ws.outbox import Outbox, OutboxLimits

_RECEIVE_BYTES = 64 * 1024
_PARTS_KEPT = 256

RETRY_SOON = ((b"Retry-After", b"1"),)

NORMAL_CLOSURE = 1000
INTERNAL_ERROR = 1011
_ABNORMAL_CLOSURE = 1006


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """Bounds of one connection.

    `handshake_seconds`: from the handshake to its acceptance or refusal. `message_bytes`: longer
    messages are answered by a Close 1009. `close_seconds`: for the peer to answer a Close.
    """

    handshake_seconds: float = 10.0
    message_bytes: int = 1024 * 1024
    close_seconds: float = 5.0
    outbox: OutboxLimits = field(default_factory=OutboxLimits)


def problem_document(code: str, detail: str) -> bytes:
    """The problem document (RFC 9457) of a code of the contract."""
    return msgspec.json.encode(problem_of(code, detail))


class Handshake:
    """A well-formed handshake, which is answered once; what it said is dropped then."""

    __slots__ = ("_protocol", "_request")

    def __init__(self, head: bytes) -> None:
        self._protocol: WSConnection | None = WSConnection(ConnectionType.SERVER)
        self._protocol.receive_data(head)
        request = next(self._protocol.events())
        assert isinstance(request, Request)
        self._request: Request | None = request

    @property
    def answered(self) -> bool:
        return self._request is None

    @property
    def request(self) -> Request:
        assert self._request is not None, "it was answered already"
        return self._request

    def accept(self, subprotocol: str | None) -> bytes:
        """What accepts it."""
        return self._answer(AcceptConnection(subprotocol=subprotocol))

    def refuse(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
        """What refuses it by this response."""
        headers = [*headers, (b"Content-Length", b"%d" % len(body))]
        head = RejectConnection(status_code=status, headers=headers, has_body=True)
        return self._answer(head, RejectData(data=body))

    def _answer(self, *events: Event) -> bytes:
        assert self._protocol is not None, "it was answered already"
        data = b"".join(self._protocol.send(event) for event in events)
        self._protocol = self._request = None
        return data


class HandedOver:
    """A WebSocket handshake to be accepted or refused, and then the connection itself.

    From its acceptance on, events go into `outbox`. `draining` is set when the process is to end:
    close with 1001 then. The connection ends when the handler returns. One task at a time reads or
    closes. What the handshake said is known until it is answered.
    """

    __slots__ = (
        "_gone", "_handshake", "_intake", "_limits", "_nursery", "_speaker", "_spoken", "draining",
        "outbox", "patience", "peer",
    )  # fmt: skip

    def __init__(
        self,
        handshake: Handshake,
        outbox: Outbox,
        nursery: trio.Nursery,
        peer: str,
        draining: trio.Event,
        limits: WebSocketLimits,
    ) -> None:
        self.outbox = outbox
        self.peer = peer
        self.draining = draining
        self.patience = trio.CancelScope()
        """What the handshake is answered in: it ends after `handshake_seconds` unless it was."""
        self.patience.deadline = trio.current_time() + limits.handshake_seconds
        self._handshake = handshake
        self._intake = Intake(outbox, limits.message_bytes)
        self._nursery = nursery
        self._limits = limits
        self._speaker: _Connection | None = None
        self._spoken: trio.Event | None = None  # set when the speaker reads no more
        self._gone = False  # the peer has left without a word

    @property
    def answered(self) -> bool:
        """Whether the handshake was."""
        return self._handshake.answered

    @property
    def path(self) -> str:
        """What the handshake asks for, with its query."""
        return self._handshake.request.target

    @property
    def subprotocols(self) -> list[str]:
        """Those that the client offers."""
        return self._handshake.request.subprotocols

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The header fields of the handshake, with those that wsproto keeps apart."""
        offered = ", ".join(self.subprotocols).encode()
        host = self._handshake.request.host.encode()
        fields = list(self._handshake.request.extra_headers)
        return [*fields, (b"host", host), (b"sec-websocket-protocol", offered)]

    async def accept(self, subprotocol: str | None = None) -> None:
        """Accept the handshake. Raises ConnectionClosed."""
        await self._answer(self._handshake.accept(subprotocol))

    async def reject(
        self, status: int, problem: bytes, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Refuse the handshake by an HTTP response with this problem document as its body."""
        extra = [
            (b"Content-Type", b"application/problem+json"),
            (b"Connection", b"close"),
            (b"X-Request-Id", new_ulid().encode()),
            *headers,
        ]
        answer = self._handshake.refuse(status, extra, problem)
        self._gone = True
        await self._answer(answer)

    async def get_message(self) -> str | bytes:
        """The next message. Raises ConnectionClosed. Cancelled, it has consumed none."""
        if self._speaker is None:
            try:
                text = await self._intake.next_text()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._gone = True
                raise _closed() from None
            if text is not None:
                return text
        return await self._speak().get_message()

    async def close(self, code: int, reason: str = "") -> None:
        """Close an accepted connection and wait for the peer, `close_seconds` at the most.

        After it the connection has ended, whatever the peer did: one that never reads as well.
        """
        if self._gone:
            return
        with trio.move_on_after(self._limits.close_seconds):
            await self._speak().aclose(code, reason or None)

    async def hear_out(self) -> None:
        """Let a peer that closes be answered: the handler hears of it before that is done."""
        if self._spoken is not None:
            with trio.move_on_after(self._limits.close_seconds):
                await self._spoken.wait()

    async def _answer(self, data: bytes) -> None:
        self.patience.deadline = math.inf
        try:
            await self.outbox.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            self._gone = True
            raise _closed() from None

    def _speak(self) -> _Connection:
        """trio-websocket's connection, which reads from now on."""
        if self._speaker is None:
            # It has the face of a WSConnection that has shaken hands.
            protocol = cast(WSConnection, Connection(ConnectionType.SERVER))
            self._speaker = _Connection(
                self._intake,
                protocol,
                max_message_size=self._limits.message_bytes,
                receive_buffer_size=_RECEIVE_BYTES,
            )
            self._spoken = trio.Event()
            self._nursery.start_soon(_read, self._speaker, self._spoken)
        return self._speaker


def _closed() -> ConnectionClosed:
    return ConnectionClosed(CloseReason(_ABNORMAL_CLOSURE, None))


async def _read(connection: WebSocketConnection, ended: trio.Event) -> None:
    await connection._reader_task()
    ended.set()


WebSocketHandler = Callable[[HandedOver], Awaitable[None]]


async def hand_over(
    wire: Wire,
    handshake: Handshake,
    handler: WebSocketHandler,
    *,
    draining: trio.Event,
    limits: WebSocketLimits,
    on_fault: Callable[[tuple[str, int], Exception], None],
) -> None:
    """Serve one WebSocket to its end by `handler`.

    A handler that returns or raises without answering the handshake, or not in time, refuses it by
    500 or 503. What the handler raises goes to `on_fault`, with the peer, who is told by 1011; but
    for ConnectionClosed, which is how a conversation ends.
    """
    async with trio.open_nursery() as nursery:
        outbox = Outbox(wire, nursery, limits.outbox)
        try:
            peer = f"{wire.peer[0]}:{wire.peer[1]}"
            handed = HandedOver(handshake, outbox, nursery, peer, draining, limits)
            fault = None
            with handed.patience:
                fault = await _converse(handed, handler)
            if fault is not None:
                on_fault(wire.peer, fault)
            await _end(handed, fault)
            await handed.hear_out()
            await outbox.aclose()
        finally:
            outbox.abort()
            nursery.cancel_scope.cancel()


async def _converse(handed: HandedOver, handler: WebSocketHandler) -> Exception | None:
    """Run the handler; its fault, if it had one."""
    try:
        try:
            await handler(handed)
        except* ConnectionClosed:
            pass
    except Exception as fault:
        return fault
    return None


async def _end(handed: HandedOver, fault: Exception | None) -> None:
    if handed.answered:
        await handed.close(NORMAL_CLOSURE if fault is None else INTERNAL_ERROR)
        return
    with suppress(ConnectionClosed):
        if handed.patience.cancelled_caught:
            problem = problem_document("overloaded", "the handshake was not answered in time")
            await handed.reject(503, problem, RETRY_SOON)
        else:
            problem = problem_document("internal", "the handshake could not be answered")
            await handed.reject(500, problem)


class _Connection(WebSocketConnection):
    """trio-websocket's connection, with what it lacks against hostile peers.

    Its methods that are replaced here are private: tests/edge/test_hostile_frames.py fails when
    another version calls them differently.
    """

    async def _handle_message_event(self, event: BytesMessage | TextMessage) -> None:
        # The limit is in bytes; trio-websocket counts characters.
        if isinstance(event, TextMessage) and not event.data.isascii():
            self._message_size += len(event.data.encode()) - len(event.data)
        await super()._handle_message_event(event)
        if not event.message_finished:
            # Empty fragments add parts and no size: a list without end, in a loop without pause.
            if len(self._message_parts) > _PARTS_KEPT:
                self._message_parts = [_joined(self._message_parts)]
            await trio.lowlevel.checkpoint()

    async def _handle_ping_event(self, event: Ping) -> None:
        # A Pong may not follow our Close; wsproto raises, which would cut the closing short.
        if self._wsproto.state is ConnectionState.OPEN:
            await super()._handle_ping_event(event)

    async def _handle_close_connection_event(self, event: CloseConnection) -> None:
        # For a frame it cannot read, wsproto makes up a Close event and sends nothing. The peer
        # is to be told why (RFC 6455, section 7.1.7).
        if self._wsproto.state is ConnectionState.OPEN:
            await self._send(CloseConnection(code=event.code, reason=event.reason))
        await super()._handle_close_connection_event(event)


def _joined(parts: list[bytes | str]) -> bytes | str:
    texts = [part for part in parts if isinstance(part, str)]
    if texts:
        return "".join(texts)
    return b"".join(part for part in parts if isinstance(part, bytes))
