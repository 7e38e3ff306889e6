"""One client's conversation: its commands, and how it ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import msgspec
import trio
from msgspec import UNSET, Raw
from trio_websocket import ConnectionClosed

from pxbox.model import wire
from pxbox.model.decoding import decode_input, decode_typed
from pxbox.model.errors import (
    InternalError,
    MalformedJson,
    PxError,
    UnsupportedMediaType,
)  # fmt: skip
from pxbox.service import operations, workers
from pxbox.service.core import Parts
from pxbox.service.problems import problem
from pxbox.service.room import Room
from pxbox.ws.announced import Announced
from pxbox.ws.handover import HandedOver
from pxbox.ws.live_token import LiveToken
from pxbox.ws.lot import Lot
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
from pxbox.ws.parts import PartsLimits, Reassembly, Replies, Whole, is_part
from pxbox.ws.subscriptions import Subscriptions
from pxbox.ws.turns import Turn, Turns

COMMANDS_IN_FLIGHT = 64
MOST_BAD_FRAMES = 20
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


@dataclass(frozen=True, slots=True)
class Ending:
    """How a conversation ends: a code of the contract, and what it means."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sessions of a process share.

    `partings`: of those whose clients have left, so many end at a time, for when thousands leave at
    once all others would wait for the work of it (X4). `reply_room` is for large replies.
    """

    parts: Parts
    observers: Observers
    parts_limits: PartsLimits
    reply_room: Room
    partings: trio.CapacityLimiter


class Session:
    """Serves one accepted connection, in one task as long as it is idle.

    There are thousands of these: what only a busy one needs is made when it is needed, and what
    ends conversations watches all of them at once and calls `end`, or a method that leads to it.
    """

    __slots__ = (
        "_all", "_bad_frames", "_draining", "_ended", "_ending", "_handed", "_heard_bytes",
        "_in_flight", "_nursery", "_reassembly", "_replies", "_silent", "_subscriptions", "_turns",
        "token",
    )  # fmt: skip

    def __init__(
        self, handed: HandedOver, announced: Announced, token: LiveToken, all_: Surroundings
    ) -> None:
        self.token = token
        self._all = all_
        self._handed = handed
        self._subscriptions = Subscriptions(
            all_.parts, token.principal, handed.outbox, announced.session
        )
        self._nursery: trio.Nursery | None = None
        self._ending: Ending | None = None
        self._in_flight = 0
        self._ended = Lot()
        self._draining = False
        self._silent = False
        self._heard_bytes: int | None = None
        self._turns = Turns()
        self._bad_frames = 0
        self._reassembly: Reassembly | None = None
        self._replies: Replies | None = None

    async def serve(self) -> None:
        """Converse until the client leaves or `end` is called; then close with the contract's
        code."""
        parting = False
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._handed.outbox.on_slow = self._become_slow
                self._subscriptions.begin(nursery, self._answer)
                if self._handed.draining.is_set():
                    self.drain()
                await self._read(nursery)
                if self._ending is None:
                    await self._all.partings.acquire_on_behalf_of(self)
                    parting = True
                nursery.cancel_scope.cancel()
            if self._ending is not None:
                await self._handed.close(self._ending.code, self._ending.reason)
        finally:
            self._nursery = None
            if self._reassembly is not None:
                self._reassembly.close()
            self._leave_workers()
            await self._subscriptions.close()
            if parting:
                self._all.partings.release_on_behalf_of(self)

    @property
    def open(self) -> bool:
        """Is the client there still?"""
        return self._nursery is not None

    def end(self, code: int, reason: str) -> None:
        """End the conversation with this code of the contract; the first one counts."""
        if self._ending is None:
            self._ending = Ending(code, reason)
            if self._nursery is not None:
                self._nursery.cancel_scope.cancel()

    def drain(self) -> None:
        """End once the commands in hand have their replies; what is read from now on is refused by
        the actors."""
        if not self._draining:
            self._draining = True
            self._send(ServerFrame("notice", data={"code": "draining"}))
            self._end_if_drained()

    def announce_epoch(self, epoch: str) -> None:
        """Say that positions are of this epoch now: the conversation is about to end (E4)."""
        self._send(ServerFrame("notice", data={"code": "epoch_changed", "epoch": epoch}))

    def announce_expiry(self, at: datetime) -> None:
        self._send(ServerFrame("notice", data={"code": "token_expiring", "expiresAt": at}))

    def expire(self) -> None:
        self.end(4001, "token_expired")

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
        while self._ending is None:
            try:
                message = await self._handed.get_message()
            except ConnectionClosed:
                return
            if isinstance(message, bytes):
                refusal = UnsupportedMediaType("messages are text, each one JSON object")
                self._send(ServerFrame("error", data=problem(refusal)))
                self.end(4501, "protocol_error")
            else:
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
            whole = self._parts_from(nursery).take(frame)
            if whole is not None:
                self._in_flight += 1
                nursery.start_soon(self._whole_command, whole)
            return
        self._in_flight += 1
        turn = self._turns.next(None if isinstance(frame, Cmd) else frame.channel)
        if isinstance(frame, Cmd):
            # Not cancelled when the client leaves, and so free to do the actor's turn itself (A3).
            self._all.parts.system.start(self._in_its_turn, frame, turn)
        else:
            nursery.start_soon(self._in_its_turn, frame, turn)

    def _parts_from(self, nursery: trio.Nursery) -> Reassembly:
        if self._reassembly is None:
            limits = self._all.parts_limits
            self._reassembly = Reassembly(self._all.parts.room, limits, self._refuse)
            nursery.start_soon(self._reassembly.watch)
        return self._reassembly

    async def _whole_command(self, whole: Whole) -> None:
        with whole.held:
            try:
                frame = whole.command
                operation = operations.find(frame.op)
                read = partial(decode_input, large=operation.large)
                await self._answer(frame, self._command(frame, read))
            finally:
                self._command_ended()

    def _leave_workers(self) -> None:
        if self._all.parts.served.has(self):
            self._all.parts.system.start(workers.leave, self._all.parts, self)

    def _command_ended(self) -> None:
        self._in_flight -= 1
        if self._nursery is None:
            # It may have been a worker's first.
            self._leave_workers()
        self._ended.unpark_all()
        self._end_if_drained()

    def _end_if_drained(self) -> None:
        if self._draining and not self._in_flight:
            self.end(1001, "draining")

    def _become_slow(self) -> None:
        if self._silent:
            self.end(4002, "heartbeat_timeout")
        else:
            self.end(4000, "slow_reader")

    def _refuse(self, id: str, op: str, error: PxError) -> None:
        self._send(ServerFrame("error", id=id, op=op, data=problem(error)))
        if op in operations.OPERATIONS:
            self._all.observers.on_command(op, 0.0, error.code)

    def _unreadable(self, raw: bytes, error: PxError) -> None:
        self._bad_frames += 1
        self._send(ServerFrame("error", id=frame_id(raw), data=problem(error)))
        if isinstance(error, MalformedJson) or self._bad_frames >= MOST_BAD_FRAMES:
            self.end(4501, "protocol_error")

    async def _in_its_turn(self, frame: ClientFrame, turn: Turn) -> None:
        try:
            await turn.come()
            await self._answer(frame, self._serve(frame, turn))
        finally:
            self._turns.end(turn)
            self._command_ended()

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
            self._all.observers.on_fault(type(frame).__name__ if op is UNSET else op, error)
            told = InternalError("a fault of the broker; it is in its log")
            self._send(ServerFrame("error", id=frame.id, op=op, data=problem(told)))
        if isinstance(frame, Cmd) and frame.op in operations.OPERATIONS:
            self._all.observers.on_command(frame.op, trio.current_time() - started, code)

    async def _serve(self, frame: ClientFrame, turn: Turn | None = None) -> None:
        match frame:
            case Cmd():
                await self._command(frame)
            case Subscribe():
                self.token.current()
                await self._subscriptions.subscribe(frame)
            case Resume():
                self.token.current()
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
        principal = await self.token.renew(frame.data.token)
        data = {"expiresAt": principal.expires_at}
        self._send(ServerFrame("ack", id=frame.id, op="authenticated", data=data))
        self._subscriptions.renew(principal)

    async def _command(self, frame: Cmd, read: ReadInput = decode_typed) -> None:
        operation = operations.find(frame.op)
        key = idempotency_key(frame)
        input = read(bytes(frame.data), operation.input)
        principal = self.token.current()
        outcome = await operations.perform(self._all.parts, principal, operation, input, key, self)
        meta = {"replayed": True} if outcome.replayed else UNSET
        reply = ServerFrame("response", id=frame.id, op=frame.op, meta=meta)
        data = msgspec.json.encode(outcome.reply)
        if len(data) <= _SMALL_REPLY_BYTES:
            reply.data = Raw(data)
            self._send(reply)
        else:
            if self._replies is None:
                room, limits = self._all.reply_room, self._all.parts_limits
                self._replies = Replies(self._handed.outbox, room, limits)
            await self._replies.send(reply, data)

    def _send(self, frame: ServerFrame) -> None:
        self._handed.outbox.put(encode(frame))
