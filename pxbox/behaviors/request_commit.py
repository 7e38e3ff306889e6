"""What a transition of a request writes: rows, links, events, alarms, and between which times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

import msgspec
from msgspec.structs import replace as replaced

from actors.journal import (
    AlarmClear,
    AlarmFired,
    AlarmSet,
    Commit,
    Event,
    Link,
    Row,
    Settlement,
    Unlink,
)
from pxbox.behaviors.request_messages import Create, Fire, NewRequest
from pxbox.behaviors.settling import settled
from pxbox.behaviors.trail import request_trail
from pxbox.domain import alarms, routing
from pxbox.domain import request as domain
from pxbox.model.flow import WaitOutcome
from pxbox.model.mark import Mark
from pxbox.model.request import OPEN, Request, Status
from pxbox.model.trail import Author

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class AnswerText:
    """An answer as its row keeps it; `client` is None for a default answer."""

    payload: str
    client: str | None


def creation(message: Create, now: datetime) -> tuple[Commit, Request]:
    """The commit that makes a request, and the request as it is then."""
    request = replaced(message.request, version=1, created_at=now, updated_at=now)
    made = NewRequest(request, message.content, message.subject, message.author)
    return joined(Commit(id=uuid4()), made), request


def joined(commit: Commit, made: NewRequest) -> Commit:
    """The commit with all that makes this request, by itself or as part of a flow's checkpoint
    (S4); not after its deadline (S8)."""
    request, content = made.request, made.content
    row = request_row(
        request,
        requestor=request.requestor,
        deadline_at=request.deadline_at,
        created_at=request.created_at,
        schema_hash=request.schema_hash,
        ui_hints=bytes(content.ui_hints).decode(),
        prefill=bytes(content.prefill).decode(),
        meta=bytes(content.meta).decode(),
        search=content.search,
        why=content.why,
        context=content.context,
        default_answer=content.default_answer,
    )
    event_id, data = routing.request_event(request, "request.created", request.requestor)
    made_by = request_trail(
        request, "request.created", request.requestor, made.author, to=request.to
    )
    times = [time for time in (commit.not_after, request.deadline_at) if time is not None]
    return replace(
        commit,
        rows=(*commit.rows, row, made_by),
        keys=commit.keys if made.subject is None else (*commit.keys, made.subject),
        links=(*commit.links, *(Link("addressee", request.id, to) for to in request.to)),
        events=(*commit.events, Event(event_id, routing.channels_of(request), data)),
        alarms=(*commit.alarms, *alarm_changes(None, request)),
        not_after=min(times, default=None),
    )


def transition(
    request: Request,
    event: domain.Event,
    now: datetime,
    answer: AnswerText | None = None,
    fired: Fire | None = None,
    author: Author | None = None,
) -> tuple[Commit, Request]:
    """The commit of `event`, and the request after it. `answer` comes with an `Answered`, `author`
    with what somebody does."""
    after = replaced(domain.evolve(request, event, now), version=request.version + 1)
    rows = [_changed_row(request, after), *_trail(request, event, after, author)]
    if isinstance(event, domain.Answered):
        assert answer is not None
        rows.append(_response_row(after, event, answer))
    settlements, news = _settling(after)
    not_before, not_after = _guarding_times(request, event)
    # A claim's alarm may find the deadline passed too, after an outage.
    late_by = None if fired is None else now - (not_before or fired.due)
    return Commit(
        id=uuid4(),
        rows=tuple(rows),
        links=_links(request, after),
        events=(_event(request, event, after, late_by), *news),
        alarms=_with_fired(alarm_changes(request, after), fired),
        settlements=settlements,
        not_before=not_before,
        not_after=not_after,
    ), after


def signal(request: Request, message: Fire, now: datetime) -> tuple[Commit, Request]:
    """The commit that tells that a time has come, and changes nothing else."""
    attention = message.kind == alarms.AlarmKind.ATTENTION
    type = "request.attention" if attention else "request.deadline_near"
    after = replaced(request, version=request.version + 1, updated_at=now)
    event_id, data = routing.request_event(after, type, None, now - message.due)
    return Commit(
        id=uuid4(),
        rows=(request_row(after), request_trail(after, type, None, None)),
        events=(Event(event_id, _channels(after, request), data),),
        alarms=(AlarmFired(message.alarm_id, message.generation),),
    ), after


def snoozing(
    request: Request, event: domain.Snoozed | domain.Woken, mark: Mark, now: datetime
) -> tuple[Commit, Request]:
    """The commit of what only its responder hears of; `mark` is theirs after it."""
    after = replaced(domain.evolve(request, event, now), version=request.version + 1)
    return Commit(
        id=uuid4(),
        rows=(request_row(after), mark_row(mark)),
        events=(inbox_event(mark, now),),
        alarms=alarm_changes(request, after),
        not_after=domain.valid_until(request),
    ), after


def request_row(request: Request, **values: object) -> Row:
    state = {"status": request.status.value, "state": _encode(request).decode()}
    return Row("request", request.id, request.version, {**state, **values})


def mark_row(mark: Mark) -> Row:
    values = {
        "request_id": mark.request_id,
        "entity_id": mark.entity_id,
        "read": mark.read,
        "snoozed_until": mark.snoozed_until,
        "deleted": mark.deleted,
    }
    return Row("mark", mark.id, mark.version, values)


def inbox_event(mark: Mark, now: datetime) -> Event:
    """What the responder's other tabs are told of `mark`."""
    event_id, data = routing.inbox_event(mark, now)
    return Event(event_id, (routing.entity_channel(mark.entity_id),), data)


def alarm_changes(
    before: Request | None, after: Request
) -> tuple[AlarmSet | AlarmClear | AlarmFired, ...]:
    return tuple(
        AlarmClear(alarm_id(after.id, kind))
        if due is None
        else AlarmSet(alarm_id(after.id, kind), due, f"request:{after.id}")
        for kind, due in alarms.changes(before, after).items()
    )


def alarm_id(request_id: str, kind: str) -> str:
    return f"request:{request_id}:{kind}"


def alarm_kind(alarm_id: str) -> str:
    """The name that the alarm has in `domain.alarms`."""
    return alarm_id.split(":", 2)[2]


def _changed_row(before: Request, after: Request) -> Row:
    if before.declined == after.declined:
        return request_row(after)
    return request_row(after, declined=list(after.declined))


def _trail(
    before: Request, event: domain.Event, after: Request, author: Author | None
) -> tuple[Row, ...]:
    """What a responder is reminded of is nobody else's."""
    if isinstance(event, domain.Reminded):
        return ()
    type, actor = routing.event_type(event)
    handed = routing.handed_over(before, event)
    detail: dict[str, object] = {"to": after.to} if handed else {}
    if "previous_to" in handed:
        detail["previousTo"] = handed["previous_to"]
    reason = handed.get("reason", getattr(event, "reason", None))
    if reason is not None:
        detail["reason"] = reason
    if isinstance(event, domain.Released):
        detail["cause"] = event.cause
    return (request_trail(after, type, actor, author, **detail),)


def _response_row(request: Request, event: domain.Answered, answer: AnswerText) -> Row:
    values = {
        "request_id": request.id,
        "payload": answer.payload,
        "answered_by": event.by,
        "client": answer.client,
        "answered_at": request.closed_at,
    }
    return Row("response", event.response_id, 1, values)


def _links(before: Request, after: Request) -> tuple[Link | Unlink, ...]:
    if before.to == after.to:
        return ()
    gone, come = set(before.to) - set(after.to), set(after.to) - set(before.to)
    return (
        *(Unlink("addressee", after.id, entity) for entity in sorted(gone)),
        *(Link("addressee", after.id, entity) for entity in sorted(come)),
    )


def _event(
    before: Request, event: domain.Event, after: Request, late_by: timedelta | None
) -> Event:
    type, actor = routing.event_type(event)
    beside = routing.handed_over(before, event)
    event_id, data = routing.request_event(after, type, actor, late_by, **beside)
    if isinstance(event, domain.Reminded):
        return Event(event_id, (routing.entity_channel(event.by),), data)
    return Event(event_id, _channels(after, before), data)


_OUTCOMES = {
    Status.ANSWERED: WaitOutcome.ANSWERED,
    Status.DECLINED: WaitOutcome.DECLINED,
    Status.CANCELLED: WaitOutcome.CANCELLED,
    Status.EXPIRED: WaitOutcome.EXPIRED,
}


def _settling(after: Request) -> tuple[tuple[Settlement, ...], tuple[Event, ...]]:
    """The end of a flow's request settles the flow's wait of that id (F2)."""
    if after.flow is None or after.status in OPEN:
        return (), ()
    told = {"by": after.closed_by, "reason": after.reason, "responseId": after.response_id}
    outcome = _OUTCOMES[after.status]
    settlement, news = settled(after.flow, after.id, outcome, after.updated_at, _encode(told))
    return (settlement,), news


def _channels(after: Request, before: Request) -> tuple[str, ...]:
    """Who claims, or held the claim until now, or was asked until now, hears of it too."""
    holders = [request.claim.by for request in (after, before) if request.claim is not None]
    return routing.channels_of(after, *holders, *before.to)


def _with_fired(
    changes: tuple[AlarmSet | AlarmClear | AlarmFired, ...], fired: Fire | None
) -> tuple[AlarmSet | AlarmClear | AlarmFired, ...]:
    """An alarm that has fired is deleted at its generation; it may be set again with that."""
    if fired is None:
        return changes
    kept = (one for one in changes if one.id != fired.alarm_id or isinstance(one, AlarmSet))
    return (*kept, AlarmFired(fired.alarm_id, fired.generation))


def _guarding_times(
    request: Request, event: domain.Event
) -> tuple[datetime | None, datetime | None]:
    """Between which instants `event` may be committed, by the database's clock (S8).

    What time does is not so before its time; what somebody does must come before that.
    """
    match event:
        case domain.Expired() | domain.Answered(by=None):
            return request.deadline_at, None
        case domain.Escalated():
            step = domain.next_escalation(request)
            return step[0] if step else None, None
        case domain.Reminded(by):
            return request.reminders[by], None
        case domain.Released(_, domain.ReleaseCause.LAPSED):
            return request.claim.expires_at if request.claim else None, None
        case domain.Released(_, domain.ReleaseCause.LEFT):
            return None, None
        case _:
            return None, domain.valid_until(request)
