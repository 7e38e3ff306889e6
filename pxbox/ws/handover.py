"""A connection that the edge hands over to become a WebSocket, from its handshake to its end.

trio-websocket speaks the protocol, over an `Outbox`; small messages take the short way of an
`Intake`. What its reader does with hostile input is corrected here, in `_Connection`; the rest of
`ws/` uses its public face only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, TextMessage

from pxbox.model.ids import new_ulid
from pxbox.service.problems import problem_of
from pxbox.tcp import Wire
from pxbox.ws.intake import Intake
from pxbox.ws.outbox import Outbox, OutboxLimits

# At least the longest head that the edge lets through: wsproto refuses one of more than 16 KiB
# unless it comes in one piece.
_RECEIVE_BYTES = 64 * 1024
_PARTS_KEPT = 256

RETRY_SOON = ((b"Retry-After", b"1"),)

NORMAL_CLOSURE = 1000
INTERNAL_ERROR = 1011


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


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A WebSocket handshake to be accepted or refused, and what its connection is served with.

    Accept by `request.accept()`, which gives the connection to read messages from and to reply
    through; events go into `outbox`, from then on. `draining` is set when the process is to end:
    close with 1001 then. The connection ends when the handler returns.
    """

    request: WebSocketRequest
    outbox: Outbox
    peer: str
    draining: trio.Event
    _connection: WebSocketConnection
    _closes: trio.Nursery
    _limits: WebSocketLimits

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """The header fields of the handshake, with those that trio-websocket keeps apart."""
        offered = ", ".join(self.request.proposed_subprotocols).encode()
        host = self.request._event.host.encode()
        return [*self.request.headers, (b"host", host), (b"sec-websocket-protocol", offered)]

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
        await self.request.reject(status, extra_headers=extra, body=problem)

    async def close(self, code: int, reason: str = "") -> None:
        """Close an accepted connection and wait for the peer, `close_seconds` at the most.

        After it the connection has ended, whatever the peer did: one that never reads as well.
        Cancelling the caller does not cut the closing short: a task that reads is ended by its
        first step, and in one nursery with this one would cancel it.
        """
        closed = trio.Event()
        self._closes.start_soon(self._close, code, reason, closed)
        await closed.wait()

    async def _close(self, code: int, reason: str, closed: trio.Event) -> None:
        with trio.move_on_after(self._limits.close_seconds):
            await self._connection.aclose(code, reason or None)
        closed.set()


WebSocketHandler = Callable[[HandedOver], Awaitable[None]]


async def hand_over(
    wire: Wire,
    head: bytes,
    handler: WebSocketHandler,
    *,
    draining: trio.Event,
    limits: WebSocketLimits,
    on_fault: Callable[[Exception], None],
) -> None:
    """Serve one WebSocket to its end by `handler`.

    `head` is a handshake that was found well-formed. A handler that returns or raises without
    answering it, or not in time, refuses it by 500 or 503. What the handler raises goes to
    `on_fault`, and the peer is told by 1011; but for ConnectionClosed, which is how a
    conversation ends.
    """
    async with trio.open_nursery() as nursery:
        outbox = Outbox(wire, nursery, handshake=head, limits=limits.outbox)
        try:
            intake = Intake(outbox, limits.message_bytes)
            connection = _Connection(
                intake,
                WSConnection(ConnectionType.SERVER),
                max_message_size=limits.message_bytes,
                receive_buffer_size=_RECEIVE_BYTES,
            )
            read = trio.Event()
            nursery.start_soon(_read, connection, intake, read)
            with trio.fail_after(limits.handshake_seconds):
                request = await connection._get_request()
            peer = f"{wire.peer[0]}:{wire.peer[1]}"
            async with trio.open_nursery() as closes:
                handed = HandedOver(request, outbox, peer, draining, connection, closes, limits)
                late = trio.CancelScope()
                nursery.start_soon(_watch_handshake, handed, late)
                close_code = NORMAL_CLOSURE
                with late:
                    close_code = await _converse(handed, handler, on_fault)
                await _end(handed, 503 if late.cancelled_caught else 500, close_code)
            if connection._open_handshake.is_set():
                # The handler hears of the peer's Close before the reader has answered it.
                with trio.move_on_after(limits.close_seconds):
                    await read.wait()
            await outbox.aclose()
        finally:
            outbox.abort()
            nursery.cancel_scope.cancel()


async def _read(connection: WebSocketConnection, intake: Intake, ended: trio.Event) -> None:
    await connection._reader_task()
    intake.give_way()
    ended.set()


async def _converse(
    handed: HandedOver, handler: WebSocketHandler, on_fault: Callable[[Exception], None]
) -> int:
    """Run the handler; the code to close with, if that has not been done yet."""
    try:
        try:
            await handler(handed)
        except* ConnectionClosed:
            pass
    except Exception as fault:
        on_fault(fault)
        return INTERNAL_ERROR
    return NORMAL_CLOSURE


async def _watch_handshake(handed: HandedOver, late: trio.CancelScope) -> None:
    with trio.move_on_after(handed._limits.handshake_seconds) as patience:
        await handed.outbox.answered.wait()
    if patience.cancelled_caught:
        late.cancel()


async def _end(handed: HandedOver, status: int, close_code: int) -> None:
    if handed.outbox.answered.is_set():
        await handed.close(close_code)
        return
    with suppress(ConnectionClosed):
        if status == 503:
            problem = problem_document("overloaded", "the handshake was not answered in time")
            await handed.reject(status, problem, RETRY_SOON)
        else:
            problem = problem_document("internal", "the handshake could not be answered")
            await handed.reject(status, problem)


class _Connection(WebSocketConnection):
    """trio-websocket's connection, with what it lacks against hostile peers.

    Its methods that are replaced here are private: tests/edge/test_hostile_frames.py fails when
    another version calls them differently.
    """

    async def get_message(self) -> str | bytes:
        assert isinstance(self._stream, Intake)
        text = await self._stream.next_text()
        return await super().get_message() if text is None else text

    async def aclose(self, code: int = NORMAL_CLOSURE, reason: str | None = None) -> None:
        # Whoever read messages so far need not be there any more to see the peer's answer.
        assert isinstance(self._stream, Intake)
        self._stream.give_way()
        await super().aclose(code, reason)

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
