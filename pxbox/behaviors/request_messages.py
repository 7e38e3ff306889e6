"""What a request's actor is told, and what it replies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from msgspec import Raw

from actors.journal import Key
from pxbox.behaviors.durable import Once
from pxbox.domain import request as domain
from pxbox.model.errors import FieldError
from pxbox.model.file import Referral
from pxbox.model.mark import Mark
from pxbox.model.request import Request
from pxbox.model.trail import Author


@dataclass(frozen=True, slots=True)
class Content:
    """What is created with a request and never changes. `search` is what words are looked for in,
    in lower case; `default_answer` is JSON, where the request has one."""

    ui_hints: Raw
    prefill: Raw
    meta: Raw
    search: str = ""
    why: str | None = None
    context: str | None = None
    default_answer: str | None = None


@dataclass(frozen=True, slots=True)
class Remarks:
    """What the asker is told beside the new request. `schema` is JSON: what was made of something
    that was no JSON Schema. `warnings` are about hints that mean nothing."""

    schema: bytes | None = None
    warnings: tuple[FieldError, ...] = ()


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request at version 1, to be made by a commit; `subject` as in `Create`."""

    request: Request
    content: Content
    subject: Key | None = None
    author: Author | None = None
    remarks: Remarks = Remarks()


@dataclass(frozen=True, slots=True)
class Create:
    """`subject`: the key that only one open request may have; another's is replied instead.
    `author`, here and below, is whom the trail names."""

    request: Request
    content: Content
    once: Once | None
    subject: Key | None = None
    author: Author | None = None
    remarks: Remarks = Remarks()


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """The answer as it is kept, the same as a value, the client that brought it, and the ids of
    files that come beside it. `sure` are the ids of files that are known to lie in the storage."""

    payload: bytes
    value: object
    client: str
    files: tuple[str, ...] = ()
    sure: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Act:
    """A command to an existing request; `answer` comes with `domain.Answer`."""

    command: domain.Command
    once: Once | None
    answer: GivenAnswer | None = None
    author: Author | None = None


@dataclass(frozen=True, slots=True)
class Fire:
    """An alarm of this request is due (S10); `kind` is its name in `domain.alarms`."""

    alarm_id: str
    generation: int
    kind: str
    due: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """The request as it stands, or the reply that the same idempotency key got first.

    `mark` comes with snoozing and waking. `existing` is the id of the open request with the same
    subject, where there is one: then nothing was created. `unsure` are the files of an answer that
    nothing else is wrong with; it was not taken, and may come again once they are sure to be there.
    """

    request: Request | None
    replay: Raw | None = None
    mark: Mark | None = None
    existing: str | None = None
    unsure: tuple[Referral, ...] = ()
