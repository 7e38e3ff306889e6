"""Who can be asked: people, groups of them, roles, bots."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Raw, Struct


class EntityKind(StrEnum):
    USER = "user"
    GROUP = "group"
    ROLE = "role"
    BOT = "bot"


COLLECTIVE = frozenset({EntityKind.GROUP, EntityKind.ROLE})


class Entity(Struct, frozen=True, rename="camel", omit_defaults=True):
    """One entity. `handle` and each of `aliases` are unique over all entities.

    A group is addressed as `group:<handle>`, a role as `role:<handle>`, a user or a bot by its
    bare handle; each of them by its id and its aliases too.
    """

    id: str
    kind: EntityKind
    handle: str
    created_at: datetime
    updated_at: datetime
    version: int = 0
    aliases: tuple[str, ...] = ()
    meta: Raw = Raw(b"{}")

    @property
    def address(self) -> str:
        return f"{self.kind}:{self.handle}" if self.kind in COLLECTIVE else self.handle
