"""`px.inbox(...)`: what waits for an entity, as a list that stays right by itself (E6)."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
from msgspec import Struct

from pxbox.client import timing
from pxbox.client.errors import NotFound, PxBoxError
from pxbox.client.events import Event, Gap, InboxEvent, MembershipEvent, Position, RequestEvent
from pxbox.client.retry import Backoff
from pxbox.client.waits import until_live
from pxbox.client.watch import Watch
from pxbox.model import wire
from pxbox.model.entity import COLLECTIVE
from pxbox.model.request import OPEN, Status

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox

PAGE_ITEMS = 200
READS_AT_ONCE = 8


class ChangeKind(StrEnum):
    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


class Change(Struct, frozen=True):
    """One difference of the list. `item` is as it is now, with its marks; a removed one, as it was
    last seen."""

    kind: ChangeKind
    item: wire.Inquiry


class Dirty:
    """Ids to read again, each by one reader at a time: what was read last is the newest."""

    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._reading: set[str] = set()
        self._news = anyio.Event()

    def add(self, id: str) -> None:
        """It has changed, or may have."""
        self._waiting[id] = None
        self._tell()

    async def next(self) -> str:
        """One that nobody reads just now; `done` with it afterwards."""
        while True:
            for id in self._waiting:
                if id not in self._reading:
                    del self._waiting[id]
                    self._reading.add(id)
                    return id
            await self._news.wait()

    def done(self, id: str) -> None:
        self._reading.discard(id)
        if id in self._waiting:
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


class Inbox:
    """Open requests addressed to an entity, directly or through its groups and roles, but for what
    the client's own entity has snoozed or deleted.

    Inside `async with`, `items` is the list now, earliest deadline first; iterating gives each
    Change, from the moment the block began. Who wants the list only need not iterate.
    """

    def __init__(self, px: AsyncPxBox, entity: str) -> None:
        self._px = px
        self._entity = entity
        self._entity_id = ""
        # A person's list has what their groups are asked, unless one entity alone is asked for.
        self._only: str | None = None
        self._unsettled = False
        self._items: dict[str, wire.Inquiry] = {}
        # What iterating has told of, and what may differ from that now.
        self._shown: dict[str, wire.Inquiry] = {}
        self._touched: dict[str, None] = {}
        self._positions: dict[str, int] = {}
        self._epoch = ""
        self._stale = anyio.Event()
        self._scope: anyio.CancelScope | None = None
        self._stopped = anyio.Event()
        self._news = anyio.Event()
        self._failure: PxBoxError | None = None

    @property
    def items(self) -> list[wire.Inquiry]:
        """The list now, earliest deadline first, then the oldest."""
        return sorted(self._items.values(), key=_rank)

    async def __aenter__(self) -> Self:
        entity = await self._px.entities.get(self._entity)
        self._entity_id = entity.id
        self._only = entity.id if entity.kind in COLLECTIVE else None
        await self._reload()
        if f"entity:{entity.id}" not in self._positions:
            # It is not the one that the caller acts as: then it is asked for by its id.
            self._only = entity.id
            await self._reload()
        self._shown = dict(self._items)
        self._touched.clear()
        self._scope = anyio.CancelScope()
        self._px.link.start(self._run)
        return self

    async def __aexit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._scope is not None:
            self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._stopped.wait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        while True:
            while self._touched:
                change = self._difference(next(iter(self._touched)))
                if change is not None:
                    return change
            if self._failure is not None:
                raise self._failure
            await self._news.wait()

    def _difference(self, id: str) -> Change | None:
        """What has become of it since it was last told of."""
        del self._touched[id]
        shown, now = self._shown.pop(id, None), self._items.get(id)
        if now is None:
            return None if shown is None else Change(ChangeKind.REMOVED, shown)
        self._shown[id] = now
        if shown is not None and _told(shown) == _told(now):
            return None
        return Change(ChangeKind.ADDED if shown is None else ChangeKind.CHANGED, now)

    async def _run(self) -> None:
        assert self._scope is not None
        backoff = Backoff()
        try:
            with self._scope:
                while self._failure is None:
                    try:
                        await self._follow()
                        await self._reload()
                        backoff.reset()
                    except PxBoxError as error:
                        if error.retryable:
                            await anyio.sleep(backoff.next())
                        else:
                            self._failure = error
                            self._tell()
        finally:
            self._stopped.set()

    async def _reload(self) -> None:
        """Read the list, and where its channels stood before it was read."""
        self._positions = {}
        found: dict[str, wire.Inquiry] = {}
        for status in (Status.PENDING, Status.CLAIMED):
            async for page in self._pages(status):
                if not self._positions:
                    self._epoch, self._positions = page.epoch, page.positions
                for item in page.items:
                    if item.id not in found or found[item.id].version < item.version:
                        found[item.id] = item
        for id in self._items.keys() - found.keys():
            self._drop(id)
        for item in found.values():
            self._keep(item)

    async def _pages(self, status: Status) -> AsyncIterator[wire.InquiryPage]:
        cursor: str | None = None
        while True:
            page = await self._px.inquiries(
                entity=self._only, status=status, limit=PAGE_ITEMS, cursor=cursor
            )
            yield page
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _follow(self) -> None:
        """Keep the list right by events; return when it has to be read anew."""
        link = self._px.link
        if await link.main.wait_connection() is None:
            await anyio.sleep(timing.RELOAD_SECONDS * random.uniform(0.8, 1.2))
            return
        self._stale = anyio.Event()
        dirty = Dirty()
        watches = [
            Watch(link, channel, Position(self._epoch, seq), None)
            for channel, seq in self._positions.items()
        ]
        async with anyio.create_task_group() as group:
            for watch in watches:
                group.start_soon(watch.run)
                group.start_soon(self._hear, watch, dirty)
                group.start_soon(self._stay, watch)
            for _ in range(READS_AT_ONCE):
                group.start_soon(self._read, dirty)
            if self._unsettled:
                group.start_soon(self._settle)
            await self._stale.wait()
            group.cancel_scope.cancel()

    async def _hear(self, watch: Watch, dirty: Dirty) -> None:
        # Where the right to watch the channel is gone, the list goes by fewer of them.
        with suppress(PxBoxError):
            while True:
                item = await watch.take_next()
                if isinstance(item, RequestEvent | InboxEvent):
                    dirty.add(item.request_id)
                elif self._is_about_channels(item):
                    break
        self._stale.set()

    def _is_about_channels(self, item: Event | Gap) -> bool:
        """Has the entity another set of channels, or was something missed?"""
        if isinstance(item, MembershipEvent):
            self._unsettled = self._unsettled or item.entity_id == self._entity_id
            return item.entity_id == self._entity_id
        return isinstance(item, Gap)

    async def _settle(self) -> None:
        """Brokers may go by memberships as they were for moments: then it is read once more."""
        await anyio.sleep(timing.MEMBERSHIP_SECONDS)
        self._unsettled = False
        self._stale.set()

    async def _stay(self, watch: Watch) -> None:
        """Where the channel stays away for a while, the list is read without it."""
        while watch.live or not await self._is_away(watch):
            await watch.wait_news()
        self._stale.set()

    async def _is_away(self, watch: Watch) -> bool:
        with anyio.move_on_after(timing.AWAY_SECONDS):
            await until_live(watch)
        return not watch.live

    async def _read(self, dirty: Dirty) -> None:
        """Read what events have told of: they carry no whole row, and no right to see one."""
        while True:
            id = await dirty.next()
            try:
                item = await self._px.carry_out("getRequest", {"id": id}, _Read)
            except NotFound:
                self._drop(id)
            except PxBoxError:
                self._stale.set()
                return
            else:
                if item.status in OPEN and item.in_sight:
                    self._keep(item.as_listed())
                else:
                    self._drop(id)
            finally:
                dirty.done(id)

    def _keep(self, item: wire.Inquiry) -> None:
        known = self._items.get(item.id)
        # Marks change without the request: what was read last is the newest.
        if known is None or (known.version <= item.version and _told(known) != _told(item)):
            self._items[item.id] = item
            self._touched[item.id] = None
            self._tell()

    def _drop(self, id: str) -> None:
        if self._items.pop(id, None) is not None:
            if id in self._shown:
                self._touched[id] = None
            else:
                # Come and gone before anybody was told of it.
                self._touched.pop(id, None)
            self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()


# As much of it as lists have.
_WHY_CHARACTERS = 200


class _Read(wire.RequestSummary):
    """What is read of a request: its row in a list, and the marks."""

    inquiry: wire.InquiryState | None = None
    why: str | None = None

    @property
    def in_sight(self) -> bool:
        mark = self.inquiry
        if mark is None:
            return True
        snoozed = mark.snoozed_until is not None and mark.snoozed_until > datetime.now(UTC)
        return not (mark.deleted or snoozed)

    def as_listed(self) -> wire.Inquiry:
        mark = self.inquiry
        row = {name: getattr(self, name) for name in wire.RequestSummary.__struct_fields__}
        return wire.Inquiry(
            **row,
            read=mark is not None and mark.read,
            snoozed_until=None if mark is None else mark.snoozed_until,
            deleted=mark is not None and mark.deleted,
            why=None if self.why is None else self.why[:_WHY_CHARACTERS],
        )


def _told(item: wire.Inquiry) -> tuple[int, bool]:
    """What iterating tells of."""
    return item.version, item.read


def _rank(item: wire.Inquiry) -> tuple[bool, datetime, str]:
    return (item.deadline_at is None, item.deadline_at or item.created_at, item.id)
