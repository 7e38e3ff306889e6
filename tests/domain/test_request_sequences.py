"""What holds after any sequence of commands, leavings and passing times."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pxbox.domain import alarms
from pxbox.domain.request import (
    Answer,
    Cancel,
    Command,
    Decline,
    Delegate,
    Event,
    Reassign,
    Release,
    Renew,
    Responder,
    Snooze,
    TakeClaim,
    Wake,
    decide,
    evolve,
    overdue,
)
from pxbox.model.errors import (
    ClaimedByOther,
    ClaimRequired,
    InvalidTime,
    NotFound,
    SelfAnswer,
    WrongStatus,
)
from pxbox.model.request import OPEN, DefaultAnswer, Escalation, Request, Status

START = datetime(2030, 1, 1, tzinfo=UTC)
PEOPLE = ["ada", "bob", "cy"]
EXPECTED = (NotFound, WrongStatus, ClaimedByOther, ClaimRequired, InvalidTime, SelfAnswer)


@dataclass
class World:
    """One request, the group it may be addressed to, the time, and the alarms as they were set."""

    request: Request
    now: datetime = START
    members: set[str] = field(default_factory=lambda: {"ada", "bob"})
    alarms: dict[str, datetime] = field(default_factory=dict)

    def responder(self, name: str) -> Responder:
        groups = {"team"} if name in self.members else set()
        return Responder(name, frozenset({name, *groups}))

    def candidates(self) -> set[str]:
        addressed = {name for name in PEOPLE if name in self.request.to}
        return addressed | (self.members if "team" in self.request.to else set())

    def apply(self, event: Event) -> None:
        before = self.request
        self.request = evolve(before, event, self.now)
        for kind, due in alarms.changes(before, self.request).items():
            if due is None:
                del self.alarms[kind]
            else:
                self.alarms[kind] = due

    def settle(self) -> None:
        """Commit what time has done, as every command does first (S8)."""
        while True:
            claim = self.request.claim
            left = claim is not None and claim.by not in self.candidates()
            events = overdue(self.request, self.now, left)
            if not events:
                return
            self.apply(events[0])

    def act(self, command: Command) -> bool:
        """Whether it was accepted; what is refused changes nothing."""
        self.settle()
        if isinstance(command, Decline):
            others = self.candidates() - {command.by.entity, *self.request.declined}
            command = Decline(command.by, command.reason, last=not others)
        before = self.request
        try:
            events = decide(before, command, self.now)
        except EXPECTED:
            return False
        for event in events:
            self.apply(event)
        return True


Step = tuple[str, str, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "claim",
                "claim",
                "release",
                "answer",
                "decline",
                "cancel",
                "override",
                "renew",
                "snooze",
                "snooze",
                "wake",
                "reassign",
                "delegate",
                "join",
                "leave",
                "wait",
                "wait",
            ]
        ),
        st.sampled_from(PEOPLE),
        st.integers(0, 20),
    ),
    max_size=25,
)
ESCALATION = (
    Escalation(timedelta(minutes=20), ("cy",)),
    Escalation(timedelta(minutes=40), ("ada", "team"), replace=True),
)
requests = st.builds(
    Request,
    id=st.just("r"),
    requestor=st.just("asker"),
    to=st.sampled_from([("ada",), ("team",), ("ada", "bob"), ("team", "cy"), ("bob", "team")]),
    schema_hash=st.just("h"),
    claim_ttl=st.just(timedelta(minutes=5)),
    created_at=st.just(START),
    updated_at=st.just(START),
    version=st.just(1),
    claim_required=st.booleans(),
    deadline_at=st.none() | st.just(START + timedelta(minutes=90)),
    attention_at=st.none() | st.just(START + timedelta(minutes=30)),
    escalate=st.sampled_from([(), ESCALATION, ESCALATION[:1]]),
    not_self=st.none() | st.just("cy"),
    default=st.none() | st.just(DefaultAnswer("default", "0")),
)


def take(world: World, step: Step) -> None:
    name, who, number = step
    by = world.responder(who)
    match name:
        case "claim":
            world.act(TakeClaim(by))
        case "release":
            world.act(Release(by))
        case "override":
            world.act(Release(by, override=True))
        case "answer":
            world.act(Answer(by, f"answer {number}", str(number % 2)))
        case "decline":
            world.act(Decline(by, None, last=False))
        case "cancel":
            world.act(Cancel("asker" if who == "cy" else who, None))
        case "renew":
            world.act(Renew(by))
        case "snooze":
            world.act(Snooze(by, world.now + timedelta(minutes=number)))
        case "wake":
            world.act(Wake(by))
        case "reassign":
            to = ("team",) if number % 2 else (PEOPLE[number % 3], "bob")
            world.act(Reassign(by, number % 5 == 0, who, tuple(dict.fromkeys(to)), None))
        case "delegate":
            to_whom = world.responder(PEOPLE[number % 3])
            world.act(Delegate(by, number % 5 == 0, who, to_whom, None))
        case "join":
            world.members.add(who)
        case "leave":
            world.members.discard(who)
        case "wait":
            world.now += timedelta(minutes=number)


def begun(request: Request) -> World:
    world = World(request)
    for kind, due in alarms.changes(None, request).items():
        assert due is not None
        world.alarms[kind] = due
    return world


def check(world: World, before: Request) -> None:
    request = world.request
    assert (request.status is Status.CLAIMED) == (request.claim is not None)
    assert (request.status in OPEN) == (request.closed_at is None)
    assert (request.status is Status.ANSWERED) == (request.response_id is not None)
    assert (request.response_id is None) == (request.answer_hash is None)
    if before.status not in OPEN:
        assert request == before, "a closed request never changes"
    if request.lapsed is not None:
        assert request.status is Status.PENDING
    if request.claim is not None:
        assert request.claim.by not in request.declined
        assert request.claim.expires_at <= world.now + request.claim_ttl
    if request.status is Status.ANSWERED:
        assert request.closed_by not in request.declined
        by_time = request.closed_by is None
        assert by_time == (request.default is not None and request.response_id == "default")
        assert by_time or request.closed_by != request.not_self
    if request.claim is not None:
        assert request.claim.by != request.not_self
    assert len(set(request.to)) == len(request.to) > 0
    if request.status is Status.DECLINED:
        assert request.closed_by in request.declined
    assert len(set(request.declined)) == len(request.declined)
    assert world.alarms == alarms.wanted(request)


@settings(max_examples=300, deadline=None)
@given(requests, steps)
def test_no_sequence_breaks_what_holds_of_a_request(request: Request, steps: list[Step]) -> None:
    world = begun(request)
    for step in steps:
        before = world.request
        take(world, step)
        check(world, before)


@settings(max_examples=200, deadline=None)
@given(requests, steps, steps)
def test_nothing_but_the_first_outcome_counts(
    request: Request, before: list[Step], more: list[Step]
) -> None:
    world = begun(request)
    outcomes = []
    for step in [*before, ("answer", "ada", 1), ("claim", "bob", 0), ("answer", "bob", 0), *more]:
        was = world.request.status
        take(world, step)
        if was in OPEN and world.request.status not in OPEN:
            outcomes.append(world.request)
    assert len(outcomes) <= 1
    if outcomes:
        assert world.request == outcomes[0]


@settings(max_examples=200, deadline=None)
@given(requests, steps)
def test_whoever_acts_after_the_deadline_meets_an_expired_request(
    request: Request, steps: list[Step]
) -> None:
    world = begun(request)
    for step in steps:
        take(world, step)
    if world.request.deadline_at is not None and world.request.status in OPEN:
        world.now = world.request.deadline_at
        assert not world.act(TakeClaim(world.responder("ada")))
        default = world.request.default
        assert world.request.status is (Status.ANSWERED if default else Status.EXPIRED)
        assert world.request.closed_by is None
        assert world.alarms == {}


@settings(max_examples=200, deadline=None)
@given(requests, steps, st.sampled_from(PEOPLE))
def test_a_command_that_was_accepted_can_be_repeated(
    request: Request, steps: list[Step], who: str
) -> None:
    """At the same instant, by the same: the goal holds already, or is renewed (S7)."""
    world = begun(request)
    for step in steps:
        take(world, step)
    by = world.responder(who)
    commands: list[Command] = [
        TakeClaim(by),
        Decline(by, None, last=False),
        Answer(by, "x", "9"),
        Cancel("asker", None),
    ]
    for command in commands:
        if world.act(command):
            once = world.request
            assert world.act(command)
            assert world.request == once
