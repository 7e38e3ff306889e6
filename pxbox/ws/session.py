"""One client's conversation: commands, subscriptions, acknowledgements."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

import trio
from msgspec import UNSET
from trio_websocket import ConnectionClosed, WebSocketConnection

from pxbox.model.decoding import decode_typed
from pxbox.model.errors import (
    InternalError,
    InvalidAck,
    InvalidRequest,
    MalformedJson,
    NotSubscribed,
    NotSupported,
    PxError,
    TooManySubscriptions,
    UnsupportedMediaType,
)  # fmt: skip
from pxbox.model.principal import Principal
from pxbox.service import operations, watching
from pxbox.service.channels import Recovered, Trimmed
from pxbox.service.core import Parts
from pxbox.service.problems import problem
from pxbox.ws.handover import HandedOver
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
from pxbox.ws.subscription import Left, Subscription
from pxbox.ws.turns import Turn, Turns

COMMANDS_IN_FLIGHT = 64
MOST_CHANNELS = 128
MOST_BAD_FRAMES = 20
_NOTICE_SECONDS = 30.0
# So many of these as commands may be in flight are far from what makes a reader slow.
_SMALL_REPLY_BYTES = 4096

OnFault = Callable[[str, Exception], None]
OnCommand = Callable[[str, float, str], None]


class CloseWith(Exception):
    """The conversation ends with this code of the contract."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Session:
    """Serves one accepted connection.

    `on_fault(op, error)` hears of the broker's own faults; `on_command(op, seconds, code)` of
    every command that ended, with `ok` or the code of its error.
    """

    def __init__(
        self,
        handed: HandedOver,
        connection: WebSocketConnection,
        parts: Parts,
        principal: Principal,
        on_fault: OnFault,
        on_command: OnCommand,
    ) -> None:
        self._handed = handed
        self._connection = connection
        self._parts = parts
        self._principal = principal
        self._on_fault = on_fault
        self._on_command = on_command
        self._in_flight = 0
        self._ended = trio.lowlevel.ParkingLot()
        self._subscriptions: dict[str, Subscription] = {}
        self._watching = watching.Watching(parts, principal)
        self._nursery: trio.Nursery | None = None
        self._turns = Turns()
        self._bad_frames = 0

    async def serve(self) -> None:
        """Converse until the client leaves, the token ends, the reader is too slow or the broker
        drains; then close with the contract's code."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._close_when_slow)
                nursery.start_soon(self._close_when_draining)
                nursery.start_soon(self._close_when_expired)
                self._nursery = nursery
                await self._read(nursery)
                nursery.cancel_scope.cancel()
        except* CloseWith as group:
            ending = _first(group)
            await self._handed.close(ending.code, ending.reason)
        finally:
            with trio.CancelScope(shield=True):
                for channel in list(self._subscriptions):
                    await self._leave(channel)
                await self._watching.close()

    @property
    def queued_bytes(self) -> int:
        return self._handed.outbox.queued_bytes

    def heads(self, heads: dict[str, int]) -> None:
        """Send a heartbeat with the heads of this connection's channels (E7)."""
        mine = {name: heads[name] for name in self._subscriptions if name in heads}
        self._send(ServerFrame("heartbeat", data={"heads": mine}))

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
        self._in_flight += 1
        turn = self._turns.next(None if isinstance(frame, Cmd) else frame.channel)
        if isinstance(frame, Cmd):
            # Not cancelled when the client leaves, and so free to do the actor's turn itself (A3).
            self._parts.system.start(self._in_its_turn, frame, turn)
        else:
            nursery.start_soon(self._in_its_turn, frame, turn)

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
                await self._require_may_watch(frame.channel, frame.meta)
                await self._subscribe(frame)
            case Resume():
                await self._require_may_watch(frame.channel, frame.meta)
                await self._resume(frame, turn)
            case Unsubscribe():
                await self._unsubscribe(frame)
            case Ack():
                self._acknowledge(frame)
            case Ping():
                self._send(ServerFrame("ack", id=frame.id, op="pong"))
            case Auth():
                raise NotSupported("`auth` on a live connection is not supported yet; reconnect")

    async def _command(self, frame: Cmd) -> None:
        operation = operations.find(frame.op)
        key = idempotency_key(frame)
        input = decode_typed(bytes(frame.data), operation.input)
        outcome = await operations.perform(self._parts, self._principal, operation, input, key)
        meta = {"replayed": True} if outcome.replayed else UNSET
        reply = encode(
            ServerFrame("response", id=frame.id, op=frame.op, data=outcome.reply, meta=meta)
        )
        if len(reply) <= _SMALL_REPLY_BYTES:
            self._handed.outbox.put(reply)
        else:
            # What its sender waits for is no lag of the reader's, however much it is (E10).
            await self._handed.outbox.send_all(reply)

    async def _require_may_watch(self, channel: str, meta: object) -> None:
        if meta is not UNSET:
            raise NotSupported("`meta` of a subscription is not supported yet; leave it out")
        if await self._watching.require(channel):
            assert self._nursery is not None
            self._nursery.start_soon(self._leave_what_was_lost)

    async def _subscribe(self, frame: Subscribe) -> None:
        present = self._subscriptions.get(frame.channel)
        if present is not None:
            self._subscribed(frame, present.sent)
            return
        subscription = self._open(frame.channel)
        head = await self._join(frame.channel, subscription)
        if subscription.left:
            raise watching.not_visible(frame.channel)
        subscription.sent = max(subscription.sent, head)
        self._subscribed(frame, head)
        subscription.start()

    def _subscribed(self, frame: Subscribe, seq: int) -> None:
        self._send(
            ServerFrame(
                "ack", id=frame.id, op="subscribed", channel=frame.channel, seq=seq,
                epoch=self._parts.epoch,
            )
        )  # fmt: skip

    async def _resume(self, frame: Resume, turn: Turn | None) -> None:
        channel = frame.channel
        if frame.since is UNSET:
            raise NotSupported("`resume` without `since` is not supported yet; give a position")
        if frame.epoch is UNSET:
            raise InvalidRequest("a position is `epoch` and `since`")
        if channel in self._subscriptions:
            raise InvalidRequest("this connection watches the channel already; unsubscribe first")
        subscription = self._open(channel)
        try:
            plan = await self._parts.channels.plan(channel, frame.since, frame.epoch)
            self._recovered(frame, plan)
            subscription.sent = plan.start
            subscription.start()
            if turn is not None:
                # However long it takes to catch up, the client may leave the channel meanwhile.
                turn.end()
            await self._catch_up(channel, subscription)
        except Trimmed:
            subscription.hold()
            subscription.sent = await self._join(channel, subscription)
            head = subscription.sent
            self._recovered(frame, Recovered(head, head, "trimmed"))
            subscription.start()
        except (Left, trio.BrokenResourceError):
            # The client has left the channel, or the connection is about to end.
            return
        except BaseException:
            self._forget(channel, subscription)
            raise

    async def _catch_up(self, channel: str, subscription: Subscription) -> None:
        await self._parts.channels.catch_up(
            channel, subscription.sent, subscription, subscription.send_paced
        )
        await self._joined(channel, subscription)

    async def _join(self, channel: str, subscription: Subscription) -> int:
        try:
            head = await self._parts.channels.join(channel, subscription)
        except BaseException:
            self._forget(channel, subscription)
            raise
        await self._joined(channel, subscription)
        return head

    async def _joined(self, channel: str, subscription: Subscription) -> None:
        """It is joined now; if the client unsubscribed meanwhile, it leaves at once."""
        subscription.joined = True
        if subscription.left:
            await self._parts.channels.leave(channel, subscription)

    def _recovered(self, frame: Resume, plan: Recovered) -> None:
        data: dict[str, object] = {"recovered": plan.reason is None, "to": plan.to}
        data |= {"from": plan.start + 1} if plan.reason is None else {"reason": plan.reason}
        self._send(
            ServerFrame(
                "recovered", id=frame.id, channel=frame.channel, epoch=self._parts.epoch,
                seq=plan.to, data=data,
            )
        )  # fmt: skip

    def _open(self, channel: str) -> Subscription:
        if len(self._subscriptions) >= MOST_CHANNELS:
            raise TooManySubscriptions(f"a connection watches at most {MOST_CHANNELS} channels")
        subscription = Subscription(self._handed.outbox)
        self._subscriptions[channel] = subscription
        return subscription

    async def _unsubscribe(self, frame: Unsubscribe) -> None:
        self._watched(frame.channel)
        await self._leave(frame.channel)
        self._send(ServerFrame("ack", id=frame.id, op="unsubscribed", channel=frame.channel))

    async def _leave(self, channel: str) -> None:
        subscription = self._subscriptions.pop(channel)
        subscription.left = True
        if subscription.joined:
            await self._parts.channels.leave(channel, subscription)

    def _forget(self, channel: str, subscription: Subscription) -> None:
        if self._subscriptions.get(channel) is subscription:
            del self._subscriptions[channel]

    async def _leave_what_was_lost(self) -> None:
        while True:
            for channel in await self._watching.lost(self._subscriptions):
                with suppress(PxError):
                    await self._leave(channel)
                data = {"code": "access_lost", "channel": channel}
                self._send(ServerFrame("notice", data=data))

    def _acknowledge(self, frame: Ack) -> None:
        subscription = self._watched(frame.channel)
        if frame.seq > subscription.sent:
            raise InvalidAck(f"{frame.seq} was not sent yet", sent=subscription.sent)
        subscription.acked = max(subscription.acked, frame.seq)

    def _watched(self, channel: str) -> Subscription:
        subscription = self._subscriptions.get(channel)
        if subscription is None:
            raise NotSubscribed(f"this connection does not watch {channel[:128]!r}")
        return subscription

    def _send(self, frame: ServerFrame) -> None:
        self._handed.outbox.put(encode(frame))

    async def _close_when_slow(self) -> None:
        await self._handed.outbox.slow.wait()
        raise CloseWith(4000, "slow_reader")

    async def _close_when_draining(self) -> None:
        await self._handed.draining.wait()
        self._send(ServerFrame("notice", data={"code": "draining"}))
        # Commands in hand get their replies; what is read from now on is refused by the actors.
        while self._in_flight:
            await self._ended.park()
        raise CloseWith(1001, "draining")

    async def _close_when_expired(self) -> None:
        if self._principal.expires_at is None:
            return
        left = (self._principal.expires_at - datetime.now(UTC)).total_seconds()
        await trio.sleep(max(0.0, left - _NOTICE_SECONDS))
        self._send(
            ServerFrame(
                "notice",
                data={"code": "token_expiring", "expiresAt": self._principal.expires_at},
            )
        )
        await trio.sleep(min(max(0.0, left), _NOTICE_SECONDS))
        raise CloseWith(4001, "token_expired")


def _first(group: BaseExceptionGroup[CloseWith]) -> CloseWith:
    found = group.exceptions[0]
    return found if isinstance(found, CloseWith) else _first(found)
