"""Who is asked instead or too: by hand, by time, and never whoever asked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from pxbox.domain import alarms, routing
from pxbox.domain.request import (
    MOST_ADDRESSEES,
    Answer,
    Answered,
    Delegate,
    Delegated,
    Escalated,
    Expired,
    Reassign,
    Reassigned,
    ReleaseCause,
    Released,
    Responder,
    Snooze,
    Snoozed,
    TakeClaim,
    Wake,
    decide,
    evolve,
    overdue,
    valid_until,
)
from pxbox.model.errors import InvalidRequest, InvalidTime, SelfAnswer
from pxbox.model.request import OPEN, Claim, DefaultAnswer, Escalation, Request, Status
from tests.domain.test_request import ADA, BOB, CLAIMED, CY, HOUR, NOW, PENDING, TTL, refusal

DECLINED = replace(PENDING, to=("team", "cy"), declined=("bob",))


def test_reassigning_asks_others_and_nobody_holds_it() -> None:
    command = Reassign(ADA, False, "ada", ("cy", "team"), "not mine")
    (event,) = decide(CLAIMED, command, NOW)
    assert event == Reassigned("ada", ("cy", "team"), "not mine")
    after = evolve(replace(CLAIMED, declined=("bob",)), event, NOW)
    assert (after.status, after.claim, after.to) == (Status.PENDING, None, ("cy", "team"))
    assert after.declined == (), "somebody has decided that they are asked again"
    told = routing.handed_over(CLAIMED, event)
    assert told == {"previous_to": ("team",), "reason": "not mine"}


@pytest.mark.parametrize(
    ("to", "asked"),
    [(BOB, ("team",)), (CY, ("team", "cy")), (Responder("cy", frozenset({"team"})), ("team",))],
)
def test_a_delegate_holds_the_claim_beside_all_who_were_asked(
    to: Responder, asked: tuple[str, ...]
) -> None:
    held = replace(CLAIMED, declined=("bob", "cy", "eve"))
    (event,) = decide(held, Delegate(ADA, False, "ada", to, None), NOW)
    assert event == Delegated("ada", to.entity, asked, NOW + TTL, None)
    after = evolve(held, event, NOW)
    assert (after.status, after.claim) == (Status.CLAIMED, Claim(to.entity, NOW + TTL))
    assert to.entity not in after.declined
    assert "eve" in after.declined


def test_a_request_has_only_so_many_addressees() -> None:
    full = replace(CLAIMED, to=("team", *map(str, range(MOST_ADDRESSEES - 1))))
    assert type(refusal(full, Delegate(ADA, False, "ada", CY, None))) is InvalidRequest
    assert decide(full, Delegate(ADA, False, "ada", BOB, None), NOW)


@pytest.mark.parametrize(
    "responder", [ADA, Responder("bob", frozenset({"bob", "team"}), client="asker")]
)
def test_who_asked_neither_claims_nor_answers(responder: Responder) -> None:
    asked = replace(PENDING, not_self="ada")
    for command in (TakeClaim(responder), Answer(responder, "x", "1")):
        assert type(refusal(asked, command)) is SelfAnswer
    assert decide(asked, TakeClaim(BOB), NOW)
    assert decide(PENDING, TakeClaim(responder), NOW), "unless the request minds"


def test_who_asked_is_not_given_it_either() -> None:
    held = replace(CLAIMED, claim=Claim("bob", NOW + TTL), not_self="ada")
    assert type(refusal(held, Delegate(BOB, False, "bob", ADA, None))) is SelfAnswer
    assert type(refusal(held, Reassign(BOB, False, "bob", ("ada",), None))) is SelfAnswer
    assert decide(held, Reassign(BOB, False, "bob", ("ada", "cy"), None), NOW)


STEPS = (Escalation(HOUR * 2, ("cy",)), Escalation(HOUR * 3, ("eve", "team"), replace=True))
SLOW = replace(DECLINED, escalate=STEPS, to=("team",), created_at=NOW)


def later(request: Request, hours: float) -> tuple[object, ...]:
    """What time has done `hours` after the creation."""
    done = []
    now = NOW + HOUR * hours
    while events := overdue(request, now, holder_left=False):
        done += events
        request = evolve(request, events[0], now)
    return (*done, request)


def test_each_step_is_taken_in_its_time_and_asks_too_or_instead() -> None:
    assert later(SLOW, 1.9) == (SLOW,)
    first, one = later(SLOW, 2)
    assert first == Escalated(("team", "cy"))
    assert isinstance(one, Request)
    assert (one.to, one.escalated, one.declined) == (("team", "cy"), 1, ("bob",))
    assert alarms.wanted(one) == {alarms.AlarmKind.ESCALATION: NOW + HOUR * 3}
    _, second, two = later(SLOW, 3)
    assert second == Escalated(("eve", "team"))
    assert isinstance(two, Request)
    assert (two.to, two.escalated) == (("eve", "team"), 2)
    assert alarms.wanted(two) == {}


def test_who_declined_is_asked_again_where_a_step_names_them_anew() -> None:
    gone = replace(SLOW, declined=("cy", "bob"))
    *_, after = later(gone, 2)
    assert isinstance(after, Request)
    assert after.declined == ("bob",)


def test_a_step_ends_the_claim_and_bounds_what_is_decided_before_it() -> None:
    held = replace(SLOW, status=Status.CLAIMED, claim=Claim("ada", NOW + HOUR * 9))
    assert valid_until(held) == NOW + HOUR * 2
    event, after = later(held, 2)
    assert event == Escalated(("team", "cy"))
    assert isinstance(after, Request)
    assert (after.status, after.claim, after.lapsed) == (Status.PENDING, None, None)


def test_a_step_comes_before_a_lease_that_lapsed_and_after_a_deadline() -> None:
    held = replace(SLOW, status=Status.CLAIMED, claim=Claim("ada", NOW + HOUR))
    lapsed = Released(None, ReleaseCause.LAPSED)
    assert overdue(held, NOW + HOUR, holder_left=False) == [lapsed]
    assert overdue(held, NOW + HOUR * 2, holder_left=False) == [Escalated(("team", "cy"))]
    closing = replace(held, deadline_at=NOW + HOUR * 3)
    assert overdue(closing, NOW + HOUR * 3, holder_left=False) == [Expired()]


@pytest.mark.parametrize("status", [s for s in Status if s not in OPEN])
def test_what_is_closed_does_not_escalate(status: Status) -> None:
    assert overdue(replace(SLOW, status=status), NOW + HOUR * 9, holder_left=False) == []


def test_a_default_answer_stands_at_the_deadline_and_is_nobodys() -> None:
    asked = replace(PENDING, deadline_at=NOW, default=DefaultAnswer("x", "1"))
    (event,) = overdue(asked, NOW, holder_left=False)
    assert event == Answered(None, "x", "1")
    after = evolve(asked, event, NOW)
    assert (after.status, after.closed_by, after.response_id) == (Status.ANSWERED, None, "x")
    assert routing.event_type(event) == ("request.answered", None)
    early = replace(asked, deadline_at=NOW + HOUR)
    assert overdue(early, NOW, holder_left=False) == []


TICK = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("until", "deadline", "nearest"),
    [
        (NOW, None, None),
        (NOW - TICK, None, None),
        (NOW + HOUR, NOW + HOUR, NOW + HOUR - TICK),
        (NOW + HOUR * 2, NOW + HOUR, NOW + HOUR - TICK),
        (NOW + HOUR, NOW + TICK / 2, NOW),
    ],
)
def test_one_snoozes_to_a_time_between_now_and_the_deadline(
    until: object, deadline: object, nearest: object
) -> None:
    request = replace(PENDING, deadline_at=deadline)
    assert isinstance(until, type(NOW))
    refused = refusal(request, Snooze(ADA, until))
    assert type(refused) is InvalidTime
    assert refused.members.get("nearest") == nearest


def test_a_snoozing_is_ones_own_and_has_its_alarm() -> None:
    until = NOW + HOUR
    (event,) = decide(PENDING, Snooze(ADA, until), NOW)
    assert event == Snoozed("ada", until)
    after = evolve(PENDING, event, NOW)
    assert after.reminders == {"ada": until}
    assert alarms.wanted(after) == {"reminder:ada": until}
    assert alarms.reminded("reminder:ada") == "ada"
    assert decide(after, Snooze(ADA, until), NOW) == []
    assert decide(after, Snooze(ADA, until + HOUR), NOW)
    assert decide(after, Wake(BOB), NOW) == []
    (woken,) = decide(after, Wake(ADA), NOW)
    assert evolve(after, woken, NOW).reminders == {}
    assert alarms.wanted(replace(after, status=Status.CANCELLED)) == {}
