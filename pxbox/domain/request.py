"""What may happen to a request, and what follows when it does.

Pure: no clock, no ids, no I/O. Callers pass `now` and anything minted. The law is the table in
`schemas/README.md`, "A request's life".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from msgspec.structs import replace

from pxbox.model.errors import ClaimedByOther, ClaimRequired, NotFound, WrongStatus
from pxbox.model.request import OPEN, Claim, Request, Status


@dataclass(frozen=True, slots=True)
class Responder:
    """Who acts: an entity, and everything it can be addressed as now (itself, its groups)."""

    entity: str
    addresses: frozenset[str]


@dataclass(frozen=True, slots=True)
class TakeClaim:
    by: Responder


@dataclass(frozen=True, slots=True)
class Release:
    """`override`: the caller may release what another holds."""

    by: Responder | None
    override: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """`answer_hash` tells whether a repeated answer is the same one (S7)."""

    by: Responder
    response_id: str
    answer_hash: str


@dataclass(frozen=True, slots=True)
class Decline:
    """`last`: no other eligible candidate would be left."""

    by: Responder
    reason: str | None
    last: bool


@dataclass(frozen=True, slots=True)
class Cancel:
    by: str
    reason: str | None


Command = TakeClaim | Release | Answer | Decline | Cancel


@dataclass(frozen=True, slots=True)
class Created:
    pass


@dataclass(frozen=True, slots=True)
class Claimed:
    by: str
    expires_at: datetime


class ReleaseCause(StrEnum):
    GIVEN_BACK = "givenBack"
    OVERRIDDEN = "overridden"
    LAPSED = "lapsed"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Released:
    by: str | None
    cause: ReleaseCause


@dataclass(frozen=True, slots=True)
class Answered:
    by: str
    response_id: str
    answer_hash: str


@dataclass(frozen=True, slots=True)
class Declined:
    """Resolves the request if `final`; else one candidate of several stepped back."""

    by: str
    reason: str | None
    final: bool


@dataclass(frozen=True, slots=True)
class Cancelled:
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Expired:
    pass


Event = Created | Claimed | Released | Answered | Declined | Cancelled | Expired

# Every (status, command) that may change something. What is absent is refused, unless its goal
# already holds (see `_settled`).
ALLOWED: dict[Status, frozenset[type]] = {
    Status.PENDING: frozenset({TakeClaim, Answer, Decline, Cancel}),
    Status.CLAIMED: frozenset({TakeClaim, Release, Answer, Decline, Cancel}),
    Status.ANSWERED: frozenset(),
    Status.DECLINED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.EXPIRED: frozenset(),
}


def overdue(request: Request, now: datetime, holder_left: bool) -> list[Event]:
    """Say what time (or a claimant's leaving) has already done to the request, oldest first.

    `holder_left`: the claimant is no longer among the addressees. Commit these before any
    command is decided (S8).
    """
    if request.status not in OPEN:
        return []
    if request.deadline_at is not None and request.deadline_at <= now:
        return [Expired()]
    if request.claim is None:
        return []
    if request.claim.expires_at <= now:
        return [Released(None, ReleaseCause.LAPSED)]
    return [Released(None, ReleaseCause.LEFT)] if holder_left else []


def valid_until(request: Request) -> datetime | None:
    """The instant up to which a decision on `request` holds: its next own transition (S8)."""
    if request.status not in OPEN:
        return None
    times = [request.deadline_at, request.claim.expires_at if request.claim else None]
    return min((time for time in times if time is not None), default=None)


def decide(request: Request, command: Command, now: datetime) -> list[Event]:
    """Return the events that follow from `command`, oldest first.

    An empty list means that its goal already holds. Raises WrongStatus, ClaimedByOther,
    ClaimRequired, or NotFound where the responder is not among the candidates (X2); the request
    is then unchanged. Call `overdue` first: this looks at no clock but for new leases.
    """
    _check_party(request, command)
    if _settled(request, command):
        return []
    if type(command) not in ALLOWED[request.status]:
        raise _wrong_status(request)
    match command:
        case TakeClaim(by):
            _check_holder(request, by)
            return [Claimed(by.entity, now + request.claim_ttl)]
        case Release(by, override):
            return [_release(request, by, override)]
        case Answer(by, response_id, answer_hash):
            _check_holder(request, by)
            if request.claim is None and request.claim_required and request.lapsed != by.entity:
                raise ClaimRequired("claim this request before answering it")
            return [Answered(by.entity, response_id, answer_hash)]
        case Decline(by, reason, last):
            return _decline(request, by, reason, last)
        case Cancel(by, reason):
            return [Cancelled(by, reason)]


def eligible(request: Request, by: Responder) -> bool:
    """Is `by` one of the candidates: addressed, now, and not stepped back?"""
    return by.entity not in request.declined and not by.addresses.isdisjoint(request.to)


def _check_party(request: Request, command: Command) -> None:
    """Who has no part in the request cannot tell it from one that does not exist (X2)."""
    match command:
        case Cancel(by, _):
            party = by == request.requestor
        case Release(_, override=True):
            party = True
        case Decline(by, _, _):
            party = not by.addresses.isdisjoint(request.to)
        case TakeClaim(by) | Release(by, _) | Answer(by, _, _):
            party = by is not None and (eligible(request, by) or request.closed_by == by.entity)
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
        case Answered(by, response_id, answer_hash):
            closed = _closed(request, Status.ANSWERED, by, now)
            return replace(closed, response_id=response_id, answer_hash=answer_hash)
        case Declined(by, reason, final):
            declined = replace(request, declined=(*request.declined, by), updated_at=now)
            if final:
                return replace(_closed(declined, Status.DECLINED, by, now), reason=reason)
            if declined.claim is not None and declined.claim.by == by:
                return replace(declined, status=Status.PENDING, claim=None, lapsed=None)
            return declined
        case Cancelled(by, reason):
            return replace(_closed(request, Status.CANCELLED, by, now), reason=reason)
        case Expired():
            return _closed(request, Status.EXPIRED, None, now)


def _closed(request: Request, status: Status, by: str | None, now: datetime) -> Request:
    return replace(
        request, status=status, claim=None, lapsed=None, closed_at=now, closed_by=by,
        updated_at=now,
    )  # fmt: skip
