"""What the making of a request writes, by itself or as part of a flow's checkpoint (S4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
from msgspec import Raw

from actors.journal import AlarmClear, AlarmFired, AlarmSet, Commit, Event, Link, Row
from pxbox.domain import alarms, routing
from pxbox.domain.alarms import AlarmKind
from pxbox.model.request import Request

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Content:
    """What is created with a request and never changes."""

    ui_hints: Raw
    prefill: Raw
    meta: Raw


@dataclass(frozen=True, slots=True)
class NewRequest:
    """A request at version 1, to be created by a commit."""

    request: Request
    content: Content

    def joined_to(self, commit: Commit) -> Commit:
        """The commit with all that makes this request; not after its deadline (S8)."""
        request, content = self.request, self.content
        row = request_row(
            request,
            requestor=request.requestor,
            deadline_at=request.deadline_at,
            created_at=request.created_at,
            schema_hash=request.schema_hash,
            ui_hints=bytes(content.ui_hints).decode(),
            prefill=bytes(content.prefill).decode(),
            meta=bytes(content.meta).decode(),
        )
        event_id, data = routing.request_event(request, "request.created", request.requestor)
        times = [time for time in (commit.not_after, request.deadline_at) if time is not None]
        return replace(
            commit,
            rows=(*commit.rows, row),
            links=(*commit.links, *(Link("addressee", request.id, to) for to in request.to)),
            events=(*commit.events, Event(event_id, routing.channels_of(request), data)),
            alarms=(*commit.alarms, *alarm_changes(None, request)),
            not_after=min(times, default=None),
        )


def request_row(request: Request, **created: object) -> Row:
    values = {"status": request.status.value, "state": _encode(request).decode(), **created}
    return Row("request", request.id, request.version, values)


def alarm_changes(
    before: Request | None, after: Request
) -> tuple[AlarmSet | AlarmClear | AlarmFired, ...]:
    return tuple(
        AlarmClear(alarm_id(after.id, kind))
        if due is None
        else AlarmSet(alarm_id(after.id, kind), due, f"request:{after.id}")
        for kind, due in alarms.changes(before, after).items()
    )


def alarm_id(request_id: str, kind: AlarmKind) -> str:
    return f"request:{request_id}:{kind}"
