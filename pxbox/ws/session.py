"""One client's conversation: its commands, and how it ends."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import msgspec
import trio
from msgspec import UNSET, Raw
from trio_websocket import ConnectionClosed, WebSocketConnection

from pxbox.model import wire
from pxbox.model.decoding import decode_input, decode_typed
from pxbox.model.errors import (
    InternalError,
    MalformedJson,
    PxError,
    UnsupportedMediaType,
)  # fmt: skip
from pxbox.service import operations
from pxbox.service.core import Parts
from pxbox.service.problems import problem
from pxbox.ws.announced import Announced
from pxbox.ws.handover import HandedOver
from pxbox.ws.live_token import LiveToken
from pxbox.ws.messages import (
    Ack,
    Auth,
    ClientFrame,
    Cmd,
    Ping,
    Resume,
    ServerFrame,
    Subscribe,
    Unsubscribe,
    encode,
    frame_id,
    idempotency_key,
    read_frame,
)  # fmt: skip
from pxbox.ws.parts import Reassembly, Replies, Whole, is_part
from pxbox.ws.subscriptions import Subscriptions
from pxbox.ws.turns import Turn, Turns

COMMANDS_IN_FLIGHT = 64
MOST_BAD_FRAMES = 20
_SPREAD_SECONDS = 1.0
# So many of these as commands may be in flight are far from what makes a reader slow.
_SMALL_REPLY_BYTES = 4096

ReadInput = Callable[[bytes, type[wire.Input]], wire.Input]
OnFault = Callable[[str, Exception], None]
OnCommand = Callable[[str, float, str], None]


@dataclass(frozen=True, slots=True)
class Observers:
    """`on_fault(op, error)` hears of the broker's own faults; `on_command(op, seconds, code)` of
    every command that ended, with `ok` or the code of its error."""

    on_fault: OnFault
    on_command: OnCommand


class CloseWith(Exception):
    """The conversation ends with this code of the contract."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Accepted:
    """A connection whose handshake was accepted, and what its client said of itself there."""

    handed: HandedOver
    connection: WebSocketConnection
    announced: Announced


class Session:
    """Serves one accepted connection.

    `partings`: of those whose clients have left, so many end at a time, for when thousands leave at
    once all others would wait for the work of it (X4).
    """

    def __init__(
        self,
        accepted: Accepted,
        parts: Parts,
        token: LiveToken,
        replies: Replies,
        observers: Observers,
        partings: trio.CapacityLimiter,
    ) -> None:
        self._handed = handed = accepted.handed
        self._connection = accepted.connection
        self._partings = partings
        self._parting = False
        self._parts = parts
        self._token = token
        self._replies = replies
        self._on_fault = observers.on_fault
        self._on_command = observers.on_command
        self._in_flight = 0
        self._ended = trio.lowlevel.ParkingLot()
        self._subscriptions = Subscriptions(
            parts, token.principal, handed.outbox, accepted.announced.session
        )
        self._silent = False
        self._heard_bytes: int | None = None
        self._turns = Turns()
        self._bad_frames = 0
        self._reassembly = Reassembly(parts.room, replies.limits, self._refuse)

    async def serve(self) -> None:
        """Converse until the client leaves, the token ends, the reader is too slow or the broker
        drains; then close with the contract's code."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._close_when_slow)
                nursery.start_soon(self._close_when_draining)
                nursery.start_soon(self._close_when_expired)
                nursery.start_soon(self._close_when_epoch_ends)
                nursery.start_soon(self._reassembly.watch)
                self._subscriptions.begin(nursery, self._answer)
                await self._read(nursery)
                await self._partings.acquire_on_behalf_of(self)
                self._parting = True
                nursery.cancel_scope.cancel()
        except* CloseWith as group:
            ending = _first(group)
            await self._handed.close(ending.code, ending.reason)
        finally:
            self._reassembly.close()
            await self._subscriptions.close()
            if self._parting:
                self._partings.release_on_behalf_of(self)

    @property
    def queued_bytes(self) -> int:
        return self._handed.outbox.queued_bytes

    def beat(self, heads: dict[str, int]) -> None:
        """Send a heartbeat with the heads of this connection's channels (E7)."""
        outbox = self._handed.outbox
        # What is queued is in front of the Ping: whether it moves is judged by the outbox.
        self._heard_bytes = None if outbox.queued_bytes else outbox.received_bytes
        self._subscriptions.beat(heads)

    def require_life(self) -> None:
        """Close the connection if nothing has come from the client since the last beat."""
        heard, self._heard_bytes = self._heard_bytes, None
        if heard is not None and self._handed.outbox.silent_since(heard):
            self._silent = True
            self._handed.outbox.give_up()

    async def _read(self, nursery: trio.Nursery) -> None:
        while True:
            try:
                message = await self._connection.get_message()
            except ConnectionClosed:
                return
            if isinstance(message, bytes):
                refusal = UnsupportedMediaType("messages are text, each one JSON object")
                self._send(ServerFrame("error", data=problem(refusal)))
                raise CloseWith(4501, "protocol_error")
            await self._take(message.encode(), nursery)

    async def _take(self, raw: bytes, nursery: trio.Nursery) -> None:
        try:
            frame = read_frame(raw)
        except PxError as error:
            self._unreadable(raw, error)
            return
        if isinstance(frame, Ping | Ack | Auth):
            await self._answer(frame, self._serve(frame))
            return
        # Past the bound nothing more is read: the client waits, nothing is lost.
        while self._in_flight >= COMMANDS_IN_FLIGHT:
            await self._ended.park()
        if is_part(frame):
            whole = self._reassembly.take(frame)
            if whole is not None:
                self._in_flight += 1
                nursery.start_soon(self._whole_command, whole)
            return
        self._in_flight += 1
        turn = self._turns.next(None if isinstance(frame, Cmd) else frame.channel)
        if isinstance(frame, Cmd):
            # Not cancelled when the client leaves, and so free to do the actor's turn itself (A3).
            self._parts.system.start(self._in_its_turn, frame, turn)
        else:
            nursery.start_soon(self._in_its_turn, frame, turn)

    async def _whole_command(self, whole: Whole) -> None:
        with whole.held:
            try:
                frame = whole.command
                operation = operations.find(frame.op)
                read = partial(decode_input, large=operation.large)
                await self._answer(frame, self._command(frame, read))
            finally:
                self._in_flight -= 1
                self._ended.unpark_all()

    def _refuse(self, id: str, op: str, error: PxError) -> None:
        self._send(ServerFrame("error", id=id, op=op, data=problem(error)))
        if op in operations.OPERATIONS:
            self._on_command(op, 0.0, error.code)

    def _unreadable(self, raw: bytes, error: PxError) -> None:
        self._bad_frames += 1
        self._send(ServerFrame("error", id=frame_id(raw), data=problem(error)))
        if isinstance(error, MalformedJson) or self._bad_frames >= MOST_BAD_FRAMES:
            raise CloseWith(4501, "protocol_error")

    async def _in_its_turn(self, frame: ClientFrame, turn: Turn) -> None:
        try:
            await turn.come()
            await self._answer(frame, self._serve(frame, turn))
        finally:
            turn.end()
            self._in_flight -= 1
            self._ended.unpark_all()

    async def _answer(self, frame: ClientFrame, serving: Awaitable[None]) -> None:
        started = trio.current_time()
        op = frame.op if isinstance(frame, Cmd) else UNSET
        code = "ok"
        try:
            await serving
        except PxError as error:
            code = error.code
            self._send(ServerFrame("error", id=frame.id, op=op, data=problem(error)))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # Nobody is there any more to be answered; the reader ends the conversation.
            return
        except Exception as error:
            code = InternalError.code
            self._on_fault(type(frame).__name__ if op is UNSET else op, error)
            told = InternalError("a fault of the broker; it is in its log")
            self._send(ServerFrame("error", id=frame.id, op=op, data=problem(told)))
        if isinstance(frame, Cmd) and frame.op in operations.OPERATIONS:
            self._on_command(frame.op, trio.current_time() - started, code)

    async def _serve(self, frame: ClientFrame, turn: Turn | None = None) -> None:
        match frame:
            case Cmd():
                await self._command(frame)
            case Subscribe():
                self._token.current()
                await self._subscriptions.subscribe(frame)
            case Resume():
                self._token.current()
                await self._subscriptions.resume(frame)
            case Unsubscribe():
                await self._subscriptions.unsubscribe(frame)
            case Ack():
                self._subscriptions.acknowledge(frame)
            case Ping():
                self._send(ServerFrame("ack", id=frame.id, op="pong"))
            case Auth():
                await self._authenticate(frame)

    async def _authenticate(self, frame: Auth) -> None:
        principal = await self._token.renew(frame.data.token)
        data = {"expiresAt": principal.expires_at}
        self._send(ServerFrame("ack", id=frame.id, op="authenticated", data=data))
        self._subscriptions.renew(principal)

    async def _command(self, frame: Cmd, read: ReadInput = decode_typed) -> None:
        operation = operations.find(frame.op)
        key = idempotency_key(frame)
        input = read(bytes(frame.data), operation.input)
        principal = self._token.current()
        outcome = await operations.perform(self._parts, principal, operation, input, key)
        meta = {"replayed": True} if outcome.replayed else UNSET
        reply = ServerFrame("response", id=frame.id, op=frame.op, meta=meta)
        data = msgspec.json.encode(outcome.reply)
        if len(data) <= _SMALL_REPLY_BYTES:
            reply.data = Raw(data)
            self._send(reply)
        else:
            await self._replies.send(reply, data)

    def _send(self, frame: ServerFrame) -> None:
        self._handed.outbox.put(encode(frame))

    async def _close_when_slow(self) -> None:
        await self._handed.outbox.slow.wait()
        if self._silent:
            raise CloseWith(4002, "heartbeat_timeout")
        raise CloseWith(4000, "slow_reader")

    async def _close_when_draining(self) -> None:
        await self._handed.draining.wait()
        self._send(ServerFrame("notice", data={"code": "draining"}))
        # Commands in hand get their replies; what is read from now on is refused by the actors.
        while self._in_flight:
            await self._ended.park()
        raise CloseWith(1001, "draining")

    async def _close_when_epoch_ends(self) -> None:
        await self._parts.channels.epoch.ended.wait()
        data = {"code": "epoch_changed", "epoch": self._parts.epoch}
        self._send(ServerFrame("notice", data=data))
        # Not all at once: they are about to connect again.
        await trio.sleep(random.uniform(0, _SPREAD_SECONDS))
        raise CloseWith(4005, "epoch_changed")

    async def _close_when_expired(self) -> None:
        await self._token.run_out(self._announce_expiry)
        raise CloseWith(4001, "token_expired")

    def _announce_expiry(self, at: datetime) -> None:
        self._send(ServerFrame("notice", data={"code": "token_expiring", "expiresAt": at}))


def _first(group: BaseExceptionGroup[CloseWith]) -> CloseWith:
    found = group.exceptions[0]
    return found if isinstance(found, CloseWith) else _first(found)
