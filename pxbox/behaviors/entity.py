"""The actor of one entity: its making, and who its members are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

import msgspec
from msgspec import Raw
from msgspec.structs import replace as replaced

from actors.journal import Commit, Committed, Event, Journal, Key, Link, Row, Unlink
from pxbox.behaviors.durable import (
    ATTEMPTS,
    IDEMPOTENCY,
    KeyHolders,
    Once,
    Stale,
    contended,
    load,
    submit,
)
from pxbox.behaviors.trail import trail_row
from pxbox.domain.routing import MembershipData, entity_channel, membership_event
from pxbox.model.entity import COLLECTIVE, Entity
from pxbox.model.errors import AddressTaken, InvalidRequest, NotFound
from pxbox.model.trail import Author

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Entity).decode


@dataclass(frozen=True, slots=True)
class CreateEntity:
    """`reply` is what is kept under the idempotency key."""

    entity: Entity
    once: Once | None
    reply: bytes
    author: Author | None = None


@dataclass(frozen=True, slots=True)
class SetMember:
    """Make `member` one of the group's members, or (`present` false) none of them.

    `reply` is what is kept under the idempotency key.
    """

    member: Entity
    present: bool
    by: str
    once: Once | None
    reply: bytes
    author: Author | None = None


@dataclass(frozen=True, slots=True)
class EraseEntity:
    """Replace the names and the meta of a user or bot. Its old names are free once they are erased
    beside this."""

    author: Author


@dataclass(frozen=True, slots=True)
class EntityDone:
    entity: Entity
    replay: Raw | None = None


class Members(KeyHolders, Protocol):
    """Reads who belongs to these groups now."""

    async def members_of(self, group_ids: Sequence[str]) -> frozenset[str]: ...


class EntityActor:
    """One entity. It changes seldom, so it remembers nothing: each command reads its row anew."""

    def __init__(self, id: str, journal: Journal, views: Members) -> None:
        self._id = id
        self._journal = journal
        self._views = views

    async def receive(self, message: object) -> EntityDone:
        """Handle `CreateEntity`, `SetMember` or `EraseEntity`.

        Raises AddressTaken, InvalidRequest, NotFound, IdempotencyKeyReused, Contended, and what
        `durable.submit` raises.
        """
        for _ in range(ATTEMPTS):
            try:
                match message:
                    case CreateEntity():
                        return await self._create(message)
                    case SetMember():
                        return await self._set_member(message)
                    case EraseEntity():
                        return await self._erase(message)
                raise TypeError(f"no such message: {message!r}")
            except Stale:
                continue
        raise contended()

    async def _create(self, message: CreateEntity) -> EntityDone:
        entity = replaced(message.entity, version=1)
        keys = [
            Key("address", address, {"entityId": entity.id})
            for address in (entity.handle, *entity.aliases)
        ]
        if message.once is not None:
            keys.append(message.once.reservation(message.reply))
        made_by = _trail(entity.id, 1, "entity.created", message.author)
        commit = Commit(id=uuid4(), rows=(_row(entity), made_by), keys=tuple(keys))
        result = await submit(self._journal, commit)
        if isinstance(result, Committed):
            return EntityDone(entity)
        return await self._lost(message)

    async def _lost(self, message: CreateEntity) -> EntityDone:
        """Tell a repeat of this very command from a name that another entity has."""
        replayed = await self._replayed(message.once, message.entity)
        if replayed is not None:
            return replayed
        for address in (message.entity.handle, *message.entity.aliases):
            if await self._views.key_holder("address", address) is not None:
                raise AddressTaken(f"another entity has the address {address!r}", address=address)
        raise Stale

    async def _replayed(self, once: Once | None, entity: Entity) -> EntityDone | None:
        """What the key has got already, if there is a key and it has."""
        held = None if once is None else await self._views.key_holder(IDEMPOTENCY, once.key)
        return None if once is None or held is None else EntityDone(entity, once.replay(held))

    async def _set_member(self, message: SetMember) -> EntityDone:
        group = await self._load()
        if group.kind not in COLLECTIVE:
            raise InvalidRequest(f"{group.address!r} is a {group.kind}, which has no members")
        if message.member.kind in COLLECTIVE:
            raise InvalidRequest(
                f"{message.member.address!r} is a {message.member.kind}; groups do not nest"
            )
        # Membership changes only with the group's version, which guards what is decided here.
        is_now = message.member.id in await self._views.members_of([self._id])
        if message.present is not is_now:
            return await self._commit_member(group, message)
        return await self._replayed(message.once, group) or EntityDone(group)

    async def _commit_member(self, group: Entity, message: SetMember) -> EntityDone:
        now = self._journal.now()
        after = replaced(group, version=group.version + 1, updated_at=now)
        change = Link if message.present else Unlink
        event = MembershipData(
            f"{group.id}.{after.version}.0",
            "membership.added" if message.present else "membership.removed",
            message.member.id, group.id, after.version, now, message.by,
        )  # fmt: skip
        channels = (entity_channel(message.member.id),)
        commit = Commit(
            id=uuid4(),
            rows=(
                _row(after),
                _trail(
                    group.id, after.version, event.type, message.author, member=message.member.id
                ),
                # The member's own trail has it too; its own version has not changed.
                _trail(
                    message.member.id, after.version, event.type, message.author, group=group.id
                ),
            ),
            links=(change("member", group.id, message.member.id),),
            keys=() if message.once is None else (message.once.reservation(message.reply),),
            events=(Event(event.id, channels, membership_event(event)),),
        )
        result = await submit(self._journal, commit)
        if isinstance(result, Committed):
            return EntityDone(after)
        replayed = await self._replayed(message.once, group) if result.guard == "key" else None
        if replayed is None:
            raise Stale
        return replayed

    async def _erase(self, message: EraseEntity) -> EntityDone:
        entity = await self._load()
        handle = f"erased-{entity.id}"
        if entity.handle == handle:
            return EntityDone(entity)
        after = replaced(
            entity,
            version=entity.version + 1,
            updated_at=self._journal.now(),
            handle=handle,
            aliases=(),
            meta=Raw(b"{}"),
        )
        commit = Commit(
            id=uuid4(),
            rows=(
                _row(after),
                _trail(entity.id, after.version, "entity.erased", message.author),
            ),
            keys=(Key("address", handle, {"entityId": entity.id}),),
        )
        if isinstance(await submit(self._journal, commit), Committed):
            return EntityDone(after)
        raise Stale

    async def _load(self) -> Entity:
        row = await load(self._journal, "entity", self._id)
        if row is None:
            raise NotFound("no such entity")
        state = row["state"]
        assert isinstance(state, str)
        return _decode(state)


def _trail(subject: str, version: int, type: str, author: Author | None, **detail: str) -> Row:
    return trail_row(subject, version, type, author.client if author else None, author, **detail)


def _row(entity: Entity) -> Row:
    return Row("entity", entity.id, entity.version, {"state": _encode(entity).decode()})
