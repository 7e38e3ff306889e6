"""The channels that one connection watches: subscribing, resuming, leaving, acknowledging."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio
from msgspec import UNSET

from pxbox.model.channel import Entry, Place, Position
from pxbox.model.errors import (
    InvalidAck,
    InvalidRequest,
    NotSubscribed,
    PxError,
    TooManySubscriptions,
)  # fmt: skip
from pxbox.model.principal import Principal
from pxbox.service import watching
from pxbox.service.channels import Recovered, Trimmed
from pxbox.service.core import Parts
from pxbox.ws.frames import PING
from pxbox.ws.messages import (
    Ack,
    ClientFrame,
    Resume,
    ServerFrame,
    Subscribe,
    Unsubscribe,
    encode,
)  # fmt: skip
from pxbox.ws.outbox import Outbox
from pxbox.ws.subscription import Left, Subscription

MOST_CHANNELS = 128
# Of channels that were left, too: without a session name, they live with the connection.
_MOST_ACKNOWLEDGED = 1_024

Answer = Callable[[ClientFrame, Awaitable[None]], Awaitable[None]]
"""Carries out what a frame asked for, and tells the client of its errors."""


class Subscriptions:
    """Serves the frames of one connection that are about channels.

    `begin` comes before all else, `close` after it.
    """

    __slots__ = (
        "_acknowledged", "_answer", "_looking", "_nursery", "_outbox", "_pace", "_parts",
        "_session", "_sub", "_subscriptions", "_watching",
    )  # fmt: skip

    def __init__(
        self, parts: Parts, principal: Principal, outbox: Outbox, session: str | None
    ) -> None:
        self._parts = parts
        self._sub = principal.sub
        self._session = session
        self._outbox = outbox
        self._subscriptions: dict[str, Subscription] = {}
        self._acknowledged: dict[str, int] = {}
        self._pace: trio.Lock | None = None
        self._watching = watching.Watching(parts, principal)
        self._nursery: trio.Nursery | None = None
        self._answer: Answer | None = None
        self._looking = False

    def begin(self, nursery: trio.Nursery, answer: Answer) -> None:
        """Run in `nursery` what watching needs besides the frames; `answer` tells of its errors."""
        self._nursery = nursery
        self._answer = answer

    async def close(self) -> None:
        """Leave every channel."""
        if self._session is not None:
            self._parts.acknowledgements.write_soon()
        with trio.CancelScope(shield=True):
            for channel in list(self._subscriptions):
                await self._leave(channel)
            await self._watching.close()

    def beat(self, heads: dict[str, int]) -> None:
        """Send a Ping, and a heartbeat with the heads of this connection's channels (E7)."""
        mine = {name: heads[name] for name in self._subscriptions if name in heads}
        self._outbox.put(PING + encode(ServerFrame("heartbeat", data={"heads": mine})))

    async def _require_may_watch(self, channel: str) -> None:
        await self._watching.require(channel)
        self._look_for_losses()

    async def subscribe(self, frame: Subscribe) -> None:
        """Join a channel at its head, or so many events before it. Raises PxErrors."""
        await self._require_may_watch(frame.channel)
        present = self._subscriptions.get(frame.channel)
        if present is not None:
            self._subscribed(frame, present.sent)
            return
        if frame.data is not UNSET:
            await self._begin(frame)
            return
        subscription = self._open(frame.channel)
        head = await self._join(frame.channel, subscription)
        if subscription.left:
            raise watching.not_visible(frame.channel)
        subscription.sent = max(subscription.sent, head)
        self._subscribed(frame, head)
        subscription.start()

    def _subscribed(self, frame: Subscribe, seq: int, first: int | None = None) -> None:
        data = UNSET if first is None else {"from": first}
        self._send(
            ServerFrame(
                "ack", id=frame.id, op="subscribed", channel=frame.channel, seq=seq,
                epoch=self._parts.epoch, data=data,
            )
        )  # fmt: skip

    async def resume(self, frame: Resume) -> None:
        """Join a channel at a position (E5). Raises PxErrors.

        What fails after the client was told that it begins is told by an error of its own.
        """
        channel = frame.channel
        await self._require_may_watch(channel)
        if (frame.since is UNSET) is not (frame.epoch is UNSET):
            raise InvalidRequest("a position is `epoch` and `since`; give both or none")
        if channel in self._subscriptions:
            raise InvalidRequest("this connection watches the channel already; unsubscribe first")
        await self._begin(frame)

    async def _begin(self, frame: Subscribe | Resume) -> None:
        """Join a channel somewhere before its head: what follows there comes first."""
        subscription = self._open(frame.channel)
        try:
            plan = await self._plan(frame)
        except BaseException:
            self._forget(frame.channel, subscription)
            raise
        if subscription.left:
            raise watching.not_visible(frame.channel)
        self._tell_plan(frame, plan)
        subscription.sent = plan.start
        subscription.start()
        # However long it takes to catch up, it is no command under way: the client may leave the
        # channel meanwhile, and the broker may end.
        assert self._nursery is not None
        assert self._answer is not None
        follow = self._follow(frame, subscription, plan.to)
        self._nursery.start_soon(self._answer, frame, follow)

    async def _follow(self, frame: Subscribe | Resume, subscription: Subscription, to: int) -> None:
        try:
            if self._pace is None:
                self._pace = trio.Lock()
            with subscription.at_pace(self._pace):
                await self._catch_up(frame.channel, subscription, to)
        except Trimmed:
            await self._begin_anew(frame, subscription)
        except (Left, trio.BrokenResourceError):
            # The client has left the channel, or the connection is about to end.
            return
        except BaseException:
            self._forget(frame.channel, subscription)
            raise

    async def _begin_anew(self, frame: Subscribe | Resume, subscription: Subscription) -> None:
        """Go on from the head: retention was faster than the reader."""
        subscription.hold()
        head = subscription.sent = await self._join(frame.channel, subscription)
        if not subscription.left:
            self._recovered(frame, Recovered(head, head, "trimmed"))
            subscription.start()

    async def _plan(self, frame: Subscribe | Resume) -> Recovered:
        channels = self._parts.channels
        if isinstance(frame, Subscribe):
            assert frame.data is not UNSET
            return await channels.plan_last(frame.channel, frame.data.last)
        if frame.since is UNSET or frame.epoch is UNSET:
            position = await self._position(frame.channel)
        else:
            position = Position(frame.epoch, frame.since)
        return await channels.plan(frame.channel, position.seq, position.epoch)

    def _tell_plan(self, frame: Subscribe | Resume, plan: Recovered) -> None:
        if isinstance(frame, Subscribe):
            self._subscribed(frame, plan.to, plan.start + 1)
        else:
            self._recovered(frame, plan)

    async def _position(self, channel: str) -> Position:
        """How far the client has acknowledged the channel, 0 where it never did (E8)."""
        epoch = self._parts.epoch
        if self._session is None:
            return Position(epoch, self._acknowledged.get(channel, 0))
        kept = await self._parts.acknowledgements.position(self._place(channel, self._session))
        return kept or Position(epoch, 0)

    def _place(self, channel: str, session: str) -> Place:
        return Place(self._sub, session, channel)

    async def _catch_up(self, channel: str, subscription: Subscription, to: int) -> None:
        await self._parts.channels.catch_up(channel, subscription.sent, to, subscription)
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

    def _recovered(self, frame: Subscribe | Resume, plan: Recovered) -> None:
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
        hear = self._hear if channel.startswith("request:") else None
        subscription = Subscription(self._outbox, hear)
        self._subscriptions[channel] = subscription
        return subscription

    async def unsubscribe(self, frame: Unsubscribe) -> None:
        """Leave a channel: nothing of it follows. Raises NotSubscribed."""
        self._watched(frame.channel)
        await self._leave(frame.channel)
        self._send(ServerFrame("ack", id=frame.id, op="unsubscribed", channel=frame.channel))

    async def _leave(self, channel: str) -> None:
        subscription = self._subscriptions.pop(channel)
        subscription.leave()
        if subscription.joined:
            await self._parts.channels.leave(channel, subscription)

    def _forget(self, channel: str, subscription: Subscription) -> None:
        if self._subscriptions.get(channel) is subscription:
            del self._subscriptions[channel]

    def renew(self, principal: Principal) -> None:
        """Go on as another principal of the same client: what it may not watch is left."""
        self._watching.renew(principal)
        self._look_for_losses()

    def _hear(self, entry: Entry) -> None:
        self._watching.hear(entry)
        self._look_for_losses()

    def _look_for_losses(self) -> None:
        if self._watching.may_lose and not self._looking:
            assert self._nursery is not None
            self._looking = True
            self._nursery.start_soon(self._leave_what_was_lost)

    async def _leave_what_was_lost(self) -> None:
        while True:
            for channel in await self._watching.lost(self._subscriptions):
                if channel not in self._subscriptions:
                    continue  # its client has left it meanwhile
                with suppress(PxError):
                    await self._leave(channel)
                data = {"code": "access_lost", "channel": channel}
                self._send(ServerFrame("notice", data=data))

    def acknowledge(self, frame: Ack) -> None:
        """Take how far the client has come (E8); never waits. Raises NotSubscribed, InvalidAck."""
        subscription = self._watched(frame.channel)
        if frame.seq > subscription.sent:
            raise InvalidAck(f"{frame.seq} was not sent yet", sent=subscription.sent)
        if frame.seq <= subscription.acked:
            return
        subscription.acked = frame.seq
        if self._session is None:
            self._keep_here(frame)
        else:
            place = self._place(frame.channel, self._session)
            self._parts.acknowledgements.acknowledge(place, frame.seq)

    def _keep_here(self, frame: Ack) -> None:
        kept = max(self._acknowledged.pop(frame.channel, 0), frame.seq)
        self._acknowledged[frame.channel] = kept
        if len(self._acknowledged) > _MOST_ACKNOWLEDGED:
            del self._acknowledged[next(iter(self._acknowledged))]

    def _watched(self, channel: str) -> Subscription:
        subscription = self._subscriptions.get(channel)
        if subscription is None:
            raise NotSubscribed(f"this connection does not watch {channel[:128]!r}")
        return subscription

    def _send(self, frame: ServerFrame) -> None:
        self._outbox.put(encode(frame))
