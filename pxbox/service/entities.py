"""Entities: who can be asked, and who belongs to which group or role."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from pxbox.behaviors.entity import CreateEntity, EntityDone, SetMember
from pxbox.model import wire
from pxbox.model.entity import COLLECTIVE, Entity
from pxbox.model.errors import InvalidRequest, NotFound
from pxbox.model.ids import as_uuid, new_uuid
from pxbox.model.principal import ADMIN
from pxbox.service.core import Call, Outcome, Parts, ask, once


async def create(parts: Parts, call: Call) -> Outcome:
    """Make an entity; replies `EntityCreated`. Raises AddressTaken."""
    input = call.input
    assert isinstance(input, wire.CreateEntity)
    for name in (input.handle, *input.aliases):
        _check_name(name)
    now = parts.journal.now()
    entity = Entity(
        id=new_uuid(),
        kind=input.kind,
        handle=input.handle,
        created_at=now,
        updated_at=now,
        aliases=tuple(dict.fromkeys(a for a in input.aliases if a != input.handle)),
        meta=Raw(msgspec.json.encode(input.meta)),
        version=1,
    )
    reply = wire.EntityCreated(**_members_of(entity, []), entity_id=entity.id)
    kept = msgspec.json.encode(reply)
    message = CreateEntity(entity, once(call, "createEntity", ""), kept, call.author)
    done = await ask(parts, "entity", entity.id, message)
    assert isinstance(done, EntityDone)
    parts.directory.created(entity)
    return Outcome(done.replay or reply, replayed=done.replay is not None)


async def read(parts: Parts, call: Call) -> Outcome:
    """An entity by any address; replies `EntityView`."""
    input = call.input
    assert isinstance(input, wire.GetEntity)
    entity = await parts.directory.lookup(input.id)
    if entity is None or not _may_see(call, entity):
        raise NotFound("no such entity")
    # Read anew: what the directory knows may be two seconds old.
    current = await parts.views.entity(entity.id)
    assert current is not None, "entities are never removed"
    members = await parts.views.members_of([entity.id])
    return Outcome(wire.EntityView(**_members_of(current, sorted(members))))


async def add_member(parts: Parts, call: Call) -> Outcome:
    return await _set_member(parts, call, present=True)


async def remove_member(parts: Parts, call: Call) -> Outcome:
    return await _set_member(parts, call, present=False)


async def _set_member(parts: Parts, call: Call, present: bool) -> Outcome:
    input = call.input
    assert isinstance(input, wire.Member)
    group = await parts.directory.lookup(input.id)
    member = await parts.directory.lookup(input.member)
    if group is None or member is None:
        raise NotFound("no such entity")
    operation = "addMember" if present else "removeMember"
    reply = wire.Membership(id=group.id, member=member.id, present=present)
    key = once(call, operation, group.id)
    kept = msgspec.json.encode(reply)
    message = SetMember(member, present, call.caller.sub, key, kept, call.author)
    done = await ask(parts, "entity", group.id, message)
    assert isinstance(done, EntityDone)
    parts.directory.membership_changed(member.id)
    return Outcome(done.replay or reply, replayed=done.replay is not None)


def _may_see(call: Call, entity: Entity) -> bool:
    return call.caller.has(ADMIN) or entity.id in call.caller.addresses


def _check_name(name: str) -> None:
    """A handle or an alias must not look like another kind of address."""
    prefix, colon, _ = name.partition(":")
    if as_uuid(name) is not None or (colon and prefix in COLLECTIVE):
        raise InvalidRequest(f"the name {name!r} reads as an id or as a group's address")


def _members_of(entity: Entity, members: list[str]) -> dict[str, Any]:
    return {
        "id": entity.id,
        "kind": entity.kind,
        "handle": entity.handle,
        "address": entity.address,
        "aliases": list(entity.aliases),
        "meta": entity.meta,
        "members": members,
        "version": entity.version,
        "created_at": entity.created_at,
        "updated_at": entity.updated_at,
    }
