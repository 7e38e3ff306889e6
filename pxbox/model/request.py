"""A request for data: what the broker knows of it, and what can happen to it."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from msgspec import Struct

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


class Request(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The state of one request: what an activation holds and what its row keeps.

    `version` counts its commits from 1. `to` holds the ids of the entities as addressed (groups
    and roles unexpanded), `declined` those of the candidates who declined. `lapsed` is the
    claimant whose lease ended while nobody else has claimed since. `closed_by` is an entity for
    an answer or a decline, a client (`sub`) for a cancellation, None for an expiry. `flow` is the
    flow that the request belongs to: its end settles the wait that has the request's own id.
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
