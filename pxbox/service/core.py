"""What every operation works with: the parts of the broker, and how a command reaches its actor."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
from msgspec import Raw

from actors import (
    ActorCrashed,
    ActorFailing,
    Address,
    AskTimeout,
    MailboxFull,
    System,
    TurnAbandoned,
)  # fmt: skip
from actors import Draining as SystemDraining
from actors.journal import Journal
from pxbox.behaviors.durable import IDEMPOTENCY, Once
from pxbox.blobs.resumable import Drafts
from pxbox.blobs.storage import Storage
from pxbox.domain.access import Caller
from pxbox.domain.inbox import Thresholds
from pxbox.model.document import Document, canonical_hash
from pxbox.model.errors import Draining, InternalError, InvalidRequest, OutcomeUnknown, Overloaded
from pxbox.model.trail import Author
from pxbox.model.wire import Input, Reply
from pxbox.postgres.files import FileTable
from pxbox.postgres.flow_views import FlowViews
from pxbox.postgres.inbox import Inbox
from pxbox.postgres.jobs import Jobs
from pxbox.postgres.log import PostgresLog
from pxbox.postgres.logins import Logins
from pxbox.postgres.reach import Reaches
from pxbox.postgres.registry import Registry
from pxbox.postgres.shelf import Shelf
from pxbox.postgres.trail import Trail
from pxbox.postgres.views import Views
from pxbox.references.library import Library
from pxbox.service.acknowledgements import Acknowledgements
from pxbox.service.adopting import Adoptions
from pxbox.service.channels import Channels
from pxbox.service.directory import Directory
from pxbox.service.entrusted import Entrusted
from pxbox.service.flow_figures import FlowFigures
from pxbox.service.reach import Deliveries
from pxbox.service.room import Room
from pxbox.service.schemas import Schemas
from pxbox.service.served import Line, Served
from pxbox.validation.documents import Documents

# A turn takes a commit or two, each bounded by the journal; past this its outcome is unknown.
ASK_SECONDS = 20.0
_MOST_KEY = 255


@dataclass(frozen=True, slots=True)
class Files:
    """What the operations on files work with. `most_bytes` is the largest file that is taken;
    `drafts` are uploads that can be gone on with, None where the storage has none."""

    table: FileTable
    storage: Storage
    adoptions: Adoptions
    most_bytes: int
    now: Callable[[], datetime]
    drafts: Drafts | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one broker process, joined by `app`."""

    system: System
    journal: Journal
    views: Views
    log: PostgresLog
    directory: Directory
    schemas: Schemas
    library: Library
    registry: Registry
    documents: Documents
    channels: Channels
    flows: FlowViews
    flow_figures: FlowFigures
    entrusted: Entrusted
    served: Served
    acknowledgements: Acknowledgements
    room: Room
    inbox: Inbox
    shelf: Shelf
    thresholds: Thresholds
    trail: Trail
    reaches: Reaches
    deliveries: Deliveries
    jobs: Jobs
    logins: Logins
    files: Files

    @property
    def epoch(self) -> str:
        """The epoch that positions are of now (E4)."""
        return self.channels.epoch.name


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation: who calls, with what, and under which idempotency key.

    `item` is the place of an item in a bulk, each of which the key counts for on its own. `line` is
    the connection that it came by, where that is one that lasts.
    """

    caller: Caller
    input: Input
    idempotency_key: str | None = None
    item: int | None = None
    line: Line | None = None

    @property
    def author(self) -> Author:
        """Who does it, as the trail names them."""
        entity = self.caller.entity
        return Author(
            self.caller.sub, self.caller.principal.token_id, None if entity is None else entity.id
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation gives back; `replayed`: an earlier command with the same key got it.
    `existing`: what was to be created is there already."""

    reply: Reply | Raw
    replayed: bool = False
    existing: bool = False


def check_key(call: Call) -> str | None:
    """The call's idempotency key, if it has one. Raises InvalidRequest."""
    key = call.idempotency_key
    if key is not None and not (1 <= len(key) <= _MOST_KEY and key.isascii() and key.isprintable()):
        raise InvalidRequest(f"an idempotency key has 1 to {_MOST_KEY} printable ASCII characters")
    return key


def once(
    call: Call, operation: str, target: str, read: Mapping[str, Document] | None = None
) -> Once | None:
    """The call's idempotency key in its scope: (sub, operation, target) (S7).

    `read` are those members of the input, by field, that were read already: they may be large.
    """
    key = check_key(call)
    if key is None:
        return None
    scope = msgspec.json.encode([call.caller.sub, operation, target, key, call.item])
    hashes = {name: Raw(f'"{document.hash}"'.encode()) for name, document in (read or {}).items()}
    body = _said(msgspec.structs.replace(call.input, **hashes))
    return Once(hashlib.sha256(scope).hexdigest(), canonical_hash(body))


def _said(input: Input) -> dict[str, object]:
    """The input without what is so by default: a repeat is the same command to a later version too,
    which knows more members."""
    body: dict[str, object] = msgspec.json.decode(msgspec.json.encode(input))
    for field in msgspec.structs.fields(input):
        if not field.required and getattr(input, field.name) == field.default:
            body.pop(field.encode_name, None)
    return body


async def replayed(parts: Parts, key: Once | None) -> Outcome | None:
    """What the key's first command got, where a repeat of it would now be refused (S7).

    None where there is no key, or nothing under it. Raises IdempotencyKeyReused.
    """
    held = None if key is None else await parts.views.key_holder(IDEMPOTENCY, key.key)
    if key is None or held is None:
        return None
    return Outcome(key.replay(held), replayed=True)


async def ask(parts: Parts, kind: str, id: str, message: object) -> object:
    """Ask an actor, with the runtime's errors in the broker's words."""
    try:
        return await parts.system.ask(Address(kind, id), message, ASK_SECONDS)
    except MailboxFull:
        raise Overloaded("too many commands wait for this one; try again in a moment") from None
    except SystemDraining:
        raise Draining("this broker is shutting down; try again") from None
    except (AskTimeout, TurnAbandoned):
        raise OutcomeUnknown("no outcome in time; repeating the command is safe") from None
    except ActorFailing as error:
        raise InternalError(f"try again in {error.retry_after:.0f} s") from error
    except ActorCrashed as error:
        raise InternalError("a fault of the broker; it is in its log") from error
