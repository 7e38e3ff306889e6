"""The commits that `bench commit` makes: those of a request's life, as the broker writes them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import uuid4

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from actors.journal import AlarmClear, AlarmSet, Commit, Event, Link, Row
from bench.dialects import PAYLOAD
from pxbox.domain.routing import channels_of, request_event
from pxbox.model.ids import new_ulid, new_uuid
from pxbox.model.request import Claim, Request, Status

SCHEMA_HASH: Final = "0" * 64
LEASE: Final = timedelta(minutes=15)
ENTITIES: Final = 200
ASKERS: Final = 5
EVENTS_PER_COMMIT: Final = 3


class Crowd(Struct):
    """Who asks and who is asked: few, so that their channels are hot, and shared by processes."""

    entities: list[str]
    askers: list[str]


def crowd() -> Crowd:
    return Crowd([new_uuid() for _ in range(ENTITIES)], [f"asker-{n}" for n in range(ASKERS)])


def lifecycle(crowd: Crowd) -> Iterator[Commit]:
    """Three commits, each to be done before the next: a request is created, claimed, answered."""
    now = datetime.now(UTC)
    responder = random.choice(crowd.entities)
    request = Request(
        id=new_ulid(),
        requestor=random.choice(crowd.askers),
        to=(responder,),
        schema_hash=SCHEMA_HASH,
        claim_ttl=LEASE,
        created_at=now,
        updated_at=now,
        version=1,
        title="Expense approval",
    )
    yield create(request)
    claim = Claim(responder, datetime.now(UTC) + LEASE)
    request = replace(request, version=2, status=Status.CLAIMED, claim=claim)
    yield transition(request, "claimed", AlarmSet(_lease(request), claim.expires_at, request.id))
    response = new_ulid()
    request = replace(
        request,
        version=3,
        status=Status.ANSWERED,
        claim=None,
        closed_by=responder,
        response_id=response,
    )
    yield transition(
        request,
        "answered",
        AlarmClear(_lease(request)),
        Row("response", response, 1, _response(request, responder)),
    )


def create(request: Request) -> Commit:
    values = {
        "requestor": request.requestor,
        "deadline_at": None,
        "created_at": request.created_at,
        "schema_hash": request.schema_hash,
        "ui_hints": "null",
        "prefill": "null",
        "meta": "null",
    }
    return Commit(
        id=uuid4(),
        rows=(_row(request, values),),
        links=tuple(Link("addressee", request.id, entity) for entity in request.to),
        events=(_event(request, "created"),),
    )


def transition(request: Request, kind: str, alarm: AlarmSet | AlarmClear, *others: Row) -> Commit:
    return Commit(
        id=uuid4(),
        rows=(_row(request, {}), *others),
        events=(_event(request, kind),),
        alarms=(alarm,),
    )


def _row(request: Request, values: Mapping[str, object]) -> Row:
    state = msgspec.json.encode(request).decode()
    named = {"status": str(request.status), "state": state, **values}
    return Row("request", request.id, request.version, named)


def _response(request: Request, responder: str) -> dict[str, object]:
    return {
        "request_id": request.id,
        "payload": PAYLOAD,
        "answered_by": responder,
        "client": responder,
        "answered_at": datetime.now(UTC),
    }


def _event(request: Request, kind: str) -> Event:
    event_id, data = request_event(request, f"request.{kind}", request.to[0])
    return Event(event_id, channels_of(request), data)


def _lease(request: Request) -> str:
    return f"{request.id}.claim"
