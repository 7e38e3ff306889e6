"""The actor of one responder's inbox: what they read, threw away and took back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import uuid4

from msgspec import Raw

from actors.journal import Commit, Committed, Journal
from pxbox.behaviors.durable import (
    ATTEMPTS,
    IDEMPOTENCY,
    KeyHolders,
    Once,
    Stale,
    contended,
    submit,
)
from pxbox.behaviors.request_commit import inbox_event, mark_row
from pxbox.domain.inbox import Touch, touched
from pxbox.model.mark import Mark


@dataclass(frozen=True, slots=True)
class SetMarks:
    """Do this to each of these inquiries, all or none; each is named once.

    `reply(marks)` is the reply to keep under the idempotency key.
    """

    touch: Touch
    request_ids: tuple[str, ...]
    once: Once | None
    reply: Callable[[Sequence[Mark]], bytes]


@dataclass(frozen=True, slots=True)
class MarksSet:
    """The marks as they stand, in the order asked, or the reply that the key got first."""

    marks: tuple[Mark, ...]
    replay: Raw | None = None


class Marks(Protocol):
    async def marks(self, entity_id: str, request_ids: Sequence[str]) -> list[Mark]:
        """What the responder has made of these inquiries, in their order."""
        ...


class InboxActor:
    """One responder's inbox. It remembers nothing: a responder seldom does two things at once."""

    def __init__(self, entity_id: str, journal: Journal, marks: Marks, keys: KeyHolders) -> None:
        self._entity_id = entity_id
        self._journal = journal
        self._marks = marks
        self._keys = keys

    async def receive(self, message: object) -> MarksSet:
        """Handle `SetMarks`. Raises IdempotencyKeyReused, Contended, and what `durable.submit`
        raises."""
        assert isinstance(message, SetMarks)
        for _ in range(ATTEMPTS):
            try:
                return await self._set(message)
            except Stale:
                continue
        raise contended()

    async def _set(self, message: SetMarks) -> MarksSet:
        before = await self._marks.marks(self._entity_id, message.request_ids)
        after = [touched(mark, message.touch) for mark in before]
        changed = [mark for mark in after if mark is not None]
        marks = tuple(now or was for now, was in zip(after, before, strict=True))
        if not changed:
            return await self._replayed(message.once) or MarksSet(marks)
        now = self._journal.now()
        keys = () if message.once is None else (message.once.reservation(message.reply(marks)),)
        commit = Commit(
            id=uuid4(),
            rows=tuple(mark_row(mark) for mark in changed),
            keys=keys,
            events=tuple(inbox_event(mark, now) for mark in changed),
        )
        result = await submit(self._journal, commit)
        if isinstance(result, Committed):
            return MarksSet(marks)
        if result.guard == "key" and message.once is not None:
            return MarksSet((), message.once.replay(result.holds))
        raise Stale

    async def _replayed(self, once: Once | None) -> MarksSet | None:
        held = None if once is None else await self._keys.key_holder(IDEMPOTENCY, once.key)
        return None if once is None or held is None else MarksSet((), once.replay(held))
