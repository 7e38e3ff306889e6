"""Who may watch which channel: the same predicates as for reading what it tells of (X2)."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from pxbox.domain import access, routing
from pxbox.domain.access import Caller
from pxbox.model.channel import Several
from pxbox.model.errors import NotFound, PxError
from pxbox.model.ids import as_uuid, is_ulid
from pxbox.model.principal import ADMIN, Principal
from pxbox.ports import Entry
from pxbox.service.core import Parts

_AGAIN_SECONDS = 1.0
# After these a request may be none of those's who were asked until then. The type is the second
# member of an event, behind its id.
_HANDED_ON = (
    b'"type":"request.reassigned"', b'"type":"request.escalated"', b'"type":"request.declined"',
)  # fmt: skip
_HEAD_BYTES = 128


async def require_may_watch(parts: Parts, principal: Principal, channel: str) -> Caller:
    """Raise NotFound for a channel that is unknown or not for this caller: the two are one."""
    kind, _, name = channel.partition(":")
    caller = await parts.directory.caller(principal)
    match kind:
        case "request" if is_ulid(name):
            request = await parts.views.request(name)
            allowed = request is not None and access.may_see(caller, request)
        case "requestor" if name:
            allowed = access.may_watch_requestor(caller, name)
        case "entity" if as_uuid(name) == name:
            allowed = access.may_act_for(caller, name) and (
                await parts.directory.lookup(name) is not None
            )
        case "flow" if is_ulid(name):
            flow = await parts.flows.flow(name)
            allowed = flow is not None and access.may_see_flow(caller, flow)
        case "work" if name:
            allowed = access.may_work(caller, name)
        case _:
            allowed = False
    if not allowed:
        raise not_visible(channel)
    return caller


def not_visible(channel: str) -> NotFound:
    """What is told of a channel that is unknown, or not for this caller."""
    return NotFound(f"no channel {channel[:128]!r} is visible to this token")


class Watching:
    """What one connection may watch, and what it no longer may once its token or its memberships
    change.

    It hears of memberships on the channel of the entity that the caller acts as, from the first
    channel on that can be lost by them.
    """

    __slots__ = ("_change", "_changed", "_entity", "_following", "_parts", "_principal")

    def __init__(self, parts: Parts, principal: Principal) -> None:
        self._parts = parts
        self._principal = principal
        self._entity: str | None = None
        self._following: trio.Lock | None = None
        self._changed = False
        self._change: trio.Event | None = None  # where somebody waits for one

    @property
    def may_lose(self) -> bool:
        """Whether `lost` is to be asked from now on: what is watched can be lost."""
        return self._entity is not None or self._changed

    def renew(self, principal: Principal) -> None:
        """Judge by this principal from now on; `lost` says what that ends."""
        self._principal = principal
        self._note_change()

    def hear(self, entry: Entry) -> None:
        """Take an event of a request that is watched: it may be others' now (X2)."""
        head = entry.data[:_HEAD_BYTES]
        if any(type in head for type in _HANDED_ON):
            self._note_change()

    async def require(self, channel: str) -> None:
        """Raise NotFound as `require_may_watch` does.

        What is added to the channels watched before the next checkpoint is judged by `lost` when
        anything changes after this.
        """
        while True:
            principal = self._principal
            caller = await require_may_watch(self._parts, principal, channel)
            await self._follow(caller, channel)
            if self._principal is principal:
                return

    async def lost(self, watched: Iterable[str]) -> list[str]:
        """Wait until the caller's token or memberships change; return what it may no longer
        watch."""
        if not self._changed:
            self._change = trio.Event()
            await self._change.wait()
            self._change = None
        self._changed = False
        if self._entity is not None:
            self._parts.directory.membership_changed(self._entity)
        gone = []
        for channel in list(watched):
            try:
                await self.require(channel)
            except NotFound:
                gone.append(channel)
            except PxError:
                # It cannot be told now: look again soon.
                self._note_change()
        if self._changed:
            await trio.sleep(_AGAIN_SECONDS)
        return gone

    def put(self, channel: str, entry: Entry, encoded: bytes) -> None:
        """Take an event of the caller's own channel, as a subscriber does."""
        if b'"type":"membership.' in entry.data:
            self._note_change()

    def put_several(self, channel: str, entries: list[Entry], several: Several) -> None:
        """The same of several events."""
        if any(b'"type":"membership.' in entry.data for entry in entries):
            self._note_change()

    async def close(self) -> None:
        """Hear of nothing any more."""
        if self._entity is not None:
            await self._parts.channels.leave(routing.entity_channel(self._entity), self)

    def _note_change(self) -> None:
        self._changed = True
        if self._change is not None:
            self._change.set()

    async def _follow(self, caller: Caller, channel: str) -> None:
        """Hear of the memberships of whom the caller acts as, where `channel` depends on them."""
        entity = None if caller.entity is None or caller.has(ADMIN) else caller.entity.id
        if entity == self._entity or (self._entity is None and not _depends(caller, channel)):
            return
        if self._following is None:
            self._following = trio.Lock()
        async with self._following:
            if entity == self._entity or caller.principal is not self._principal:
                return
            await self.close()
            self._entity = None
            if entity is None:
                return
            await self._parts.channels.join(routing.entity_channel(entity), self)
            self._entity = entity
            # What admitted the caller just now may have been two seconds old.
            self._note_change()


def _depends(caller: Caller, channel: str) -> bool:
    """Whether the caller may watch the channel only as long as its memberships are as they are."""
    if caller.entity is None or caller.has(ADMIN):
        return False
    own = routing.entity_channel(caller.entity.id)
    return channel not in (own, routing.requestor_channel(caller.sub))
