"""Entities: who can be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pxbox.model import wire
from pxbox.model.entity import EntityKind

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox


class Entities:
    """Every operation on entities. Each takes addresses: ids, handles, `group:h`, aliases."""

    def __init__(self, px: AsyncPxBox) -> None:
        self._px = px

    async def create(
        self,
        kind: EntityKind | str,
        handle: str,
        *,
        aliases: Sequence[str] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> wire.EntityCreated:
        """Make one of kind `user`, `bot`, `group` or `role`. Raises Conflict where the handle or an
        alias is somebody's."""
        input = {
            "kind": str(kind), "handle": handle, "aliases": list(aliases), "meta": meta or {},
        }  # fmt: skip
        return await self._px.carry_out("createEntity", input, wire.EntityCreated)

    async def get(self, address: str) -> wire.EntityView:
        """The entity with its members. Raises NotFound."""
        return await self._px.carry_out("getEntity", {"id": address}, wire.EntityView)

    async def add_member(self, group: str, member: str) -> wire.Membership:
        """Have a user or bot be a member of a group or role; also if it is one already."""
        input = {"id": group, "member": member}
        return await self._px.carry_out("addMember", input, wire.Membership)

    async def remove_member(self, group: str, member: str) -> wire.Membership:
        """Have it be a member no more; also if it is none."""
        input = {"id": group, "member": member}
        return await self._px.carry_out("removeMember", input, wire.Membership)
