"""A request for data: what the broker knows of it, and what can happen to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

from pxbox.model.file import FileFacts, FilesPolicy
from pxbox.model.flow import FlowRef


class Status(StrEnum):
    PENDING = "PENDING"
    CLAIMED = "CLAIMED"
    ANSWERED = "ANSWERED"
    DECLINED = "DECLINED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"


OPEN = frozenset({Status.PENDING, Status.CLAIMED})


class Claim(Struct, frozen=True, rename="camel"):
    """Who works on the request, and until when nobody else may."""

    by: str
    expires_at: datetime


class Escalation(Struct, frozen=True, rename="camel"):
    """Whom to ask `after` a while that nobody has answered: too, or (`replace`) instead."""

    after: timedelta
    to: tuple[str, ...]
    replace: bool = False


class DefaultAnswer(Struct, frozen=True, rename="camel"):
    """What stands if the deadline comes first: the response's id, and its answer's hash (S7)."""

    response_id: str
    answer_hash: str


NEAR = timedelta(hours=1)
"""How long before its deadline a request is said to be near it, unless its asker says."""


class Request(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The state of one request: what an activation holds and what its row keeps.

    `version` counts its commits from 1. `to` holds the ids of the entities as addressed (groups
    and roles unexpanded), `declined` those of the candidates who declined. `lapsed` is the
    claimant whose lease ended while nobody else has claimed since. `closed_by` is an entity for
    an answer or a decline, a client (`sub`) for a cancellation, None for an expiry and for a
    default answer. `near` before its deadline `request.deadline_near` is sent; zero: never.
    `escalated` counts the steps of `escalate` that were taken. `reminders` says until when which
    responder has snoozed it. `not_self` is the entity that asked, where it may not answer itself.
    `flow` is the flow that the request belongs to: its end settles the wait that has the request's
    own id. `files_policy` is None where no files are asked for; `files` are those that the accepted
    answer refers to.
    """

    id: str
    requestor: str
    to: tuple[str, ...]
    schema_hash: str
    claim_ttl: timedelta
    created_at: datetime
    updated_at: datetime
    version: int = 0
    status: Status = Status.PENDING
    title: str | None = None
    claim_required: bool = False
    deadline_at: datetime | None = None
    attention_at: datetime | None = None
    claim: Claim | None = None
    lapsed: str | None = None
    declined: tuple[str, ...] = ()
    closed_at: datetime | None = None
    closed_by: str | None = None
    reason: str | None = None
    response_id: str | None = None
    answer_hash: str | None = None
    flow: FlowRef | None = None
    tags: tuple[str, ...] = ()
    near: timedelta = NEAR
    escalate: tuple[Escalation, ...] = ()
    escalated: int = 0
    reminders: dict[str, datetime] = {}
    not_self: str | None = None
    default: DefaultAnswer | None = None
    files_policy: FilesPolicy | None = None
    files: tuple[FileFacts, ...] = ()
