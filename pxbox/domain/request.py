"""What may happen to a request, and what follows when it does.

Pure: no clock, no ids, no I/O. Callers pass `now` and anything minted. The law is the table in
`schemas/README.md`, "A request's life".
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from pxbox.domain.request_messages import (
    Answer as Answer,
)
from pxbox.domain.request_messages import (
    Answered as Answered,
)
from pxbox.domain.request_messages import (
    Cancel as Cancel,
)
from pxbox.domain.request_messages import (
    Cancelled as Cancelled,
)
from pxbox.domain.request_messages import (
    Claimed as Claimed,
)
from pxbox.domain.request_messages import (
    Command as Command,
)
from pxbox.domain.request_messages import (
    Created as Created,
)
from pxbox.domain.request_messages import (
    Decline as Decline,
)
from pxbox.domain.request_messages import (
    Declined as Declined,
)
from pxbox.domain.request_messages import (
    Delegate as Delegate,
)
from pxbox.domain.request_messages import (
    Delegated as Delegated,
)
from pxbox.domain.request_messages import (
    Escalated as Escalated,
)
from pxbox.domain.request_messages import (
    Event as Event,
)
from pxbox.domain.request_messages import (
    Expired as Expired,
)
from pxbox.domain.request_messages import (
    Reassign as Reassign,
)
from pxbox.domain.request_messages import (
    Reassigned as Reassigned,
)
from pxbox.domain.request_messages import (
    Release as Release,
)
from pxbox.domain.request_messages import (
    ReleaseCause as ReleaseCause,
)
from pxbox.domain.request_messages import (
    Released as Released,
)
from pxbox.domain.request_messages import (
    Reminded as Reminded,
)
from pxbox.domain.request_messages import (
    Renew as Renew,
)
from pxbox.domain.request_messages import (
    Responder as Responder,
)
from pxbox.domain.request_messages import (
    Snooze as Snooze,
)
from pxbox.domain.request_messages import (
    Snoozed as Snoozed,
)
from pxbox.domain.request_messages import (
    TakeClaim as TakeClaim,
)
from pxbox.domain.request_messages import (
    Wake as Wake,
)
from pxbox.domain.request_messages import (
    Woken as Woken,
)
from pxbox.model.errors import (
    ClaimedByOther,
    ClaimRequired,
    InvalidRequest,
    InvalidTime,
    NotFound,
    SelfAnswer,
    WrongStatus,
)
from pxbox.model.request import OPEN, Claim, Request, Status

# Every (status, command) that may change something. What is absent is refused, unless its goal
# already holds (see `_settled`).
MOST_ADDRESSEES = 32
# How long before the deadline one may be reminded at the latest.
_LAST_REMINDER = timedelta(seconds=1)

_ALWAYS = frozenset({TakeClaim, Renew, Answer, Decline, Cancel, Snooze, Wake, Reassign, Delegate})
ALLOWED: dict[Status, frozenset[type]] = {
    Status.PENDING: _ALWAYS,
    Status.CLAIMED: _ALWAYS | {Release},
    Status.ANSWERED: frozenset(),
    Status.DECLINED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.EXPIRED: frozenset(),
}


def overdue(request: Request, now: datetime, holder_left: bool) -> list[Event]:
    """Say what time (or a claimant's leaving) has already done to the request, oldest first.

    `holder_left`: the claimant is no longer among the addressees. Commit these before any
    command is decided (S8); of several the first is given, so ask again after it. What is told
    of a reminder is `request.reminders`, which nothing else depends on.
    """
    if request.status not in OPEN:
        return []
    if request.deadline_at is not None and request.deadline_at <= now:
        default = request.default
        return [Answered(None, default.response_id, default.answer_hash) if default else Expired()]
    step = next_escalation(request)
    if step is not None and step[0] <= now:
        return [Escalated(step[1])]
    if request.claim is None:
        return []
    if request.claim.expires_at <= now:
        return [Released(None, ReleaseCause.LAPSED)]
    return [Released(None, ReleaseCause.LEFT)] if holder_left else []


def next_escalation(request: Request) -> tuple[datetime, tuple[str, ...]] | None:
    """When the next step of escalation is due, and who all is asked from then on."""
    if request.status not in OPEN or request.escalated >= len(request.escalate):
        return None
    step = request.escalate[request.escalated]
    to = step.to if step.replace else tuple(dict.fromkeys((*request.to, *step.to)))
    return request.created_at + step.after, to


def valid_until(request: Request) -> datetime | None:
    """The instant up to which a decision on `request` holds: its next own transition (S8)."""
    if request.status not in OPEN:
        return None
    step = next_escalation(request)
    times = [
        request.deadline_at,
        request.claim.expires_at if request.claim else None,
        step[0] if step else None,
    ]
    return min((time for time in times if time is not None), default=None)


def decide(request: Request, command: Command, now: datetime) -> list[Event]:
    """Return the events that follow from `command`, oldest first.

    An empty list means that its goal already holds. Raises WrongStatus, ClaimedByOther,
    ClaimRequired, SelfAnswer, InvalidTime, or NotFound where the responder is not among the
    candidates (X2); the request is then unchanged. Call `overdue` first: this looks at no clock
    but for new leases and snoozing.
    """
    _check_party(request, command)
    if _settled(request, command):
        return []
    if type(command) not in ALLOWED[request.status]:
        raise _wrong_status(request)
    match command:
        case TakeClaim(by):
            _check_not_self(request, by)
            _check_holder(request, by)
            return [Claimed(by.entity, now + request.claim_ttl)]
        case Renew(by):
            return [Claimed(by.entity, now + request.claim_ttl)]
        case Release(by, override):
            return [_release(request, by, override)]
        case Answer(by, response_id, answer_hash):
            _check_not_self(request, by)
            _check_holder(request, by)
            if request.claim is None and request.claim_required and request.lapsed != by.entity:
                raise ClaimRequired("claim this request before answering it")
            return [Answered(by.entity, response_id, answer_hash)]
        case Decline(by, reason, last):
            return _decline(request, by, reason, last)
        case Cancel(by, reason):
            return [Cancelled(by, reason)]
        case Snooze(by, until):
            return [_snooze(request, by, until, now)]
        case Wake(by):
            return [Woken(by.entity)]
        case Reassign() | Delegate():
            return [_hand_over(request, command, now)]


def eligible(request: Request, by: Responder) -> bool:
    """Is `by` one of the candidates: addressed, now, and not stepped back?"""
    return by.entity not in request.declined and not by.addresses.isdisjoint(request.to)


def _check_party(request: Request, command: Command) -> None:
    """Who has no part in the request cannot tell it from one that does not exist (X2)."""
    match command:
        case Cancel(by, _):
            party = by == request.requestor
        case Release(override=True) | Reassign(override=True) | Delegate(override=True):
            party = True
        case Decline(by, _, _):
            party = not by.addresses.isdisjoint(request.to)
        case _:
            party = command.by is not None and (
                eligible(request, command.by) or request.closed_by == command.by.entity
            )
    if not party:
        raise NotFound("no such request")


def _settled(request: Request, command: Command) -> bool:
    match command:
        case Answer(by, _, answer_hash):
            return (
                request.status is Status.ANSWERED
                and request.closed_by == by.entity
                and request.answer_hash == answer_hash
            )
        case Decline(by, _, _):
            return by.entity in request.declined and request.status in OPEN | {Status.DECLINED}
        case Cancel():
            return request.status is Status.CANCELLED
        case Renew(by):
            return request.claim is None or request.claim.by != by.entity
        case Snooze(by, until):
            return request.status in OPEN and request.reminders.get(by.entity) == until
        case Wake(by):
            return by.entity not in request.reminders
        case Reassign(to=to):
            return request.status is Status.PENDING and set(request.to) == set(to)
        case Delegate(to=to):
            return request.claim is not None and request.claim.by == to.entity
        case _:
            return False


def _wrong_status(request: Request) -> WrongStatus:
    return WrongStatus(
        f"the request is {request.status}",
        requestStatus=request.status,
        closedBy=request.closed_by,
        closedAt=request.closed_at,
    )


def _check_holder(request: Request, by: Responder) -> None:
    if not eligible(request, by):
        raise NotFound("no such request")
    if request.claim is not None and request.claim.by != by.entity:
        raise ClaimedByOther(request.claim.by, request.claim.expires_at)


def _check_not_self(request: Request, by: Responder) -> None:
    if request.not_self is not None and (
        by.entity == request.not_self or by.client == request.requestor
    ):
        raise SelfAnswer("whoever asked may not answer this request themselves")


def _snooze(request: Request, by: Responder, until: datetime, now: datetime) -> Event:
    """Only to a time between now and the deadline: the error names the nearest one that can be."""
    deadline = request.deadline_at
    if until <= now:
        raise InvalidTime("`remindAt` has passed already", now=now)
    if deadline is not None and until >= deadline:
        nearest = max(deadline - _LAST_REMINDER, now)
        raise InvalidTime(
            "`remindAt` must be before the deadline", nearest=nearest, deadlineAt=deadline
        )
    return Snoozed(by.entity, until)


def _hand_over(request: Request, command: Reassign | Delegate, now: datetime) -> Event:
    if not command.override:
        assert command.by is not None, "who may not override is a party"
        if request.claim is None:
            raise ClaimRequired("claim this request before handing it on")
        _check_holder(request, command.by)
    if isinstance(command, Reassign):
        if set(command.to) == {request.not_self}:
            raise SelfAnswer("whoever asked may not be the only one who is asked")
        return Reassigned(command.actor, command.to, command.reason)
    _check_not_self(request, command.to)
    to = request.to
    if command.to.addresses.isdisjoint(to):
        to = (*to, command.to.entity)
        if len(to) > MOST_ADDRESSEES:
            raise InvalidRequest(f"a request is addressed to 1 to {MOST_ADDRESSEES} entities")
    expires_at = now + request.claim_ttl
    return Delegated(command.actor, command.to.entity, to, expires_at, command.reason)


def _release(request: Request, by: Responder | None, override: bool) -> Event:
    holder = request.claim
    assert holder is not None, "a CLAIMED request has a claim"
    if by is not None and holder.by == by.entity:
        return Released(by.entity, ReleaseCause.GIVEN_BACK)
    if override:
        return Released(by.entity if by else None, ReleaseCause.OVERRIDDEN)
    raise ClaimedByOther(holder.by, holder.expires_at)


def _decline(request: Request, by: Responder, reason: str | None, last: bool) -> list[Event]:
    """By a sole candidate, or by the claimant of a request to one address: it is resolved."""
    holds = request.claim is not None and request.claim.by == by.entity
    sole_address = len(request.to) == 1
    if not eligible(request, by):
        raise NotFound("no such request")
    if request.claim is not None and not holds and (sole_address or last):
        raise ClaimedByOther(request.claim.by, request.claim.expires_at)
    return [Declined(by.entity, reason, final=last or (holds and sole_address))]


def evolve(request: Request, event: Event, now: datetime) -> Request:
    """Return `request` as it is after `event`. Never fails: events are facts."""
    match event:
        case Created():
            return request
        case Claimed(by, expires_at):
            return replace(
                request, status=Status.CLAIMED, claim=Claim(by, expires_at), lapsed=None,
                updated_at=now,
            )  # fmt: skip
        case Released(_, cause):
            holder = request.claim.by if request.claim else None
            return replace(
                request, status=Status.PENDING, claim=None, updated_at=now,
                lapsed=holder if cause is ReleaseCause.LAPSED else None,
            )  # fmt: skip
        case Answered(by, response_id, answer_hash, files):
            closed = _closed(request, Status.ANSWERED, by, now)
            return replace(closed, response_id=response_id, answer_hash=answer_hash, files=files)
        case Declined(by, reason, final):
            declined = replace(
                request, declined=(*request.declined, by), updated_at=now,
                reminders=_others(request.reminders, by),
            )  # fmt: skip
            if final:
                return replace(_closed(declined, Status.DECLINED, by, now), reason=reason)
            if declined.claim is not None and declined.claim.by == by:
                return replace(declined, status=Status.PENDING, claim=None, lapsed=None)
            return declined
        case Cancelled(by, reason):
            return replace(_closed(request, Status.CANCELLED, by, now), reason=reason)
        case Expired():
            return _closed(request, Status.EXPIRED, None, now)
        case Snoozed(by, until):
            return replace(request, reminders={**request.reminders, by: until}, updated_at=now)
        case Woken(by) | Reminded(by):
            return replace(request, reminders=_others(request.reminders, by), updated_at=now)
        case Reassigned(to=to):
            return _asked_anew(request, to, (), now)
        case Escalated(to=to):
            # Who declined is asked again only where the step names them anew.
            stay = _without(request.declined, set(to) - set(request.to))
            after = _asked_anew(request, to, stay, now)
            return replace(after, escalated=request.escalated + 1)
        case Delegated(_, to_whom, to, expires_at, _):
            return replace(
                request, status=Status.CLAIMED, claim=Claim(to_whom, expires_at), lapsed=None,
                to=to, declined=_without(request.declined, {to_whom}), updated_at=now,
            )  # fmt: skip


def _without(all_: tuple[str, ...], gone: set[str]) -> tuple[str, ...]:
    return tuple(one for one in all_ if one not in gone)


def _others(reminders: dict[str, datetime], by: str) -> dict[str, datetime]:
    return {one: at for one, at in reminders.items() if one != by}


def _asked_anew(
    request: Request, to: tuple[str, ...], declined: tuple[str, ...], now: datetime
) -> Request:
    return replace(
        request, status=Status.PENDING, claim=None, lapsed=None, to=to, declined=declined,
        updated_at=now,
    )  # fmt: skip


def _closed(request: Request, status: Status, by: str | None, now: datetime) -> Request:
    return replace(
        request, status=status, claim=None, lapsed=None, closed_at=now, closed_by=by,
        updated_at=now,
    )  # fmt: skip
