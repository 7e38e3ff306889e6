"""What is wrong with a flow, and what becomes of it: failures, undoing, code that has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pxbox.flows import (
    Context,
    Cursor,
    FlowKind,
    NotDeterministic,
    Retry,
    StepFailed,
    flow,
    migrate,
)
from pxbox.testing.flows import Ended, Signal, crash_everywhere, replay, run_flow

DAY = timedelta(days=1)
Handler = Callable[..., Any]

# Handlers that raise.


def test_a_handler_that_raises_fails_with_the_frames_of_where_it_did() -> None:
    def deeper(n: int) -> None:
        if n == 0:
            raise KeyError("here")
        deeper(n - 1)

    @flow("raises")
    async def raises(ctx: Context) -> None:
        await ctx.sleep("first", 1)
        deeper(8)

    ended = run_flow(raises)
    assert ended.status == "FAILED"
    assert ended.error is not None
    assert ended.error.startswith("KeyError: 'here'")
    assert 'raise KeyError("here")' in ended.error
    assert len(ended.error) < 1000


def test_a_handler_is_retried_by_its_policy_and_with_pauses() -> None:
    """Never a hot loop: the pauses grow."""
    tries: list[int] = []

    @flow("retried", retry=Retry(attempts=4, first_pause=10))
    async def retried(ctx: Context) -> None:
        await ctx.step("once", lambda: done.append(1))
        tries.append(1)
        raise OSError("away")

    done: list[int] = []
    ended = run_flow(retried)
    assert (ended.status, len(tries), len(done)) == ("FAILED", 4, 1)
    assert timedelta(seconds=60) < ended.lasted < timedelta(seconds=80)


def test_a_policy_names_what_is_worth_another_try() -> None:
    tries: list[int] = []

    @flow("named", retry=Retry(attempts=4, on=(OSError,)))
    async def named(ctx: Context) -> None:
        tries.append(1)
        raise ValueError("wrong for ever")

    assert run_flow(named).status == "FAILED"
    assert len(tries) == 1


def test_a_handler_that_ends_the_process_only_fails_its_flow() -> None:
    @flow("exits")
    async def exits(ctx: Context) -> None:
        raise SystemExit(3)

    ended = run_flow(exits)
    assert (ended.status, ended.error and ended.error.split("\n")[0]) == ("FAILED", "SystemExit: 3")


def test_a_flow_that_fails_of_a_step_runs_it_again_when_it_is_retried() -> None:
    """Its failure is not recorded; that of a step whose error was dealt with is."""
    calls: list[str] = []

    def charge(sum: int) -> str:
        calls.append("charge")
        if len(calls) < 3:
            raise OSError("the bank is away")
        return "paid"

    @flow("charging", retry=Retry(attempts=2, first_pause=1))
    async def charging(ctx: Context) -> str:
        paid: str = await ctx.step("charge", charge, 3)
        return paid

    failed = run_flow(charging)
    assert (failed.status, calls) == ("FAILED", ["charge"] * 2)
    assert "step charge#1 failed: OSError: the bank is away" in str(failed.error)
    assert msgspec.json.decode(failed.record)["steps"] == []
    assert replay(charging, failed.record).result == "paid"


# What has no JSON form, and what is too large.


@pytest.mark.parametrize("value", [object(), {1, object()}, "\ud800", lambda: 1])
def test_a_result_without_a_json_form_fails_its_step_by_name_once(value: object) -> None:
    calls: list[int] = []

    def make() -> object:
        calls.append(1)
        return value

    @flow("objects")
    async def objects(ctx: Context) -> str:
        with pytest.raises(StepFailed, match=r"the result of step make#1 has to be JSON"):
            await ctx.step("make", make, retry=Retry(attempts=3))
        return "caught"

    assert run_flow(objects).result == "caught"
    assert len(calls) == 1


def test_a_result_that_is_too_large_fails_its_step_by_name() -> None:
    @flow("large")
    async def large(ctx: Context) -> str:
        with pytest.raises(
            StepFailed, match=r"the result of step make#1 has \d+ bytes and at most"
        ):
            await ctx.step("make", lambda: "x" * 2_000_000)
        return "caught"

    assert run_flow(large).result == "caught"


def test_what_a_step_takes_has_to_be_json_and_the_error_names_it() -> None:
    @flow("taking")
    async def taking(ctx: Context) -> None:
        await ctx.step("take", print, object())

    assert "what step take#1 takes has to be JSON" in str(run_flow(taking).error)


def test_a_result_of_the_flow_without_a_json_form_fails_it() -> None:
    @flow("returns")
    async def returns(ctx: Context) -> object:
        return object()

    ended = run_flow(returns)
    assert ended.status == "FAILED"
    assert "the result of the flow has to be JSON" in str(ended.error)


@pytest.mark.parametrize("then", ["step", "sleep", "end"])
@pytest.mark.parametrize(
    ("state", "said"),
    [("x" * 300_000, "the cursor has"), (object(), "ctx.state has to be JSON")],
    ids=["large", "object"],
)
def test_a_state_that_cannot_be_kept_fails_the_flow_and_does_not_hang(
    then: str, state: object, said: str
) -> None:
    @flow("hoarder")
    async def hoarder(ctx: Context) -> None:
        ctx.state["all"] = state
        if then == "step":
            await ctx.step("one", lambda: 1)
        elif then == "sleep":
            await ctx.sleep("a while", 1)

    ended = run_flow(hoarder)
    assert ended.status == "FAILED"
    assert said in str(ended.error)


def test_an_input_that_the_code_does_not_take_parks() -> None:
    @flow("typed")
    async def typed(ctx: Context, n: int) -> int:
        return n

    assert "the input is not what the code takes" in str(run_flow(typed, "seven").parked)


# Undoing.


def _trip(effects: list[str], fails: bool = True, undo_fails: bool = False) -> FlowKind:
    def book(what: str) -> str:
        effects.append(f"book {what}")
        return what

    def undo(what: str) -> None:
        effects.append(f"undo {what}")
        if undo_fails and what == "car":
            raise OSError("closed")

    @flow("trip")
    async def trip(ctx: Context) -> None:
        for what in ("hotel", "car", "flight"):
            booked = await ctx.step("book", book, what)
            ctx.compensate(what, undo, booked)
        await ctx.ask("sure", to="ann", schema=bool, deadline=DAY)
        if fails:
            raise ValueError("no")

    return trip


BOOKED = ["book hotel", "book car", "book flight"]
UNDONE = ["undo flight", "undo car", "undo hotel"]


def test_what_was_done_is_undone_in_reverse_when_the_flow_fails() -> None:
    effects: list[str] = []
    trip = _trip(effects)
    ended = run_flow(trip)
    assert (ended.status, effects) == ("FAILED", BOOKED + UNDONE)
    assert crash_everywhere(trip, effects=effects) >= 6


def test_what_was_done_is_undone_when_the_flow_is_cancelled() -> None:
    effects: list[str] = []
    ended = run_flow(_trip(effects, fails=False), cancel_after=DAY / 2)
    assert (ended.status, effects) == ("CANCELLED", BOOKED + UNDONE)


def test_nothing_is_undone_of_what_completes() -> None:
    effects: list[str] = []
    assert run_flow(_trip(effects, fails=False)).status == "COMPLETED"
    assert effects == BOOKED


def test_what_cannot_be_undone_holds_up_nothing_else_and_is_told() -> None:
    effects: list[str] = []
    ended = run_flow(_trip(effects, undo_fails=True))
    assert (ended.status, effects) == ("FAILED", BOOKED + UNDONE)
    assert str(ended.error).startswith("ValueError: no")
    assert "undoing 'car' failed" in str(ended.error)


def test_a_flow_that_undid_is_not_done_again_by_a_retry() -> None:
    effects: list[str] = []
    trip = _trip(effects)
    ended = run_flow(trip)
    again = replay(trip, ended.record)
    assert (again.status, effects) == ("FAILED", BOOKED + UNDONE)


def test_a_cancelled_flow_does_nothing_new() -> None:
    effects: list[str] = []

    @flow("obedient")
    async def obedient(ctx: Context) -> None:
        try:
            await ctx.sleep("long", 10 * DAY)
        finally:
            await ctx.step("late", lambda: effects.append("late"))

    assert run_flow(obedient, cancel_after=DAY).status == "CANCELLED"
    assert effects == []


# Code that has changed.


async def _two_steps(ctx: Context) -> list[Any]:
    one = await ctx.step("one", lambda n: n, 1)
    asked = await ctx.ask("boss", to="boss", schema=True)
    return [one, asked.outcome]


async def _renamed_step(ctx: Context) -> list[Any]:
    first = await ctx.step("first", lambda n: n, 1)
    asked = await ctx.ask("boss", to="boss", schema=True)
    return [first, asked.outcome]


async def _other_arguments(ctx: Context) -> None:
    await ctx.step("one", lambda n: n, 2)


async def _other_addressee(ctx: Context) -> None:
    await ctx.step("one", lambda n: n, 1)
    await ctx.ask("boss", to="cfo", schema=True)


async def _wait_instead(ctx: Context) -> None:
    await ctx.sleep("one", 1)


async def _less(ctx: Context) -> None:
    await ctx.step("one", lambda n: n, 1)


async def _another_first(ctx: Context) -> None:
    await ctx.step("zero", lambda: 0)
    await _two_steps(ctx)


async def _swallows(ctx: Context) -> str:
    try:
        await _other_arguments(ctx)
    except Exception:
        return "never mind"
    return "no"


def _recorded() -> bytes:
    return run_flow(flow("changing", version=3)(_two_steps), answers={"boss": 1}).record


@pytest.mark.parametrize(
    ("code", "names"),
    [
        (_renamed_step, ["one#1", "boss#1"]),
        (_other_arguments, ["one#1", "other arguments"]),
        (_other_addressee, ["boss#1", "another"]),
        (_wait_instead, ["one#1", "this is a wait"]),
        (_less, ["boss#1", "comes to its end"]),
        (_another_first, ["zero#1"]),
        (_swallows, ["one#1", "other arguments"]),
    ],
)
def test_code_that_does_something_else_parks_and_names_the_step(
    code: Handler, names: list[str]
) -> None:
    """F1: loudly, and whatever the code does about the error."""
    parked = replay(flow("changing", version=3)(code), _recorded()).parked
    assert parked is not None
    assert any(name in parked for name in names)
    assert "put the old code back" in parked


def test_the_same_code_does_nothing_again() -> None:
    ended = replay(flow("changing", version=3)(_two_steps), _recorded())
    assert (ended.status, ended.result, ended.questions) == ("COMPLETED", [1, "answered"], [])


def test_an_unfinished_record_is_left_where_it_ends() -> None:
    record = msgspec.json.decode(_recorded())
    record["waits"][0]["outcome"] = None
    ended = replay(flow("changing", version=3)(_two_steps), msgspec.json.encode(record))
    assert (ended.status, ended.parked) != ("COMPLETED", None)
    assert ended.parked is None


def test_a_migration_renames_what_is_recorded_and_sees_the_state() -> None:
    seen: list[Any] = []

    @migrate("moving", 1, 3)
    def to_three(cursor: Cursor) -> None:
        seen.append(dict(cursor.state))
        cursor.renames["one"] = "first"
        cursor.state["moved"] = True

    async def old(ctx: Context) -> list[Any]:
        ctx.state["kept"] = 1
        return await _two_steps(ctx)

    record = run_flow(flow("moving", version=1)(old), answers={"boss": 1}).record
    moved = replay(flow("moving", version=3)(_renamed_step), record)
    assert moved.result == [1, "answered"]
    assert seen == [{"kept": 1}]


def test_migrations_follow_each_other() -> None:
    order: list[int] = []

    @migrate("stairs", 1, 2)
    def one(cursor: Cursor) -> None:
        order.append(1)

    @migrate("stairs", 2, 4)
    def two(cursor: Cursor) -> Cursor:
        order.append(2)
        return Cursor({"at": 4}, cursor.renames)

    record = run_flow(flow("stairs", version=1)(_two_steps), answers={"boss": 1}).record
    assert replay(flow("stairs", version=4)(_two_steps), record).status == "COMPLETED"
    assert order == [1, 2]


@pytest.mark.parametrize("version", [2, 4])
def test_an_unknown_version_parks_and_says_what_to_do(version: int) -> None:
    parked = replay(flow("changing", version=version)(_two_steps), _recorded()).parked
    assert f"version {version}" in str(parked)
    assert "version 3" in str(parked)
    assert "@migrate" in str(parked)


def test_a_cursor_that_its_migration_does_not_take_parks() -> None:
    @migrate("sour", 1, 2)
    def fails(cursor: Cursor) -> None:
        raise KeyError("kept")

    record = run_flow(flow("sour", version=1)(_two_steps), answers={"boss": 1}).record
    parked = replay(flow("sour", version=2)(_two_steps), record).parked
    assert "KeyError('kept')" in str(parked)
    assert "mend it" in str(parked)


def test_what_cannot_be_a_flow_is_refused_when_it_is_written() -> None:
    def sync(ctx: Context) -> None: ...

    async def three(ctx: Context, one: int, two: int) -> None: ...

    with pytest.raises(TypeError, match="async"):
        flow("x")(sync)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="at most one input"):
        flow("x")(three)
    with pytest.raises(ValueError, match="start at 1"):
        flow("x", version=0)
    with pytest.raises(ValueError, match="later version"):
        migrate("x", 2, 1)
    with pytest.raises(ValueError, match="at least one attempt"):
        Retry(attempts=0)


def test_an_error_of_determinism_names_its_step() -> None:
    assert NotDeterministic("pay#1", "gone").step == "pay#1"


def test_a_child_is_cancelled_with_its_parent() -> None:
    undone: list[str] = []

    @flow("kid")
    async def kid(ctx: Context) -> None:
        ctx.compensate("kid", lambda: undone.append("kid"))
        await ctx.signal("never")

    @flow("parent")
    async def parent(ctx: Context) -> None:
        await ctx.child("kid", kid)

    ended: Ended = run_flow(
        parent, children=[kid], cancel_after=DAY, signals=[Signal("x", after=2 * DAY)]
    )
    assert ended.status == "CANCELLED"
