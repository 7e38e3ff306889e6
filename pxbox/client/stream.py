"""`px.events(...)`: a channel as an async iterator."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio

from pxbox.client.errors import Unreachable
from pxbox.client.events import Event, Gap, Position
from pxbox.client.watch import Watch

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox
    from pxbox.client.link import Link


class Running:
    """A watch that goes on in the background of its client while the block lasts."""

    def __init__(self, link: Link, watch: Watch) -> None:
        self._link = link
        self._scope = anyio.CancelScope()
        self._stopped = anyio.Event()
        self.watch = watch

    def start(self) -> None:
        self._link.start(self._run)

    async def stop(self) -> None:
        """End it; the broker is told, where that is possible within moments."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._stopped.wait()

    async def _run(self) -> None:
        try:
            with self._scope:
                await self.watch.run()
        finally:
            self._stopped.set()


class EventStream:
    """Iterate over it inside `async with`: events and gaps, in order, for ever.

    Entering raises NotFound where the channel may not be watched, and Unreachable where the broker
    is not there within the client's patience. From then on lost connections are made again and
    resumed by themselves, for ever; NotFound comes where the right to watch is lost.
    """

    def __init__(
        self, px: AsyncPxBox, channel: str, since: Position | int | None, session: str | None
    ) -> None:
        self._px = px
        self._channel = channel
        self._since = since
        self._session = session
        self._running: Running | None = None

    async def __aenter__(self) -> Self:
        channel = await channel_of(self._px, self._channel)
        watch = Watch(self._px.link, channel, self._since, self._session)
        self._running = Running(self._px.link, watch)
        self._running.start()
        try:
            await self._until_started(watch)
        except BaseException:
            await self._running.stop()
            raise
        return self

    async def _until_started(self, watch: Watch) -> None:
        """Events from now on means from before the block begins."""
        link = self._px.link
        with anyio.move_on_after(link.patience):
            while not watch.started and watch.failure is None:
                await watch.wait_news()
        if watch.failure is not None:
            raise watch.failure
        if not watch.started:
            raise link.main.failure or Unreachable(f"no answer from {link.url}", retryable=True)

    async def __aexit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._running is not None:
            await self._running.stop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Gap:
        return await self.watch.take_next()

    def ack(self, item: Event | Gap) -> None:
        """Everything up to this one was dealt with.

        With a session name the broker keeps that, and the next stream of the session, in whatever
        process, goes on from there.
        """
        self.watch.acknowledge(item.position)

    @property
    def channel(self) -> str:
        """The channel's full name, with the id of its entity."""
        return self.watch.channel

    @property
    def watch(self) -> Watch:
        """What goes on behind it."""
        assert self._running is not None, "a stream is used inside `async with`"
        return self._running.watch


async def channel_of(px: AsyncPxBox, name: str) -> str:
    """The channel meant: `entity:` takes any address of the entity. Raises NotFound."""
    kind, _, address = name.partition(":")
    return name if kind != "entity" else f"entity:{await px.entity_id(address)}"
