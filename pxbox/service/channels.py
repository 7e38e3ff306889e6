"""Watching channels: joining live delivery, catching up from a position, waiting for news."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import trio

from actors import (
    ActorCrashed,
    ActorFailing,
    Address,
    AskTimeout,
    MailboxFull,
    System,
    TurnAbandoned,
)
from actors import Draining as SystemDraining
from pxbox.behaviors.channel import (
    Behind,
    Events,
    Join,
    Joined,
    Leave,
    Look,
    News,
    Subscriber,
)  # fmt: skip
from pxbox.domain.resume import FUTURE, Refused, plan_resume
from pxbox.model.channel import Several
from pxbox.model.errors import Draining, Overloaded, PxError, Unavailable
from pxbox.ports import Bounds, Entry, LogUnavailable
from pxbox.service.crowds import Crowds
from pxbox.service.epoch import Epoch
from pxbox.service.pages import Page, Pages

_JOIN_SECONDS = 10.0

ClientAhead = Callable[[str, int], Awaitable[bool]]
"""Called with a channel and a position above its head that a client says to have. Whether that has
ended the epoch (E4)."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """How a resume began: from the event after `start`, up to `to`, or why it could not."""

    start: int
    to: int
    reason: str | None


class CatchingUp(Subscriber, Protocol):
    """A subscriber that has not joined yet."""

    async def take(self, read: Callable[[], Awaitable[Page]]) -> Page:
        """Call `read` once there is room for a page, and send that; return it."""
        ...


class Channels:
    """The channels of this process. `mine` are those that have subscribers here."""

    def __init__(
        self, system: System, events: Events, epoch: Epoch, client_ahead: ClientAhead
    ) -> None:
        self._system = system
        self._events = events
        self._pages = Pages(events)
        self._watchers: dict[str, int] = {}
        self._ears: set[Ear] = set()
        self._client_ahead = client_ahead
        self.crowds = Crowds(lambda channel, entries: self._tell(channel, News(entries)))
        self.epoch = epoch
        self.draining = False

    def deliver(self, channel: str, entries: list[Entry]) -> None:
        """Tell who watches here of entries that were just committed here."""
        if channel in self._watchers:
            self.crowds.tell(channel, entries)

    def look(self, channel: str, head: int) -> None:
        """Somebody says that the channel has come to `head`; 0: nobody knows how far."""
        if channel in self._watchers:
            self._tell(channel, Look(head))

    def watched(self) -> list[str]:
        return list(self._watchers)

    def drain(self) -> None:
        """End the long polls: they are answered with what is so now (A6)."""
        self.draining = True
        self.end_waiting()

    def end_waiting(self) -> None:
        """Have the long polls answered with what is so now."""
        for ear in self._ears:
            ear.came.set()

    async def join(self, channel: str, subscriber: Subscriber) -> int:
        """Deliver to `subscriber` from the channel's head on, which is returned."""
        joined = await self._join(channel, subscriber, None)
        assert isinstance(joined, Joined)
        return joined.head

    async def leave(self, channel: str, subscriber: Subscriber) -> None:
        """Stop delivering. Every join is left once."""
        count = self._watchers.get(channel, 0)
        if count > 1:
            self._watchers[channel] = count - 1
        else:
            self._watchers.pop(channel, None)
        with suppress(Draining):
            await self._ask(channel, Leave(subscriber))

    async def plan(self, channel: str, since: int, epoch: str) -> Recovered:
        """Say whether everything after `since` can be given, and up to where it goes now (E5)."""
        bounds = await self._bounds(channel)
        plan = plan_resume(since, epoch == self.epoch.name, bounds.floor, bounds.head)
        if isinstance(plan, Refused):
            if plan.reason == FUTURE and await self._client_ahead(channel, since):
                return await self.plan(channel, since, epoch)
            return Recovered(bounds.head, bounds.head, plan.reason)
        return Recovered(since, bounds.head, None)

    async def plan_last(self, channel: str, count: int) -> Recovered:
        """Begin with the newest `count` events, or with as many as there are."""
        bounds = await self._bounds(channel)
        return Recovered(max(bounds.floor, bounds.head - count), bounds.head, None)

    async def catch_up(self, channel: str, since: int, to: int, subscriber: CatchingUp) -> int:
        """Send what follows `since`, at the reader's pace, then join the live delivery.

        `to` is how far the channel has come at least. Returns the position at which it joined;
        nothing is left out and nothing comes twice between the two. Raises Unavailable, and
        Trimmed where retention has overtaken it.
        """
        position = since
        while True:
            while position < to:
                page = await subscriber.take(partial(self._page, channel, position))
                position = page.last
            joined = await self._join(channel, subscriber, position)
            if isinstance(joined, Joined):
                return joined.head
            to = joined.head

    @asynccontextmanager
    async def news(self, channel: str) -> AsyncIterator[trio.Event]:
        """An event that is set at the next entry of the channel, for a long poll.

        What happens after the block was entered is not missed: read the state inside it. It is
        set too when the broker drains.
        """
        ear = await self.listen([channel])
        try:
            yield ear.came
        finally:
            await ear.aclose()

    async def listen(self, channels: Sequence[str]) -> Ear:
        """Hear of every entry of these channels from now on; to be closed. It hears too of the
        broker's draining."""
        ear = Ear(self, channels)
        self._ears.add(ear)
        joined = 0
        try:
            for channel in channels:
                await self.join(channel, ear)
                joined += 1
        finally:
            if joined < len(channels):
                ear.channels = channels[:joined]
                await ear.aclose()
        return ear

    def deafen(self, ear: Ear) -> None:
        """It is closed."""
        self._ears.discard(ear)

    async def heads(self) -> dict[str, int]:
        """The newest number of every channel watched here, in one query (E7). Raises
        Unavailable."""
        watched = self.watched()
        try:
            heads = await self._events.log.heads(watched) if watched else {}
        except LogUnavailable as error:
            raise Unavailable(f"{error}; try again shortly") from None
        for channel, head in heads.items():
            self.look(channel, head)
        return heads

    async def _bounds(self, channel: str) -> Bounds:
        try:
            return await self._events.log.bounds(channel)
        except LogUnavailable as error:
            raise Unavailable(f"{error}; try again shortly") from None

    async def _page(self, channel: str, position: int) -> Page:
        try:
            page = await self._pages.read(self.epoch.name, channel, position)
        except LogUnavailable as error:
            raise Unavailable(f"{error}; try again shortly") from None
        # There is more, for this was read because somebody said so: what is missing was removed.
        if not page.pieces or page.first != position + 1:
            raise Trimmed(channel, position)
        return page

    async def _join(
        self, channel: str, subscriber: Subscriber, after: int | None
    ) -> Joined | Behind:
        self._watchers[channel] = self._watchers.get(channel, 0) + 1
        joined: object = None
        try:
            joined = await self._ask(channel, Join(subscriber, after))
        finally:
            if not isinstance(joined, Joined):
                with trio.CancelScope(shield=True):
                    await self.leave(channel, subscriber)
        assert isinstance(joined, Joined | Behind)
        return joined

    async def _ask(self, channel: str, message: object) -> object:
        try:
            return await self._system.ask(Address("channel", channel), message, _JOIN_SECONDS)
        except LogUnavailable as error:
            raise Unavailable(f"{error}; try again shortly") from None
        except MailboxFull:
            raise Overloaded("too many wait for this channel; try again in a moment") from None
        except SystemDraining:
            raise Draining("this broker is shutting down; try again") from None
        except (AskTimeout, TurnAbandoned):
            raise Unavailable("the channel does not answer in time; try again shortly") from None

    def _tell(self, channel: str, message: object) -> None:
        # A full mailbox loses nothing: whatever is told next is ahead, and the gap is read.
        with suppress(MailboxFull, SystemDraining):
            self._system.tell(Address("channel", channel), message)


class Trimmed(Exception):
    """Retention has removed what the subscriber was to read next (E5)."""

    def __init__(self, channel: str, position: int) -> None:
        super().__init__(f"{channel} has not kept what follows {position}")


class Ear:
    """`came` is set by whatever comes; whoever waits again puts a new event in its place first.
    `look_at` is when to look again though nothing comes."""

    def __init__(self, all_: Channels, channels: Sequence[str]) -> None:
        self.came = trio.Event()
        self.look_at = math.inf
        self.channels = channels
        self._all = all_

    async def aclose(self) -> None:
        """Hear of nothing any more; who waits for it waits no longer. Raises nothing: a channel
        that cannot be left now tells an ear that nobody heeds."""
        self.came.set()
        self._all.deafen(self)
        with trio.CancelScope(shield=True):
            for channel in self.channels:
                with suppress(PxError, ActorCrashed, ActorFailing):
                    await self._all.leave(channel, self)

    def put(self, channel: str, entry: Entry, encoded: bytes) -> None:
        self.came.set()

    def put_several(self, channel: str, entries: list[Entry], several: Several) -> None:
        self.came.set()
