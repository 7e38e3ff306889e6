"""The actor of one request: decides a command, commits what follows, then remembers it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import msgspec
from msgspec import Raw
from msgspec.structs import replace as replaced

from actors.journal import (
    AlarmFired,
    Commit,
    Committed,
    Conflict,
    Event,
    Journal,
    Row,
    Settlement,
)  # fmt: skip
from pxbox.behaviors.courier import CancelMessage
from pxbox.behaviors.durable import (
    ATTEMPTS,
    IDEMPOTENCY,
    KeyHolders,
    Once,
    Stale,
    confirm,
    contended,
    load,
    submit,
)  # fmt: skip
from pxbox.behaviors.new_request import Content, NewRequest, alarm_changes, request_row
from pxbox.behaviors.settling import settled
from pxbox.domain import alarms, routing
from pxbox.domain import request as domain
from pxbox.domain.alarms import AlarmKind
from pxbox.model.errors import (
    FieldError,
    InvalidAnswer,
    InvalidTime,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    PxError,
    Unavailable,
)  # fmt: skip
from pxbox.model.flow import WaitOutcome
from pxbox.model.request import OPEN, Request, Status

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Request).decode


@dataclass(frozen=True, slots=True)
class Create:
    request: Request
    content: Content
    once: Once | None


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """The answer as it is kept, the same as a value, and the client that brought it."""

    payload: bytes
    value: object
    client: str


@dataclass(frozen=True, slots=True)
class Act:
    """A command to an existing request; `answer` comes with `domain.Answer`."""

    command: domain.Command
    once: Once | None
    answer: GivenAnswer | None = None


@dataclass(frozen=True, slots=True)
class Fire:
    """An alarm of this request is due (S10)."""

    alarm_id: str
    generation: int
    kind: AlarmKind
    due: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """The request as it stands, or the reply that the same idempotency key got first."""

    request: Request | None
    replay: Raw | None = None


class Answers(Protocol):
    """Holds answers to the schema that was pinned to their request."""

    async def check(self, schema_hash: str, payload: bytes, value: object) -> list[FieldError]:
        """Everything in which the answer does not satisfy the schema."""
        ...


class Groups(Protocol):
    """Who belongs to what now; at most 2 s old."""

    async def groups_of(self, entity: str) -> frozenset[str]: ...

    async def candidates(self, to: tuple[str, ...]) -> frozenset[str]:
        """Every person and bot that these addressees stand for."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a request's actor works with. `reply(command, request)` is the reply to keep under an
    idempotency key."""

    journal: Journal
    groups: Groups
    keys: KeyHolders
    answers: Answers
    reply: Callable[[Create | Act, Request], bytes]


class RequestActor:
    """One request. Its memory is a copy of its row; whatever casts doubt on it drops it."""

    def __init__(self, id: str, around: Surroundings) -> None:
        self._id = id
        self._around = around
        self._request: Request | None = None

    async def receive(self, message: object) -> Done:
        """Handle `Create`, `Act`, `Fire` or `CancelMessage`.

        Raises PxErrors: what the domain refuses, Contended, OutcomeUnknown, Overloaded,
        Unavailable.
        """
        assert isinstance(message, Create | Act | Fire | CancelMessage)
        # True once memory is known to be of after this message came in (S3).
        fresh = isinstance(message, Create)
        for _ in range(ATTEMPTS):
            if self._request is None and not isinstance(message, Create):
                self._request = await self._load()
                fresh = True
            try:
                return await self._turn(message, fresh)
            except Stale:
                self._request = None
        raise contended()

    async def _load(self) -> Request:
        row = await load(self._around.journal, "request", self._id)
        if row is None:
            raise NotFound("no such request")
        state = row["state"]
        assert isinstance(state, str)
        return _decode(state)

    async def _turn(self, message: Create | Act | Fire | CancelMessage, fresh: bool) -> Done:
        match message:
            case Create():
                return await self._create(message)
            case Act():
                try:
                    return await self._act(message, fresh)
                except PxError as refusal:
                    return await self._refuse(message, refusal, fresh)
            case Fire():
                return await self._fire(message)
            case CancelMessage():
                return await self._cancel_by_message(message)

    async def _create(self, message: Create) -> Done:
        now = self._around.journal.now()
        request = replaced(message.request, version=1, created_at=now, updated_at=now)
        commit = NewRequest(request, message.content).joined_to(Commit(id=uuid4()))
        return await self._commit(commit, request, message)

    async def _act(self, message: Act, fresh: bool) -> Done:
        request = await self._settle_time()
        command = message.command
        if isinstance(command, domain.Decline):
            command = await self._count_candidates(request, command)
        now = self._around.journal.now()
        events = domain.decide(request, command, now)
        if not events:
            await self._confirm(request, fresh)
            return await self._replayed(message.once) or Done(request)
        (event,) = events
        if message.answer is not None:
            await self._check_answer(request, message.answer)
        commit, after = self._transition(request, event, now, message.answer)
        return await self._commit(commit, after, message)

    async def _check_answer(self, request: Request, answer: GivenAnswer) -> None:
        errors = await self._around.answers.check(request.schema_hash, answer.payload, answer.value)
        if errors:
            raise InvalidAnswer("the answer does not satisfy the schema", errors=errors)

    async def _refuse(self, message: Act, refusal: PxError, fresh: bool) -> Done:
        """Refuse on what is so now; a key that has an outcome already gets that instead (S7)."""
        if isinstance(refusal, OutcomeUnknown | Overloaded | Unavailable):
            raise refusal
        if self._request is not None:
            await self._confirm(self._request, fresh)
        replayed = await self._replayed(message.once)
        if replayed is None:
            raise refusal
        return replayed

    async def _replayed(self, once: Once | None) -> Done | None:
        """The outcome that the key has already, if there is a key and it has one."""
        held = None if once is None else await self._around.keys.key_holder(IDEMPOTENCY, once.key)
        return None if once is None or held is None else Done(None, once.replay(held))

    async def _settle_time(self) -> Request:
        """Commit what time, or the claimant's leaving, has done already (S8)."""
        while True:
            request = self._request
            assert request is not None
            now = self._around.journal.now()
            events = domain.overdue(request, now, await self._holder_left(request))
            if not events:
                return request
            await self._commit_overdue(request, events[0], now)

    async def _commit_overdue(
        self, request: Request, event: domain.Event, now: datetime, fired: Fire | None = None
    ) -> Done:
        commit, after = self._transition(request, event, now, None, fired)
        return await self._commit(commit, after, fired)

    async def _fire(self, message: Fire) -> Done:
        request = self._request
        assert request is not None
        # The journal's clock said that it is due; the estimate here may lag a little.
        now = max(self._around.journal.now(), message.due)
        if alarms.wanted(request).get(message.kind) != message.due:
            gone = AlarmFired(message.alarm_id, message.generation)
            return await self._commit(Commit(id=uuid4(), alarms=(gone,)), request, message)
        if message.kind in (AlarmKind.ATTENTION, AlarmKind.NEAR_DEADLINE):
            return await self._signal(request, message, now)
        events = domain.overdue(request, now, holder_left=False)
        return await self._commit_overdue(request, events[0], now, message)

    async def _cancel_by_message(self, message: CancelMessage) -> Done:
        """Its flow needs it no more; an answer that won stays an answer (F6)."""
        request = await self._settle_time()
        commit, after = Commit(id=uuid4()), request
        if request.status in OPEN:
            event = domain.Cancelled(message.by, message.reason)
            commit, after = self._transition(request, event, self._around.journal.now(), None)
            # The flow has let go of this wait already: there is nothing to wake it for.
            quiet = tuple(replace(one, wakes=False) for one in commit.settlements)
            commit = replace(commit, settlements=quiet, events=commit.events[:1])
        return await self._commit(replace(commit, received=(message.message,)), after, None)

    async def _signal(self, request: Request, message: Fire, now: datetime) -> Done:
        """Tell that a time has come, and change nothing else."""
        attention = message.kind is AlarmKind.ATTENTION
        type = "request.attention" if attention else "request.deadline_near"
        after = replaced(request, version=request.version + 1, updated_at=now)
        event_id, data = routing.request_event(after, type, None, now - message.due)
        commit = Commit(
            id=uuid4(),
            rows=(request_row(after),),
            events=(Event(event_id, _channels(after, request), data),),
            alarms=(AlarmFired(message.alarm_id, message.generation),),
        )
        return await self._commit(commit, after, message)

    def _transition(
        self,
        request: Request,
        event: domain.Event,
        now: datetime,
        answer: GivenAnswer | None,
        fired: Fire | None = None,
    ) -> tuple[Commit, Request]:
        after = replaced(domain.evolve(request, event, now), version=request.version + 1)
        rows = [request_row(after)]
        if isinstance(event, domain.Answered):
            assert answer is not None
            rows.append(_response_row(after, event, answer))
        settlements, news = _settling(after, event)
        type, actor = routing.event_type(event)
        not_before, not_after = _guarding_times(request, event)
        # A claim's alarm may find the deadline passed too, after an outage.
        late_by = None if fired is None else now - (not_before or fired.due)
        event_id, data = routing.request_event(after, type, actor, late_by)
        changes = alarm_changes(request, after)
        if fired is not None:
            changes = (
                *(change for change in changes if change.id != fired.alarm_id),
                AlarmFired(fired.alarm_id, fired.generation),
            )
        return Commit(
            id=uuid4(),
            rows=tuple(rows),
            events=(Event(event_id, _channels(after, request), data), *news),
            alarms=changes,
            settlements=settlements,
            not_before=not_before,
            not_after=not_after,
        ), after

    async def _commit(
        self, commit: Commit, after: Request, message: Create | Act | Fire | None
    ) -> Done:
        """Make it durable, then remember. Raises Stale where it must be decided again."""
        once = message.once if isinstance(message, Create | Act) else None
        if once is not None and isinstance(message, Create | Act):
            reservation = once.reservation(self._around.reply(message, after))
            commit = replace(commit, keys=(reservation,))
        # Until the commit is known to be durable, memory says nothing (S1).
        self._request = None
        result = await submit(self._around.journal, commit)
        if isinstance(result, Committed):
            self._request = after
            return Done(after)
        return self._lost(result, message, once)

    def _lost(
        self, conflict: Conflict, message: Create | Act | Fire | None, once: Once | None
    ) -> Done:
        if conflict.guard == "key" and once is not None and "bodyHash" in conflict.holds:
            return Done(None, once.replay(conflict.holds))
        if conflict.guard == "fence":
            # Another process fired this alarm, or received this message.
            return Done(None)
        if isinstance(message, Create) and conflict.guard == "time":
            raise InvalidTime("the deadline has passed already")
        raise Stale

    async def _confirm(self, request: Request, fresh: bool) -> None:
        if not fresh:
            await confirm(self._around.journal, "request", self._id, request.version)

    async def _holder_left(self, request: Request) -> bool:
        if request.claim is None or request.claim.by in request.to:
            return False
        groups = await self._around.groups.groups_of(request.claim.by)
        return groups.isdisjoint(request.to)

    async def _count_candidates(self, request: Request, command: domain.Decline) -> domain.Decline:
        everyone = await self._around.groups.candidates(request.to)
        others = everyone - {command.by.entity, *request.declined}
        return replace(command, last=not others)


def _response_row(request: Request, event: domain.Answered, answer: GivenAnswer) -> Row:
    values = {
        "request_id": request.id,
        "payload": answer.payload.decode(),
        "answered_by": event.by,
        "client": answer.client,
        "answered_at": request.closed_at,
    }
    return Row("response", event.response_id, 1, values)


_OUTCOMES = {
    Status.ANSWERED: WaitOutcome.ANSWERED,
    Status.DECLINED: WaitOutcome.DECLINED,
    Status.CANCELLED: WaitOutcome.CANCELLED,
    Status.EXPIRED: WaitOutcome.EXPIRED,
}


def _settling(
    after: Request, event: domain.Event
) -> tuple[tuple[Settlement, ...], tuple[Event, ...]]:
    """The end of a flow's request settles the flow's wait of that id (F2)."""
    if after.flow is None or after.status in OPEN:
        return (), ()
    reason = after.reason if isinstance(event, domain.Declined | domain.Cancelled) else None
    data = _encode({"by": after.closed_by, "reason": reason, "responseId": after.response_id})
    settlement, news = settled(
        after.flow, after.id, _OUTCOMES[after.status], after.updated_at, data
    )
    return (settlement,), news


def _channels(after: Request, before: Request) -> tuple[str, ...]:
    """Who claims, or held the claim until now, hears of it too."""
    holders = [request.claim.by for request in (after, before) if request.claim is not None]
    return routing.channels_of(after, *holders)


def _guarding_times(
    request: Request, event: domain.Event
) -> tuple[datetime | None, datetime | None]:
    """Between which instants `event` may be committed, by the database's clock (S8).

    What time does is not so before its time; what somebody does must come before that.
    """
    match event:
        case domain.Expired():
            return request.deadline_at, None
        case domain.Released(_, domain.ReleaseCause.LAPSED):
            return request.claim.expires_at if request.claim else None, None
        case domain.Released(_, domain.ReleaseCause.LEFT):
            return None, None
        case _:
            return None, domain.valid_until(request)
