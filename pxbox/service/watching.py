"""Who may watch which channel: the same predicates as for reading what it tells of (X2)."""

from __future__ import annotations

from collections.abc import Iterable

import trio

from pxbox.domain import access, routing
from pxbox.domain.access import Caller
from pxbox.model.errors import NotFound, PxError
from pxbox.model.ids import as_uuid, is_ulid
from pxbox.model.principal import ADMIN, Principal
from pxbox.ports import Entry
from pxbox.service.core import Parts

_AGAIN_SECONDS = 1.0


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
    """What one connection may watch, and what it no longer may once its memberships change.

    It hears of those on the channel of the entity that the caller acts as, from the first channel
    on that can be lost by them.
    """

    def __init__(self, parts: Parts, principal: Principal) -> None:
        self._parts = parts
        self._principal = principal
        self._entity: str | None = None
        self._changed = trio.Event()

    async def require(self, channel: str) -> bool:
        """Raise NotFound as `require_may_watch` does. True where `lost` is to be called from now
        on."""
        caller = await require_may_watch(self._parts, self._principal, channel)
        if self._entity is not None or caller.entity is None or caller.has(ADMIN):
            return False
        own = routing.entity_channel(caller.entity.id)
        if channel in (own, routing.requestor_channel(caller.sub)):
            return False
        self._entity = caller.entity.id
        try:
            await self._parts.channels.join(own, self)
        except BaseException:
            self._entity = None
            raise
        # What admitted the caller just now may have been two seconds old.
        self._changed.set()
        return True

    async def lost(self, watched: Iterable[str]) -> list[str]:
        """Wait until the caller's memberships change; return what it may no longer watch."""
        await self._changed.wait()
        self._changed = trio.Event()
        assert self._entity is not None
        self._parts.directory.membership_changed(self._entity)
        gone = []
        for channel in list(watched):
            try:
                await require_may_watch(self._parts, self._principal, channel)
            except NotFound:
                gone.append(channel)
            except PxError:
                # It cannot be told now: look again soon.
                self._changed.set()
        if self._changed.is_set():
            await trio.sleep(_AGAIN_SECONDS)
        return gone

    def put(self, channel: str, entry: Entry, encoded: bytes) -> None:
        """Take an event of the caller's own channel, as a subscriber does."""
        if b'"type":"membership.' in entry.data:
            self._changed.set()

    async def close(self) -> None:
        """Hear of nothing any more."""
        if self._entity is not None:
            await self._parts.channels.leave(routing.entity_channel(self._entity), self)
