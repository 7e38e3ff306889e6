"""The actor of one request: decides a command, commits what follows, then remembers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol
from uuid import uuid4

import msgspec

from actors.journal import AlarmFired, Commit, Committed, Conflict, Journal
from pxbox.behaviors import request_commit as commits
from pxbox.behaviors.courier import CancelMessage
from pxbox.behaviors.durable import KeyHolders, Once, Record, Stale, replayed
from pxbox.behaviors.request_commit import AnswerText
from pxbox.behaviors.request_messages import Act as Act
from pxbox.behaviors.request_messages import Content as Content
from pxbox.behaviors.request_messages import Create as Create
from pxbox.behaviors.request_messages import Done as Done
from pxbox.behaviors.request_messages import Fire as Fire
from pxbox.behaviors.request_messages import GivenAnswer as GivenAnswer
from pxbox.domain import alarms, inbox
from pxbox.domain import request as domain
from pxbox.domain.alarms import AlarmKind
from pxbox.model.errors import (
    ClaimedByOther,
    ClaimRequired,
    FieldError,
    InvalidAnswer,
    InvalidTime,
    PxError,
    WrongStatus,
)  # fmt: skip
from pxbox.model.file import Referral
from pxbox.model.mark import Mark
from pxbox.model.request import OPEN, Request

_decode = msgspec.json.Decoder(Request).decode


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


class Files(Protocol):
    """Finds the files that answers refer to."""

    async def of(
        self, request: Request, entity: str, value: object, named: Sequence[str]
    ) -> tuple[Referral, ...]:
        """Those of an answer by this entity; raises PxErrors where they are not as asked for."""
        ...


class Shelf(Protocol):
    """What lies beside requests: default answers, responders' marks and drafts."""

    async def default_answer(self, request_id: str) -> str:
        """The answer, as JSON, of a request that has one."""
        ...

    async def marks(self, entity_id: str, request_ids: Sequence[str]) -> list[Mark]:
        """What the responder has made of these inquiries, in their order."""
        ...

    async def keep_draft(self, request_id: str, entity_id: str, payload: str) -> datetime:
        """Keep a responder's draft in place of the one before; when that was."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a request's actor works with. `reply(command, done)` is the reply to keep under an
    idempotency key."""

    journal: Journal
    groups: Groups
    keys: KeyHolders
    answers: Answers
    reply: Callable[[Create | Act, Done], bytes]
    shelf: Shelf
    files: Files


class RequestActor:
    """One request. Its memory is a copy of its row; whatever casts doubt on it drops it."""

    def __init__(self, id: str, around: Surroundings) -> None:
        self._id = id
        self._around = around
        self._row = Record(around.journal, "request", id, _decode)

    async def receive(self, message: object) -> Done:
        """Handle `Create`, `Act`, `Fire` or `CancelMessage`.

        Raises PxErrors: what the domain refuses, Contended, OutcomeUnknown, Overloaded,
        Unavailable.
        """
        assert isinstance(message, Create | Act | Fire | CancelMessage)
        return await self._row.decide(
            lambda: self._turn(message), creates=isinstance(message, Create)
        )

    async def _turn(self, message: Create | Act | Fire | CancelMessage) -> Done:
        match message:
            case Create():
                return await self._create(message)
            case Act():
                try:
                    return await self._act(message)
                except PxError as refusal:
                    return await self._refuse(message, refusal)
            case Fire():
                return await self._fire(message)
            case CancelMessage():
                return await self._cancel_by_message(message)

    async def _create(self, message: Create) -> Done:
        commit, request = commits.creation(message, self._around.journal.now())
        return await self._commit(commit, Done(request), message)

    async def _act(self, message: Act) -> Done:
        request = await self._settle_time()
        command = message.command
        if isinstance(command, domain.Decline):
            command = await self._count_candidates(request, command)
        now = self._around.journal.now()
        events = domain.decide(request, command, now)
        if not events:
            await self._row.confirm()
            reply = await replayed(self._around.keys, message.once)
            return await self._settled(request, command) if reply is None else Done(None, reply)
        (event,) = events
        if isinstance(event, domain.Snoozed | domain.Woken):
            return await self._snooze(request, event, message, now)
        text = None
        if message.answer is not None:
            assert isinstance(event, domain.Answered), "an answer comes with its command"
            await self._check_answer(request, message.answer)
            referrals = await self._referrals(request, event, message.answer)
            sure = [one.file.kept for one in referrals if one.file.id in message.answer.sure]
            files = tuple(kept for kept in sure if kept is not None)
            if len(files) < len(referrals):
                # Reading them may take minutes, and others wait for this turn.
                return Done(request, unsure=referrals)
            event = replace(event, files=files)
            text = AnswerText(message.answer.payload.decode(), message.answer.client)
        commit, after = commits.transition(request, event, now, text, author=message.author)
        return await self._commit(commit, Done(after), message)

    async def _snooze(
        self, request: Request, event: domain.Snoozed | domain.Woken, message: Act, now: datetime
    ) -> Done:
        until = event.until if isinstance(event, domain.Snoozed) else None
        mark = inbox.snoozed(await self._mark(event.by), until)
        commit, after = commits.snoozing(request, event, mark, now)
        return await self._commit(commit, Done(after, mark=mark), message)

    async def _mark(self, entity: str) -> Mark:
        (mark,) = await self._around.shelf.marks(entity, [self._id])
        return mark

    async def _settled(self, request: Request, command: domain.Command) -> Done:
        if isinstance(command, domain.Snooze | domain.Wake):
            return Done(request, mark=await self._mark(command.by.entity))
        return Done(request)

    async def _check_answer(self, request: Request, answer: GivenAnswer) -> None:
        errors = await self._around.answers.check(request.schema_hash, answer.payload, answer.value)
        if errors:
            raise InvalidAnswer("the answer does not satisfy the schema", errors=errors)

    async def _referrals(
        self, request: Request, event: domain.Answered, answer: GivenAnswer
    ) -> tuple[Referral, ...]:
        """The files that the answer refers to."""
        if request.files_policy is None and not answer.files:
            return ()
        assert event.by is not None, "a default answer is not given"
        return await self._around.files.of(request, event.by, answer.value, answer.files)

    async def _refuse(self, message: Act, refusal: PxError) -> Done:
        try:
            return Done(None, await self._row.refuse(refusal, self._around.keys, message.once))
        except (WrongStatus, ClaimedByOther, ClaimRequired):
            await self._keep_text(message)
            raise

    async def _keep_text(self, message: Act) -> None:
        """The answer that lost a race, or came without a claim, is a draft of who gave it."""
        if message.answer is None:
            return
        assert isinstance(message.command, domain.Answer)
        text = message.answer.payload.decode()
        await self._around.shelf.keep_draft(self._id, message.command.by.entity, text)

    async def _settle_time(self) -> Request:
        """Commit what time, or the claimant's leaving, has done already (S8)."""
        while True:
            request, now = self._row.held, self._around.journal.now()
            events = domain.overdue(request, now, await self._holder_left(request))
            if not events:
                return request
            await self._commit_overdue(request, events[0], now)

    async def _commit_overdue(
        self, request: Request, event: domain.Event, now: datetime, fired: Fire | None = None
    ) -> Done:
        text = None
        if isinstance(event, domain.Answered):
            text = AnswerText(await self._around.shelf.default_answer(self._id), None)
        commit, after = commits.transition(request, event, now, text, fired)
        return await self._commit(commit, Done(after), fired)

    async def _fire(self, message: Fire) -> Done:
        request = self._row.held
        # The journal's clock said that it is due; the estimate here may lag a little.
        now = max(self._around.journal.now(), message.due)
        if alarms.wanted(request).get(message.kind) != message.due:
            gone = AlarmFired(message.alarm_id, message.generation)
            return await self._commit(Commit(id=uuid4(), alarms=(gone,)), Done(request), message)
        reminded = alarms.reminded(message.kind)
        if reminded is not None:
            return await self._remind(request, reminded, message, now)
        if message.kind in (AlarmKind.ATTENTION, AlarmKind.NEAR_DEADLINE):
            commit, after = commits.signal(request, message, now)
            return await self._commit(commit, Done(after), message)
        events = domain.overdue(request, now, holder_left=False)
        return await self._commit_overdue(request, events[0], now, message)

    async def _cancel_by_message(self, message: CancelMessage) -> Done:
        """Its flow needs it no more; an answer that won stays an answer (F6)."""
        request = await self._settle_time()
        commit, after = Commit(id=uuid4()), request
        if request.status in OPEN:
            event = domain.Cancelled(message.by, message.reason)
            commit, after = commits.transition(request, event, self._around.journal.now())
            # The flow has let go of this wait already: there is nothing to wake it for.
            quiet = tuple(replace(one, wakes=False) for one in commit.settlements)
            commit = replace(commit, settlements=quiet, events=commit.events[:1])
        return await self._commit(replace(commit, received=(message.message,)), Done(after), None)

    async def _remind(self, request: Request, entity: str, message: Fire, now: datetime) -> Done:
        """Tell who snoozed it that the time has come, if it still concerns them."""
        commit, after = commits.transition(request, domain.Reminded(entity), now, None, message)
        groups = await self._around.groups.groups_of(entity)
        if not domain.eligible(request, domain.Responder(entity, groups | {entity})):
            commit = replace(commit, events=())
        return await self._commit(commit, Done(after), message)

    async def _commit(
        self, commit: Commit, done: Done, message: Create | Act | Fire | None
    ) -> Done:
        """Make it durable, then remember. Raises Stale where it must be decided again."""
        once = message.once if isinstance(message, Create | Act) else None
        if once is not None and isinstance(message, Create | Act):
            reservation = once.reservation(self._around.reply(message, done))
            commit = replace(commit, keys=(*commit.keys, reservation))
        result = await self._row.commit(commit, done.request)
        if isinstance(result, Committed):
            return done
        return self._lost(result, message, once)

    def _lost(
        self, conflict: Conflict, message: Create | Act | Fire | None, once: Once | None
    ) -> Done:
        if conflict.guard == "key" and once is not None and "bodyHash" in conflict.holds:
            return Done(None, once.replay(conflict.holds))
        if conflict.guard == "key" and isinstance(message, Create):
            return Done(None, existing=str(conflict.holds["requestId"]))
        if conflict.guard == "fence":
            # Another process fired this alarm, or received this message.
            return Done(None)
        if isinstance(message, Create) and conflict.guard == "time":
            raise InvalidTime("the deadline has passed already")
        raise Stale

    async def _holder_left(self, request: Request) -> bool:
        if request.claim is None or request.claim.by in request.to:
            return False
        groups = await self._around.groups.groups_of(request.claim.by)
        return groups.isdisjoint(request.to)

    async def _count_candidates(self, request: Request, command: domain.Decline) -> domain.Decline:
        everyone = await self._around.groups.candidates(request.to)
        others = everyone - {command.by.entity, request.not_self, *request.declined}
        return replace(command, last=not others)
