"""The channels that one connection watches: subscribing, resuming, leaving, acknowledging."""

from __future__ import annotations

from contextlib import suppress

import trio
from msgspec import UNSET

from pxbox.model.errors import (
    InvalidAck,
    InvalidRequest,
    NotSubscribed,
    NotSupported,
    PxError,
    TooManySubscriptions,
)  # fmt: skip
from pxbox.model.principal import Principal
from pxbox.service import watching
from pxbox.service.channels import Recovered, Trimmed
from pxbox.service.core import Parts
from pxbox.ws.messages import Ack, Resume, ServerFrame, Subscribe, Unsubscribe, encode
from pxbox.ws.outbox import Outbox
from pxbox.ws.subscription import Left, Subscription
from pxbox.ws.turns import Turn

MOST_CHANNELS = 128


class Subscriptions:
    """Serves the frames of one connection that are about channels.

    `begin` comes before all else, `close` after it.
    """

    def __init__(self, parts: Parts, principal: Principal, outbox: Outbox) -> None:
        self._parts = parts
        self._outbox = outbox
        self._subscriptions: dict[str, Subscription] = {}
        self._watching = watching.Watching(parts, principal)
        self._nursery: trio.Nursery | None = None
        self._looking = False

    def begin(self, nursery: trio.Nursery) -> None:
        """Run in `nursery` what watching needs besides the frames."""
        self._nursery = nursery

    async def close(self) -> None:
        """Leave every channel."""
        with trio.CancelScope(shield=True):
            for channel in list(self._subscriptions):
                await self._leave(channel)
            await self._watching.close()

    def heartbeat(self, heads: dict[str, int]) -> None:
        """Send a heartbeat with the heads of this connection's channels (E7)."""
        mine = {name: heads[name] for name in self._subscriptions if name in heads}
        self._send(ServerFrame("heartbeat", data={"heads": mine}))

    async def _require_may_watch(self, channel: str, meta: object) -> None:
        if meta is not UNSET:
            raise NotSupported("`meta` of a subscription is not supported yet; leave it out")
        await self._watching.require(channel)
        self._look_for_losses()

    async def subscribe(self, frame: Subscribe) -> None:
        await self._require_may_watch(frame.channel, frame.meta)
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

    async def resume(self, frame: Resume, turn: Turn | None) -> None:
        channel = frame.channel
        await self._require_may_watch(channel, frame.meta)
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
        subscription = Subscription(self._outbox)
        self._subscriptions[channel] = subscription
        return subscription

    async def unsubscribe(self, frame: Unsubscribe) -> None:
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

    def renew(self, principal: Principal) -> None:
        """Go on as another principal of the same client: what it may not watch is left."""
        self._watching.renew(principal)
        self._look_for_losses()

    def _look_for_losses(self) -> None:
        if self._watching.may_lose and not self._looking:
            assert self._nursery is not None
            self._looking = True
            self._nursery.start_soon(self._leave_what_was_lost)

    async def _leave_what_was_lost(self) -> None:
        while True:
            for channel in await self._watching.lost(self._subscriptions):
                with suppress(PxError):
                    await self._leave(channel)
                data = {"code": "access_lost", "channel": channel}
                self._send(ServerFrame("notice", data=data))

    def acknowledge(self, frame: Ack) -> None:
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
        self._outbox.put(encode(frame))
