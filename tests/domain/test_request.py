"""What may happen to a request: every pair of status and command (schemas/README.md)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from msgspec.structs import replace

from pxbox.domain.request import (
    ALLOWED,
    Answer,
    Answered,
    Cancel,
    Cancelled,
    Claimed,
    Command,
    Created,
    Decline,
    Declined,
    Delegate,
    Event,
    Expired,
    Reassign,
    Release,
    ReleaseCause,
    Released,
    Renew,
    Responder,
    Snooze,
    TakeClaim,
    Wake,
    decide,
    eligible,
    evolve,
    overdue,
    valid_until,
)
from pxbox.model.errors import ClaimedByOther, ClaimRequired, NotFound, PxError, WrongStatus
from pxbox.model.request import OPEN, Claim, Request, Status

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
TTL = timedelta(minutes=15)
HOUR = timedelta(hours=1)

ADA, BOB = (Responder(name, frozenset({name, "team"})) for name in ("ada", "bob"))
CY = Responder("cy", frozenset({"cy"}))
EVE = Responder("eve", frozenset({"eve", "others"}))

PENDING = Request(
    id="r",
    requestor="asker",
    to=("team",),
    schema_hash="h",
    claim_ttl=TTL,
    created_at=NOW - HOUR,
    updated_at=NOW - HOUR,
    version=1,
)
CLAIMED = replace(PENDING, status=Status.CLAIMED, claim=Claim("ada", NOW + TTL))


def closed(status: Status, by: str | None) -> Request:
    return replace(PENDING, status=status, closed_by=by, closed_at=NOW)


STATES = {
    Status.PENDING: PENDING,
    Status.CLAIMED: CLAIMED,
    Status.ANSWERED: replace(closed(Status.ANSWERED, "ada"), response_id="x", answer_hash="1"),
    Status.DECLINED: replace(closed(Status.DECLINED, "ada"), declined=("ada",)),
    Status.CANCELLED: closed(Status.CANCELLED, "asker"),
    Status.EXPIRED: closed(Status.EXPIRED, None),
}

COMMANDS: dict[str, Command] = {
    "claim by ada": TakeClaim(ADA),
    "claim by bob": TakeClaim(BOB),
    "claim by a stranger": TakeClaim(EVE),
    "release by ada": Release(ADA),
    "release by bob": Release(BOB),
    "release by a stranger": Release(EVE),
    "release by nobody": Release(None),
    "release by bob with override": Release(BOB, override=True),
    "release by an operator": Release(None, override=True),
    "answer by ada": Answer(ADA, "a", "1"),
    "another answer by ada": Answer(ADA, "a", "2"),
    "answer by bob": Answer(BOB, "b", "1"),
    "answer by a stranger": Answer(EVE, "e", "1"),
    "decline by ada": Decline(ADA, None, last=False),
    "decline by bob": Decline(BOB, None, last=False),
    "decline by the last, ada": Decline(ADA, None, last=True),
    "decline by a stranger": Decline(EVE, None, last=False),
    "cancel by the asker": Cancel("asker", None),
    "cancel by another": Cancel("ada", None),
    "renew by ada": Renew(ADA),
    "renew by bob": Renew(BOB),
    "renew by a stranger": Renew(EVE),
    "snooze by ada": Snooze(ADA, NOW + TTL),
    "snooze by a stranger": Snooze(EVE, NOW + TTL),
    "wake by ada": Wake(ADA),
    "wake by a stranger": Wake(EVE),
    "reassign by ada": Reassign(ADA, False, "ada", ("cy",), None),
    "reassign by bob": Reassign(BOB, False, "bob", ("cy",), None),
    "reassign by a stranger": Reassign(EVE, False, "eve", ("cy",), None),
    "reassign by an operator": Reassign(None, True, "op", ("cy",), None),
    "reassign to the same by an operator": Reassign(None, True, "op", ("team",), None),
    "delegate by ada": Delegate(ADA, False, "ada", CY, None),
    "delegate by bob": Delegate(BOB, False, "bob", CY, None),
    "delegate by a stranger": Delegate(EVE, False, "eve", CY, None),
    "delegate by an operator": Delegate(None, True, "op", CY, None),
    "delegate to the holder by bob": Delegate(BOB, False, "bob", ADA, None),
}

W, H, N, R = WrongStatus, ClaimedByOther, NotFound, ClaimRequired
SAME = "same"
P, C, A, D, X = (
    Status.PENDING,
    Status.CLAIMED,
    Status.ANSWERED,
    Status.DECLINED,
    Status.CANCELLED,
)
# By status, in the order of STATES: the status after it, the error, or that nothing changes.
TABLE: dict[str, tuple[object, ...]] = {
    "claim by ada": (C, C, W, W, W, W),
    "claim by bob": (C, H, W, W, W, W),
    "claim by a stranger": (N, N, N, N, N, N),
    "release by ada": (W, P, W, W, W, W),
    "release by bob": (W, H, W, W, W, W),
    "release by a stranger": (N, N, N, N, N, N),
    "release by nobody": (N, N, N, N, N, N),
    "release by bob with override": (W, P, W, W, W, W),
    "release by an operator": (W, P, W, W, W, W),
    "answer by ada": (A, A, SAME, W, W, W),
    "another answer by ada": (A, A, W, W, W, W),
    "answer by bob": (A, H, W, W, W, W),
    "answer by a stranger": (N, N, N, N, N, N),
    "decline by ada": (P, D, W, SAME, W, W),
    "decline by bob": (P, H, W, W, W, W),
    "decline by the last, ada": (D, D, W, SAME, W, W),
    "decline by a stranger": (N, N, N, N, N, N),
    "cancel by the asker": (X, X, W, W, SAME, W),
    "cancel by another": (N, N, N, N, N, N),
    "renew by ada": (SAME, C, SAME, SAME, SAME, SAME),
    "renew by bob": (SAME, SAME, SAME, SAME, SAME, SAME),
    "renew by a stranger": (N, N, N, N, N, N),
    "snooze by ada": (P, C, W, W, W, W),
    "snooze by a stranger": (N, N, N, N, N, N),
    "wake by ada": (SAME, SAME, SAME, SAME, SAME, SAME),
    "wake by a stranger": (N, N, N, N, N, N),
    "reassign by ada": (R, P, W, W, W, W),
    "reassign by bob": (R, H, W, W, W, W),
    "reassign by a stranger": (N, N, N, N, N, N),
    "reassign by an operator": (P, P, W, W, W, W),
    "reassign to the same by an operator": (SAME, P, W, W, W, W),
    "delegate by ada": (R, C, W, W, W, W),
    "delegate by bob": (R, H, W, W, W, W),
    "delegate by a stranger": (N, N, N, N, N, N),
    "delegate by an operator": (C, C, W, W, W, W),
    "delegate to the holder by bob": (R, SAME, W, W, W, W),
}


def after(request: Request, command: Command, now: datetime = NOW) -> Request:
    for event in decide(request, command, now):
        request = evolve(request, event, now)
    return request


def refusal(request: Request, command: Command) -> PxError:
    with pytest.raises(PxError) as raised:
        decide(request, command, NOW)
    return raised.value


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("name", TABLE)
def test_every_command_at_every_status(name: str, status: Status) -> None:
    request, command = STATES[status], COMMANDS[name]
    expected = TABLE[name][list(STATES).index(status)]
    if isinstance(expected, type):
        assert type(refusal(request, command)) is expected
    elif expected is SAME:
        assert decide(request, command, NOW) == []
    else:
        events = decide(request, command, NOW)
        assert len(events) == 1
        assert evolve(request, events[0], NOW).status is expected


def test_the_table_covers_every_command_and_status() -> None:
    assert set(TABLE) == set(COMMANDS)
    assert list(STATES) == list(Status) == list(ALLOWED)
    kinds = {type(command) for command in COMMANDS.values()}
    assert kinds == set(get_args(Command))


@pytest.mark.parametrize("status", [s for s in Status if s not in OPEN])
def test_who_comes_too_late_is_told_what_won(status: Status) -> None:
    late = refusal(STATES[status], TakeClaim(BOB))
    known = {"requestStatus": status, "closedBy": STATES[status].closed_by, "closedAt": NOW}
    assert late.members == {name: value for name, value in known.items() if value is not None}


def test_who_meets_a_claim_is_told_the_holder_and_the_end_of_the_lease() -> None:
    for command in (TakeClaim(BOB), Answer(BOB, "b", "1"), Release(BOB)):
        held = refusal(CLAIMED, command)
        assert held.members == {"holder": "ada", "claimExpiresAt": NOW + TTL}


def test_a_claim_lasts_for_its_ttl_and_is_renewed_by_claiming_again() -> None:
    claimed = after(PENDING, TakeClaim(ADA))
    assert claimed.claim == Claim("ada", NOW + TTL)
    later = NOW + timedelta(minutes=10)
    renewed = after(claimed, TakeClaim(ADA), later)
    assert renewed.claim == Claim("ada", later + TTL)
    assert renewed.updated_at == later


@pytest.mark.parametrize("claimant", [ADA, BOB])
def test_a_lapsed_claimant_may_answer_while_nobody_else_has_claimed(claimant: Responder) -> None:
    required = replace(PENDING, claim_required=True)
    claimed = after(required, TakeClaim(ADA))
    late = NOW + TTL
    (lapse,) = overdue(claimed, late, holder_left=False)
    assert lapse == Released(None, ReleaseCause.LAPSED)
    lapsed = evolve(claimed, lapse, late)
    assert (lapsed.status, lapsed.claim, lapsed.lapsed) == (Status.PENDING, None, "ada")
    answer = Answer(claimant, "x", "1")
    if claimant is ADA:
        assert after(lapsed, answer, late).status is Status.ANSWERED
    else:
        assert type(refusal(lapsed, answer)) is ClaimRequired
    by_bob = after(lapsed, TakeClaim(BOB), late)
    assert type(refusal(by_bob, Answer(ADA, "x", "1"))) is ClaimedByOther
    again = after(by_bob, Release(BOB), late)
    assert type(refusal(again, Answer(ADA, "x", "1"))) is ClaimRequired


def test_with_claim_required_only_the_claimant_answers() -> None:
    required = replace(PENDING, claim_required=True)
    assert type(refusal(required, Answer(ADA, "x", "1"))) is ClaimRequired
    claimed = after(required, TakeClaim(ADA))
    assert after(claimed, Answer(ADA, "x", "1")).status is Status.ANSWERED


@pytest.mark.parametrize(
    ("command", "cause"),
    [
        (Release(ADA), Released("ada", ReleaseCause.GIVEN_BACK)),
        (Release(ADA, override=True), Released("ada", ReleaseCause.GIVEN_BACK)),
        (Release(BOB, override=True), Released("bob", ReleaseCause.OVERRIDDEN)),
        (Release(EVE, override=True), Released("eve", ReleaseCause.OVERRIDDEN)),
        (Release(None, override=True), Released(None, ReleaseCause.OVERRIDDEN)),
    ],
)
def test_a_release_says_by_whom_and_why(command: Release, cause: Released) -> None:
    assert decide(CLAIMED, command, NOW) == [cause]
    released = evolve(CLAIMED, cause, NOW)
    assert (released.status, released.claim, released.lapsed) == (Status.PENDING, None, None)


def test_the_first_answer_claims_and_answers_at_once() -> None:
    answered = after(PENDING, Answer(BOB, "x", "1"))
    assert answered == replace(
        PENDING,
        status=Status.ANSWERED,
        closed_by="bob",
        closed_at=NOW,
        updated_at=NOW,
        response_id="x",
        answer_hash="1",
    )


def test_who_answered_and_left_the_group_may_repeat_the_same_answer() -> None:
    """A repeated command has the same outcome, whatever happened since (S7)."""
    answered = after(PENDING, Answer(BOB, "x", "1"))
    left = Responder("bob", frozenset({"bob"}))
    assert decide(answered, Answer(left, "y", "1"), NOW) == []
    assert type(refusal(answered, Answer(left, "y", "2"))) is WrongStatus
    assert type(refusal(PENDING, Answer(left, "y", "1"))) is NotFound


SEVERAL = replace(PENDING, to=("ada", "bob", "team"))


def test_declining_among_several_is_recorded_for_the_one() -> None:
    declined = after(SEVERAL, Decline(ADA, "busy", last=False))
    assert (declined.status, declined.declined, declined.reason) == (Status.PENDING, ("ada",), None)
    assert not eligible(declined, ADA)
    assert eligible(declined, BOB)
    assert decide(declined, Decline(ADA, None, last=False), NOW) == []
    both = after(declined, Decline(BOB, "no", last=True))
    assert (both.status, both.closed_by, both.reason) == (Status.DECLINED, "bob", "no")
    assert both.declined == ("ada", "bob")


def test_declining_among_several_ends_the_decliners_own_claim_only() -> None:
    held = after(SEVERAL, TakeClaim(ADA))
    by_holder = after(held, Decline(ADA, None, last=False))
    assert (by_holder.status, by_holder.claim) == (Status.PENDING, None)
    by_other = after(held, Decline(BOB, None, last=False))
    assert (by_other.status, by_other.claim) == (Status.CLAIMED, held.claim)


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("command", [TakeClaim(BOB), Answer(BOB, "b", "1"), Release(BOB)])
def test_who_declined_does_not_see_the_request_any_more(status: Status, command: Command) -> None:
    """So it cannot be told from one that does not exist (X2)."""
    declined = replace(STATES[status], declined=(*STATES[status].declined, "bob"))
    assert type(refusal(declined, command)) is NotFound


def test_the_claimant_of_a_request_to_one_address_resolves_it_by_declining() -> None:
    assert after(CLAIMED, Decline(ADA, "no", last=False)).status is Status.DECLINED
    assert type(refusal(CLAIMED, Decline(BOB, "no", last=False))) is ClaimedByOther


@pytest.mark.parametrize(
    ("request_", "now", "left", "expected"),
    [
        (PENDING, NOW, False, []),
        (replace(PENDING, deadline_at=NOW), NOW, False, [Expired()]),
        (replace(PENDING, deadline_at=NOW + HOUR), NOW, False, []),
        (replace(CLAIMED, deadline_at=NOW), NOW, False, [Expired()]),
        (CLAIMED, NOW, False, []),
        (CLAIMED, NOW, True, [Released(None, ReleaseCause.LEFT)]),
        (CLAIMED, NOW + TTL, False, [Released(None, ReleaseCause.LAPSED)]),
        (CLAIMED, NOW + TTL, True, [Released(None, ReleaseCause.LAPSED)]),
        (STATES[Status.ANSWERED], NOW + HOUR, True, []),
        (replace(STATES[Status.ANSWERED], deadline_at=NOW), NOW, False, []),
    ],
)
def test_what_time_has_done(
    request_: Request, now: datetime, left: bool, expected: list[Event]
) -> None:
    assert overdue(request_, now, left) == expected


@pytest.mark.parametrize(
    ("request_", "until"),
    [
        (PENDING, None),
        (replace(PENDING, deadline_at=NOW), NOW),
        (CLAIMED, NOW + TTL),
        (replace(CLAIMED, deadline_at=NOW + HOUR), NOW + TTL),
        (replace(CLAIMED, deadline_at=NOW), NOW),
        (replace(STATES[Status.EXPIRED], deadline_at=NOW), None),
    ],
)
def test_a_decision_holds_until_the_next_time_that_changes_it(
    request_: Request, until: datetime | None
) -> None:
    assert valid_until(request_) == until
    if until is not None:
        assert overdue(request_, until, holder_left=False)
        assert not overdue(request_, until - timedelta(microseconds=1), holder_left=False)


def test_a_claimant_who_left_loses_the_claim_and_may_not_answer() -> None:
    left = evolve(CLAIMED, Released(None, ReleaseCause.LEFT), NOW)
    assert (left.status, left.lapsed) == (Status.PENDING, None)
    gone = Responder("ada", frozenset({"ada"}))
    assert type(refusal(left, Answer(gone, "x", "1"))) is NotFound


def test_every_event_can_be_applied_to_every_state() -> None:
    """Events are facts: `evolve` never fails."""
    events: list[Event] = [
        Created(),
        Claimed("ada", NOW),
        *[Released(None, cause) for cause in ReleaseCause],
        Answered("ada", "x", "1"),
        Declined("ada", None, final=True),
        Declined("ada", None, final=False),
        Cancelled("asker", None),
        Expired(),
    ]
    for request in STATES.values():
        for event in events:
            assert evolve(request, event, NOW).id == "r"
