"""Entities and their members."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Raw, field

from pxbox.model.entity import EntityKind
from pxbox.model.wire.base import Input, Reply, Text


class CreateEntity(Input):
    kind: EntityKind
    handle: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]
    aliases: Annotated[list[Text], Meta(max_length=16)] = field(default_factory=list)
    meta: dict[str, Any] = field(default_factory=dict)


class GetEntity(Input):
    """`id` is an id, a handle, or any other address."""

    id: str


class Member(Input):
    """`id` names the group or role, `member` the user or bot; both by any address."""

    id: str
    member: str


class EntityView(Reply):
    id: str
    kind: EntityKind
    handle: str
    address: str
    aliases: list[str]
    meta: Raw
    members: list[str]
    version: int
    created_at: datetime
    updated_at: datetime


class EntityCreated(EntityView):
    entity_id: str


class Membership(Reply):
    """Whether `member` is one of the members of `id` now; both are entity ids."""

    id: str
    member: str
    present: bool
