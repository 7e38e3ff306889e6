"""One entity's actor: names that only one may have, and members (S2, S7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import trio
from trio.testing import MockClock

from actors import Address, System, open_system
from actors.journal import OutcomeUnknown as CommitUnknown
from actors.memory_journal import MemoryJournal
from actors.testing import Point, StagedJournal, virtual_now
from pxbox.behaviors.durable import ATTEMPTS, Once
from pxbox.behaviors.entity import CreateEntity, EntityActor, EntityDone, SetMember
from pxbox.model.entity import Entity, EntityKind
from pxbox.model.errors import (
    AddressTaken,
    Contended,
    IdempotencyKeyReused,
    InvalidRequest,
    NotFound,
    OutcomeUnknown,
    PxError,
)

ONCE = Once("key", "body")
PATIENCE_SECONDS = 10.0


@dataclass
class Names:
    """Reads keys and members as they stand in the journal."""

    memory: MemoryJournal

    async def key_holder(self, space: str, key: str) -> Mapping[str, object] | None:
        return self.memory.held(space, key)

    async def members_of(self, group_ids: Sequence[str]) -> frozenset[str]:
        await trio.lowlevel.checkpoint()
        return frozenset(
            member for group in group_ids for member in self.memory.links("member", group)
        )


@dataclass
class Process:
    system: System
    journal: StagedJournal

    async def create(self, entity: Entity, once: Once | None = None) -> EntityDone:
        message = CreateEntity(entity, once, msgspec.json.encode({"entityId": entity.id}))
        return await self._ask(entity.id, message)

    async def set_member(self, group: str, member: Entity, present: bool = True) -> Entity:
        return (await self.set_once(group, member, present, None)).entity

    async def set_once(
        self, group: str, member: Entity, present: bool, once: Once | None
    ) -> EntityDone:
        reply = msgspec.json.encode({"present": present})
        return await self._ask(group, SetMember(member, present, "admin", once, reply))

    async def _ask(self, id: str, message: object) -> EntityDone:
        done = await self.system.ask(Address("entity", id), message, PATIENCE_SECONDS)
        assert isinstance(done, EntityDone)
        return done


@asynccontextmanager
async def process(memory: MemoryJournal) -> AsyncIterator[Process]:
    journal, names = StagedJournal(memory), Names(memory)
    async with open_system() as system:
        system.register("entity", lambda a: EntityActor(a.id, journal, names), refusals=(PxError,))
        yield Process(system, journal)


def entity(id: str, kind: EntityKind = EntityKind.USER, *aliases: str) -> Entity:
    now = virtual_now()
    return Entity(id, kind, f"handle-of-{id}", now, now, aliases=aliases)


def told(memory: MemoryJournal, channel: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(event.data) for _, event in memory.events(channel)]


async def test_an_entity_is_made_with_its_names(autojump_clock: MockClock) -> None:
    memory = MemoryJournal(virtual_now)
    async with process(memory) as here:
        done = await here.create(entity("ada", EntityKind.USER, "mailto:ada@example.org"))
        assert done.entity.version == 1
        for name in ("handle-of-ada", "mailto:ada@example.org"):
            assert memory.held("address", name) == {"entityId": "ada"}


@pytest.mark.parametrize("name", ["handle-of-ada", "mailto:ada@example.org"])
async def test_a_name_that_another_has_is_refused_and_nothing_is_kept(
    autojump_clock: MockClock, name: str
) -> None:
    memory = MemoryJournal(virtual_now)
    async with process(memory) as here:
        await here.create(entity("ada", EntityKind.USER, "mailto:ada@example.org"))
        with pytest.raises(AddressTaken) as refusal:
            await here.create(entity("bob", EntityKind.USER, "mailto:bob@example.org", name), ONCE)
        assert refusal.value.members == {"address": name}
        assert await memory.load("entity", "bob") is None
        assert memory.held("address", "mailto:bob@example.org") is None
        assert memory.held("idempotency", "key") is None


async def test_a_repeated_making_gets_the_first_reply(autojump_clock: MockClock) -> None:
    memory = MemoryJournal(virtual_now)
    async with process(memory) as here:
        await here.create(entity("ada"), ONCE)
        again = await here.create(msgspec.structs.replace(entity("ada"), id="other"), ONCE)
        assert again.replay is not None
        assert bytes(again.replay) == b'{"entityId":"ada"}'
        assert await memory.load("entity", "other") is None
        with pytest.raises(IdempotencyKeyReused):
            await here.create(entity("bob"), Once("key", "another body"))


async def test_a_repeated_change_of_members_gets_the_first_reply_and_changes_nothing(
    autojump_clock: MockClock,
) -> None:
    """S7: also where somebody else has undone it meanwhile."""
    memory = MemoryJournal(virtual_now)
    async with process(memory) as here:
        await here.create(entity("group", EntityKind.GROUP))
        ada = entity("ada")
        assert (await here.set_once("group", ada, True, ONCE)).replay is None
        again = await here.set_once("group", ada, True, ONCE)
        await here.set_member("group", ada, present=False)
        undone = await here.set_once("group", ada, True, ONCE)
        for done in (again, undone):
            assert done.replay is not None
            assert bytes(done.replay) == b'{"present":true}'
        assert memory.links("member", "group") == []
        with pytest.raises(IdempotencyKeyReused):
            await here.set_once("group", entity("bob"), True, Once("key", "another body"))


async def test_a_making_whose_outcome_was_lost_can_be_repeated(
    autojump_clock: MockClock,
) -> None:
    memory = MemoryJournal(virtual_now)
    async with process(memory) as here:
        here.journal.fail(Point.AFTER_COMMIT, CommitUnknown("cut"))
        with pytest.raises(OutcomeUnknown):
            await here.create(entity("ada"), ONCE)
        again = await here.create(msgspec.structs.replace(entity("ada"), id="other"), ONCE)
        assert again.replay is not None
        assert bytes(again.replay) == b'{"entityId":"ada"}'


@pytest.mark.parametrize("kind", [EntityKind.GROUP, EntityKind.ROLE])
async def test_members_come_and_go_and_are_told(
    autojump_clock: MockClock, kind: EntityKind
) -> None:
    memory = MemoryJournal(virtual_now)
    async with process(memory) as here:
        ada = (await here.create(entity("ada"))).entity
        await here.create(entity("team", kind))
        assert (await here.set_member("team", ada)).version == 2
        assert (await here.set_member("team", ada)).version == 2, "the goal holds already"
        assert memory.links("member", "team") == ["ada"]
        assert (await here.set_member("team", ada, present=False)).version == 3
        assert (await here.set_member("team", ada, present=False)).version == 3
        assert memory.links("member", "team") == []
    events = told(memory, "entity:ada")
    assert [event["type"] for event in events] == ["membership.added", "membership.removed"]
    assert [event["id"] for event in events] == ["team.2.0", "team.3.0"]
    assert {(e["entityId"], e["groupId"], e["actor"]) for e in events} == {("ada", "team", "admin")}
    assert told(memory, "entity:team") == []


async def test_groups_do_not_nest_and_people_have_no_members(autojump_clock: MockClock) -> None:
    memory = MemoryJournal(virtual_now)
    async with process(memory) as here:
        people = [
            (await here.create(entity(kind, kind))).entity
            for kind in (EntityKind.USER, EntityKind.BOT, EntityKind.GROUP, EntityKind.ROLE)
        ]
        for holder in ("user", "bot"):
            with pytest.raises(InvalidRequest):
                await here.set_member(holder, people[0])
        for member in people[2:]:
            with pytest.raises(InvalidRequest):
                await here.set_member("group", member)
        with pytest.raises(NotFound):
            await here.set_member("absent", people[0])


async def test_members_added_at_once_in_two_processes_all_count(
    autojump_clock: MockClock,
) -> None:
    memory = MemoryJournal(virtual_now)
    async with process(memory) as here, process(memory) as there:
        await here.create(entity("team", EntityKind.GROUP))
        ada, bob = [(await here.create(entity(name))).entity for name in ("ada", "bob")]

        async def first() -> None:
            await there.set_member("team", bob)

        here.journal.at(Point.BEFORE_COMMIT, first)
        assert (await here.set_member("team", ada)).version == 3
        assert memory.links("member", "team") == ["ada", "bob"]


async def test_a_membership_that_keeps_losing_gives_up(autojump_clock: MockClock) -> None:
    memory = MemoryJournal(virtual_now)
    async with process(memory) as here, process(memory) as there:
        await here.create(entity("team", EntityKind.GROUP))
        ada, bob = [(await here.create(entity(name))).entity for name in ("ada", "bob")]
        for nth in range(1, ATTEMPTS + 1):

            async def first(present: bool = bool(nth % 2)) -> None:
                await there.set_member("team", bob, present)

            here.journal.at(Point.BEFORE_COMMIT, first, nth=nth)
        with pytest.raises(Contended):
            await here.set_member("team", ada)
        assert memory.links("member", "team") == ["bob"]
