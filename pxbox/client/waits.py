"""Waiting for answers: one watched channel for all requests of a client, or long polls."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec

from pxbox.client import timing
from pxbox.client.errors import Conflict, Forbidden, NotFound, PxBoxError
from pxbox.client.events import Gap, RequestEvent
from pxbox.client.rest import Prefer
from pxbox.client.stream import Running
from pxbox.client.watch import Watch
from pxbox.model import wire

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox
    from pxbox.client.requests import Answer, RequestHandle

T = TypeVar("T")


class Shared:
    """A channel watched for several waits; it tells those whose request was closed."""

    def __init__(self, watch: Watch) -> None:
        self._waiting: dict[str, set[anyio.Event]] = {}
        self.watch = watch

    @property
    def idle(self) -> bool:
        return not self._waiting

    def expect(self, request_id: str) -> anyio.Event:
        """Set once the request may have been closed."""
        news = anyio.Event()
        self._waiting.setdefault(request_id, set()).add(news)
        return news

    def forget(self, request_id: str, news: anyio.Event) -> None:
        waiting = self._waiting[request_id]
        waiting.discard(news)
        if not waiting:
            del self._waiting[request_id]

    async def run(self) -> None:
        """Pass on what comes, until the channel may not be watched."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._pass_on)
            await self._until_over()
            group.cancel_scope.cancel()
        self._tell(*self._waiting)

    async def _pass_on(self) -> None:
        with suppress(PxBoxError):
            while True:
                item = await self.watch.take_next()
                if isinstance(item, Gap):
                    self._tell(*self._waiting)
                elif isinstance(item, RequestEvent) and item.closes:
                    self._tell(item.request_id)

    async def _until_over(self) -> None:
        """Where the channel stays away for a while, those who wait look by themselves."""
        while self.watch.failure is None:
            await self.watch.wait_news()
            if not self.watch.live:
                with anyio.move_on_after(timing.FIRST_SECONDS):
                    await until_live(self.watch)
                if not self.watch.live:
                    self._tell(*self._waiting)

    def _tell(self, *request_ids: str) -> None:
        for id in request_ids:
            for news in self._waiting.get(id, ()):
                news.set()


class Waits:
    """Waits for the end of requests, for as long as it takes.

    All requests that one client (`sub`) made are told of on one channel, so any number of waits
    costs one subscription, which is kept until the client is closed. Another's request is watched
    by itself.
    """

    def __init__(self, px: AsyncPxBox) -> None:
        self._px = px
        self._shared: dict[str, tuple[Shared, Running]] = {}

    async def answer(self, handle: RequestHandle[T]) -> Answer[T]:
        """The answer. Raises Declined, Cancelled, Expired."""
        channel = f"requestor:{handle.request.requestor}"
        while True:
            if self._px.link.main.blocked:
                response = await self._look(handle, live=False)
            else:
                shared = self._watched(channel)
                response = await self._watching(handle, channel, shared)
                if isinstance(shared.watch.failure, NotFound | Forbidden):
                    # Somebody else made it.
                    channel = f"request:{handle.id}"
            if response is not None:
                return handle.read(response)

    async def _watching(
        self, handle: RequestHandle[T], channel: str, shared: Shared
    ) -> wire.Response | None:
        """The answer; None where it is time to look at everything again."""
        news = shared.expect(handle.id)
        try:
            with anyio.move_on_after(timing.FIRST_SECONDS):
                await until_live(shared.watch)
            live = shared.watch.live
            response = await self._look(handle, live)
            if response is None and live:
                await news.wait()
            return response
        finally:
            shared.forget(handle.id, news)
            await self._release(channel)

    async def _look(self, handle: RequestHandle[T], live: bool) -> wire.Response | None:
        """The answer if there is one; without a live channel, wait a while for it."""
        link = self._px.link
        data = msgspec.json.encode({"id": handle.id})

        async def once() -> bytes:
            if live:
                return await link.once("getResponse", data, None)
            return await link.rest("getResponse", data, None, Prefer(timing.POLL_SECONDS))

        try:
            body = await link.persist(once, math.inf)
        except NotFound as error:
            if error.code == "not_answered":
                return None
            raise
        except Conflict:
            return await self._px.requests.response(handle.id)
        return msgspec.json.decode(body, type=wire.Response)

    def _watched(self, channel: str) -> Shared:
        found = self._shared.get(channel)
        if found is not None:
            return found[0]
        shared = Shared(Watch(self._px.link, channel, None, None))
        running = Running(self._px.link, shared.watch)
        running.start()
        self._px.link.start(shared.run)
        self._shared[channel] = (shared, running)
        return shared

    async def _release(self, channel: str) -> None:
        """Leave a channel that nobody waits on, but for the client's own; forget one that ended."""
        shared, running = self._shared.get(channel, (None, None))
        if shared is None or running is None or not shared.idle:
            return
        if shared.watch.failure is not None or channel.startswith("request:"):
            del self._shared[channel]
            await running.stop()


async def until_live(watch: Watch) -> None:
    """Return when the channel is watched, or never will be."""
    while not watch.live and watch.failure is None:
        await watch.wait_news()
