"""The table of a flow's life, cell by cell, and sequences of commands."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from pxbox.domain.flow import (
    ALLOWED,
    MOST_SIGNALS,
    Cancel,
    Checkpoint,
    Command,
    Give,
    Retry,
    decide,
    take_signal,
)
from pxbox.model.errors import FlowParked, Overloaded, PxError, StaleCheckpoint, WrongStatus
from pxbox.model.flow import OPEN_FLOW, Flow, FlowStatus, Parked, Signal

AT = datetime(2030, 1, 1, tzinfo=UTC)
NOW = AT + timedelta(hours=1)
FLOW = Flow(
    "01ARZ3NDEKTSV4RRFFQ69G5FAV", "expense", "asker", AT, AT, version=3, kind_version=1, revision=2
)
CANCEL = Cancel("asker", "enough")
PARKED = Parked("unknown_version", "deploy it", AT)


def saves(revision: int = 2, status: FlowStatus = FlowStatus.RUNNING, **more: object) -> Checkpoint:
    values = {"digest": "new", "steps": 1, "compensations": 0, "text": None, **more}
    return Checkpoint(revision=revision, status=status, **values)  # type: ignore[arg-type]


def gives(taken: bool = False) -> Give:
    return Give("go", Raw(b"1"), taken)


COMMANDS: list[Command] = [saves(), gives(), CANCEL, Retry()]


@pytest.mark.parametrize("status", FlowStatus)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda one: type(one).__name__)
def test_every_command_in_every_status_does_what_the_table_says(
    status: FlowStatus, command: Command
) -> None:
    flow = replace(FLOW, status=status)
    holds_already = (isinstance(command, Cancel) and status is FlowStatus.CANCELLED) or (
        isinstance(command, Retry) and status in OPEN_FLOW
    )
    if holds_already:
        assert decide(flow, command, NOW) is None
    elif type(command) not in ALLOWED[status] or (
        isinstance(command, Checkpoint) and status is FlowStatus.CANCELLED
    ):
        with pytest.raises(WrongStatus) as refusal:
            decide(flow, command, NOW)
        assert refusal.value.members["flowStatus"] == status
    else:
        transition = decide(flow, command, NOW)
        assert transition is not None
        assert transition.after.updated_at == NOW


@pytest.mark.parametrize("status", [s for s in FlowStatus if s is not FlowStatus.CANCELLED])
def test_a_checkpoint_brings_the_flow_to_the_status_it_says(status: FlowStatus) -> None:
    transition = decide(FLOW, saves(status=status, error="e", steps=2), NOW)
    assert transition is not None
    after = transition.after
    assert (after.status, after.revision, after.steps, after.last) == (status, 3, 2, "new")
    assert (after.closed_at is None) is (status in OPEN_FLOW)


def test_a_checkpoint_again_changes_nothing_whatever_became_of_the_flow() -> None:
    for status in FlowStatus:
        flow = replace(FLOW, revision=3, last="new", status=status)
        assert decide(flow, saves(), NOW) is None


@pytest.mark.parametrize("revision", [0, 1, 3])
def test_a_checkpoint_from_another_revision_is_stale(revision: int) -> None:
    with pytest.raises(StaleCheckpoint) as refusal:
        decide(FLOW, saves(revision), NOW)
    assert refusal.value.members["revision"] == 2


def test_a_parked_flow_takes_no_checkpoint_but_can_be_retried_and_cancelled() -> None:
    parked = replace(FLOW, parked=PARKED)
    with pytest.raises(FlowParked):
        decide(parked, saves(), NOW)
    for command in (Retry(), CANCEL):
        transition = decide(parked, command, NOW)
        assert transition is not None
        assert transition.after.parked is None


def test_parking_keeps_the_status_and_says_why() -> None:
    transition = decide(FLOW, saves(parked=("code", "reason")), NOW)
    assert transition is not None
    assert transition.after.parked == Parked("code", "reason", NOW)
    assert transition.after.status is FlowStatus.RUNNING


@pytest.mark.parametrize("ends", [FlowStatus.COMPLETED, FlowStatus.FAILED, FlowStatus.CANCELLED])
def test_a_cancelled_flow_stays_cancelled_whatever_undoing_comes_to(ends: FlowStatus) -> None:
    """F6."""
    flow = replace(FLOW, status=FlowStatus.CANCELLED, compensations=2, closed_at=AT)
    going_on = decide(flow, saves(compensations=1), NOW)
    assert going_on is not None
    assert (going_on.after.status, going_on.type) == (FlowStatus.CANCELLED, None)
    done = decide(flow, saves(status=ends), NOW)
    assert done is not None
    assert (done.after.status, done.after.compensations) == (FlowStatus.CANCELLED, 0)
    assert done.after.closed_at == AT


def test_a_restart_forgets_the_steps() -> None:
    transition = decide(FLOW, saves(steps=0, restarts=True), NOW)
    assert transition is not None
    assert transition.after.steps == 0


def test_a_list_is_told_only_of_what_it_shows() -> None:
    quiet = decide(FLOW, saves(), NOW)
    shown = decide(FLOW, saves(text="half way"), NOW)
    assert quiet is not None
    assert shown is not None
    assert (quiet.type, shown.type) == (None, "flow.updated")


def test_signals_that_nobody_waits_for_are_kept_up_to_a_limit() -> None:
    full = replace(FLOW, signals=tuple(Signal("go", Raw(b"1"), AT) for _ in range(MOST_SIGNALS)))
    with pytest.raises(Overloaded):
        decide(full, gives(), NOW)
    assert decide(full, gives(taken=True), NOW) is not None


def test_the_oldest_signal_of_the_name_is_taken() -> None:
    kept = tuple(
        Signal(name, Raw(data), AT) for name, data in (("a", b"1"), ("b", b"2"), ("b", b"3"))
    )
    after, taken = take_signal(replace(FLOW, signals=kept), "b")
    assert taken == kept[1]
    assert after.signals == (kept[0], kept[2])
    assert take_signal(after, "c") == (after, None)


commands = st.one_of(
    st.builds(
        saves, st.integers(0, 6), st.sampled_from(FlowStatus),
        digest=st.sampled_from("xy"), compensations=st.integers(0, 1),
        parked=st.sampled_from([None, None, ("code", "reason")]),
    ),
    st.builds(gives, st.booleans()), st.just(CANCEL), st.just(Retry()),
)  # fmt: skip


@given(st.lists(commands, max_size=20))
def test_whatever_is_said_in_whatever_order_the_flow_stays_whole(said: list[Command]) -> None:
    flow = replace(FLOW, revision=0, version=1)
    for command in said:
        before = flow
        try:
            transition = decide(flow, command, NOW)
        except PxError:
            continue
        if transition is None:
            continue
        flow = transition.after
        saved = isinstance(command, Checkpoint)
        assert flow.revision == before.revision + saved
        assert (flow.closed_at is None) is (flow.status in OPEN_FLOW)
        assert flow.parked is None or saved or before.parked == flow.parked
        if before.status is FlowStatus.CANCELLED:
            assert flow.status is FlowStatus.CANCELLED
        if before.status is FlowStatus.COMPLETED:
            pytest.fail("a completed flow changed")
