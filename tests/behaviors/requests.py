"""Requests' actors on journals in memory: one or several processes, and what happened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from actors import Address, System, open_system
from actors.memory_journal import MemoryJournal
from actors.testing import Failure, StagedJournal, virtual_now
from pxbox.behaviors.durable import Once
from pxbox.behaviors.request import (
    Act,
    Content,
    Create,
    Done,
    Fire,
    GivenAnswer,
    RequestActor,
    Surroundings,
)
from pxbox.behaviors.request_commit import alarm_kind
from pxbox.domain import request as domain
from pxbox.domain.request import Responder
from pxbox.model.errors import FieldError, PxError
from pxbox.model.file import Referral
from pxbox.model.mark import Mark
from pxbox.model.request import Request
from pxbox.service.requests import reply_to_keep

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
END_OF_TIME = datetime(9999, 1, 1, tzinfo=UTC)
TTL = timedelta(minutes=15)
PATIENCE_SECONDS = 10.0
NULL = Raw(b"null")
CONTENT = Content(NULL, NULL, Raw(b"{}"))


@dataclass
class Groups:
    """Who belongs to which group, as the request's actor reads it."""

    members: dict[str, set[str]] = field(default_factory=lambda: {"team": {"ada", "bob"}})

    async def groups_of(self, entity: str) -> frozenset[str]:
        return frozenset(name for name, members in self.members.items() if entity in members)

    async def candidates(self, to: tuple[str, ...]) -> frozenset[str]:
        return frozenset().union(*(self.members.get(name, {name}) for name in to))

    def responder(self, name: str) -> Responder:
        groups = {group for group, members in self.members.items() if name in members}
        return Responder(name, frozenset({name, *groups}))


@dataclass
class Keys:
    """Reads the keys that the journal holds; `reads` counts them."""

    journal: MemoryJournal
    reads: int = 0

    async def key_holder(self, space: str, key: str) -> Mapping[str, object] | None:
        self.reads += 1
        return self.journal.held(space, key)


class Cities:
    """Accepts answers that are cities; counts what it was asked."""

    def __init__(self) -> None:
        self.checked = 0

    async def check(self, schema_hash: str, payload: bytes, value: object) -> list[FieldError]:
        self.checked += 1
        return [] if value else [FieldError("/city", "must not be empty", "minLength")]


@dataclass
class Shelf:
    """What lies beside requests. Marks are read from the journal; the rest is kept here."""

    journal: MemoryJournal
    drafts: dict[tuple[str, str], str] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)

    async def default_answer(self, request_id: str) -> str:
        return self.defaults[request_id]

    async def marks(self, entity_id: str, request_ids: Sequence[str]) -> list[Mark]:
        found = []
        for id in request_ids:
            untouched = Mark(id, entity_id)
            row = await self.journal.load("mark", untouched.id)
            found.append(untouched if row is None else msgspec.convert(dict(row), Mark))
        return found

    async def keep_draft(self, request_id: str, entity_id: str, payload: str) -> datetime:
        self.drafts[request_id, entity_id] = payload
        return self.journal.now()


@dataclass
class Process:
    """One broker process: its activations, on a way of its own to the shared journal."""

    system: System
    journal: StagedJournal
    groups: Groups
    answers: Cities

    async def ask(self, message: object, id: str = ID) -> Done:
        done = await self.system.ask(Address("request", id), message, PATIENCE_SECONDS)
        assert isinstance(done, Done)
        return done

    async def create(self, request: Request, once: Once | None = None) -> Done:
        return await self.ask(Create(request, CONTENT, once), request.id)

    async def claim(self, name: str, once: Once | None = None) -> Request:
        return _request(await self.ask(Act(domain.TakeClaim(self.groups.responder(name)), once)))

    async def release(self, name: str) -> Request:
        return _request(await self.ask(Act(domain.Release(self.groups.responder(name)), None)))

    async def answer(self, name: str, value: object, once: Once | None = None) -> Done:
        payload = msgspec.json.encode(value)
        command = domain.Answer(self.groups.responder(name), f"answer-{name}", payload.hex())
        return await self.ask(Act(command, once, GivenAnswer(payload, value, "client")))

    async def decline(self, name: str, reason: str | None = None) -> Request:
        command = domain.Decline(self.groups.responder(name), reason, last=False)
        return _request(await self.ask(Act(command, None)))

    async def cancel(self, by: str = "asker") -> Request:
        return _request(await self.ask(Act(domain.Cancel(by, None), None)))

    async def fire(self, alarm: tuple[str, int, datetime, str]) -> Done:
        """As the alarm clock does with an alarm that it took."""
        id, generation, due, subject = alarm
        return await self.ask(Fire(id, generation, alarm_kind(id), due), subject.partition(":")[2])


def _request(done: Done) -> Request:
    assert done.request is not None, "a reply was replayed"
    return done.request


class NoFiles:
    """None of these requests asks for files."""

    async def of(
        self, request: Request, entity: str, value: object, named: Sequence[str]
    ) -> tuple[Referral, ...]:
        raise AssertionError("nobody asks for files")


@dataclass
class World:
    """What all processes share: the journal, and who is in which group."""

    memory: MemoryJournal
    groups: Groups
    keys: Keys
    shelf: Shelf
    failures: list[Failure] = field(default_factory=list)

    @asynccontextmanager
    async def process(self) -> AsyncIterator[Process]:
        journal, answers = StagedJournal(self.memory), Cities()
        around = Surroundings(
            journal, self.groups, self.keys, answers, reply_to_keep, self.shelf, NoFiles()
        )

        def note(address: Address, error: BaseException) -> None:
            self.failures.append(Failure(address, error))

        async with open_system(on_crash=note) as system:
            system.register("request", lambda a: RequestActor(a.id, around), refusals=(PxError,))
            yield Process(system, journal, self.groups, answers)
        assert self.failures == []

    async def stored(self, id: str = ID) -> Request:
        row = await self.memory.load("request", id)
        assert row is not None
        state = row["state"]
        assert isinstance(state, str)
        request = msgspec.json.decode(state, type=Request)
        assert request.version == row["version"]
        assert row["status"] == request.status
        return request

    def alarms(self) -> dict[str, datetime]:
        """When which kind of alarm is due."""
        due = self.memory.due_alarms(END_OF_TIME)
        return {alarm_kind(id): at for id, _, at, _ in due}

    def due(self) -> list[tuple[str, int, datetime, str]]:
        """The alarms whose time has come, oldest first."""
        return self.memory.due_alarms(virtual_now())

    def told(self, channel: str = f"request:{ID}") -> list[dict[str, Any]]:
        """The events of a channel, as a client reads them."""
        return [msgspec.json.decode(event.data) for _, event in self.memory.events(channel)]

    def types(self, channel: str = f"request:{ID}") -> list[str]:
        return [event["type"].removeprefix("request.") for event in self.told(channel)]


def open_world() -> World:
    memory = MemoryJournal(virtual_now)
    return World(memory, Groups(), Keys(memory), Shelf(memory))


def asked(*to: str, **changes: object) -> Request:
    """A request to `to` that is not made yet; call it when the clock runs."""
    now = virtual_now()
    request = Request(
        id=ID,
        requestor="asker",
        to=to or ("team",),
        schema_hash="hash",
        claim_ttl=TTL,
        created_at=now,
        updated_at=now,
        title="Where?",
    )
    return replace(request, **changes)


def replied(done: Done) -> dict[str, Any]:
    """The reply that was kept under a key."""
    assert done.replay is not None
    reply: dict[str, Any] = msgspec.json.decode(done.replay)
    return reply
