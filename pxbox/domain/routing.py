"""Which event a transition becomes on the wire, and on which channels (schemas/README.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec

from pxbox.domain import request as domain
from pxbox.model.mark import Mark
from pxbox.model.request import Claim, Request

_encode = msgspec.json.Encoder().encode

MOST_BYTES = 4096
"""The largest event; a title is cut to what is left of them (E9)."""
_MOST_BYTES_PER_CHARACTER = 6


class EventData(msgspec.Struct, rename="camel"):
    """What an event of a request carries: ids and what a list row shows, never content (E9)."""

    id: str
    type: str
    request_id: str
    version: int
    status: str
    at: datetime
    actor: str | None
    title: str | None
    requestor: str
    to: tuple[str, ...]
    deadline_at: datetime | None
    attention_at: datetime | None
    claim: Claim | None
    # Seconds by which an alarm fired late, where time and nobody else caused the event (S10).
    late_by: float | msgspec.UnsetType = msgspec.UNSET
    # Where others are asked from now on: who was asked until then, and what was said of it.
    previous_to: tuple[str, ...] | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET


class MembershipData(msgspec.Struct, rename="camel"):
    """What an event of a group's membership carries."""

    id: str
    type: str
    entity_id: str
    group_id: str
    version: int
    at: datetime
    actor: str


class InboxData(msgspec.Struct, rename="camel"):
    """What one responder has made of an inquiry, as it is after the event."""

    id: str
    type: str
    request_id: str
    entity_id: str
    version: int
    at: datetime
    read: bool
    snoozed_until: datetime | None
    deleted: bool


def request_channel(request_id: str) -> str:
    return f"request:{request_id}"


def entity_channel(entity_id: str) -> str:
    return f"entity:{entity_id}"


def requestor_channel(sub: str) -> str:
    return f"requestor:{sub}"


def flow_channel(flow_id: str) -> str:
    return f"flow:{flow_id}"


def work_channel(kind: str) -> str:
    """The internal channel on which workers of this kind hear that a flow is to be run (F4)."""
    return f"work:{kind}"


def channels_of(request: Request, *others: str | None) -> tuple[str, ...]:
    """The channels that hear of `request`: its own, its asker's, each addressee's as addressed,
    its flow's.

    `others` are entities that hear of it too, such as who claims; each channel comes once.
    """
    names = [request_channel(request.id), requestor_channel(request.requestor)]
    names += [entity_channel(entity) for entity in request.to]
    names += [entity_channel(entity) for entity in others if entity is not None]
    if request.flow is not None:
        names.append(flow_channel(request.flow.id))
    return tuple(dict.fromkeys(names))


def event_type(event: domain.Event) -> tuple[str, str | None]:
    """The wire type of a transition, and who did it (None: time)."""
    match event:
        case domain.Created():
            return "request.created", None
        case domain.Claimed(by, _):
            return "request.claimed", by
        case domain.Released(by, _):
            return "request.released", by
        case domain.Answered(by=by):
            return "request.answered", by
        case domain.Declined(by, _, _):
            return "request.declined", by
        case domain.Cancelled(by, _):
            return "request.cancelled", by
        case domain.Expired():
            return "request.expired", None
        case domain.Reminded():
            return "request.reminder", None
        case domain.Reassigned(by=by):
            return "request.reassigned", by
        case domain.Delegated(by=by):
            return "request.delegated", by
        case domain.Escalated():
            return "request.escalated", None
        case domain.Snoozed(by=by) | domain.Woken(by=by):
            return "inbox.state", by


def handed_over(before: Request, event: domain.Event) -> dict[str, Any]:
    """What the event tells beside the request where others are asked from now on."""
    match event:
        case domain.Reassigned(reason=reason) | domain.Delegated(reason=reason):
            said = {} if reason is None else {"reason": reason}
            return {"previous_to": before.to, **said}
        case domain.Escalated():
            return {"previous_to": before.to}
        case _:
            return {}


def request_event(
    request: Request,
    type: str,
    actor: str | None,
    late_by: timedelta | None = None,
    **beside: Any,
) -> tuple[str, bytes]:
    """The id and the encoded data of the event of `request` as it stands after it.

    `beside` are further members, such as `handed_over` gives. The id is the same on every
    channel; a transition is one event, hence the 0 (E9).
    """
    event_id = f"{request.id}.{request.version}.0"
    data = EventData(
        event_id, type, request.id, request.version, request.status, request.updated_at, actor,
        request.title, request.requestor, request.to, request.deadline_at, request.attention_at,
        request.claim,
        msgspec.UNSET if late_by is None else round(late_by.total_seconds(), 3),
        **beside,
    )  # fmt: skip
    encoded = _encode(data)
    while len(encoded) > MOST_BYTES and data.title:
        excess = len(encoded) - MOST_BYTES
        data.title = data.title[: -(excess // _MOST_BYTES_PER_CHARACTER + 1)]
        encoded = _encode(data)
    return event_id, encoded


def inbox_event(mark: Mark, at: datetime) -> tuple[str, bytes]:
    """The id and the encoded data of what a responder has made of an inquiry."""
    event_id = f"{mark.request_id}:{mark.entity_id}.{mark.version}.0"
    data = InboxData(
        event_id, "inbox.state", mark.request_id, mark.entity_id, mark.version, at,
        mark.read, mark.snoozed_until, mark.deleted,
    )  # fmt: skip
    return event_id, _encode(data)


def membership_event(data: MembershipData) -> bytes:
    return _encode(data)


def list_row(request: Request) -> dict[str, Any]:
    """`request` as a list shows it: the members of `RequestSummary`."""
    return {
        "id": request.id,
        "status": request.status,
        "version": request.version,
        "title": request.title,
        "requestor": request.requestor,
        "to": list(request.to),
        "created_at": request.created_at,
        "updated_at": request.updated_at,
        "deadline_at": request.deadline_at,
        "attention_at": request.attention_at,
        "claim_ttl": int(request.claim_ttl.total_seconds()),
        "claim_required": request.claim_required,
        "claim": request.claim,
        "closed_at": request.closed_at,
        "closed_by": request.closed_by,
        "reason": request.reason,
        "response_id": request.response_id,
        "tags": list(request.tags),
    }
