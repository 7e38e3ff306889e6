"""Who may watch which channel: the same predicates as for reading what it tells of (X2)."""

from __future__ import annotations

from pxbox.domain import access
from pxbox.model.errors import NotFound
from pxbox.model.ids import as_uuid, is_ulid
from pxbox.model.principal import Principal
from pxbox.service.core import Parts


async def require_may_watch(parts: Parts, principal: Principal, channel: str) -> None:
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
        case _:
            allowed = False
    if not allowed:
        raise NotFound(f"no channel {channel[:128]!r} is visible to this token")
