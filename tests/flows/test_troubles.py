"""What is wrong with a flow that is run: a failure that names what failed, never a hot loop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from pxbox.flows import (
    Context,
    Retry,
    StepFailed,
    flow,
    migrate,
)
from pxbox.testing.flows import replay, run_flow

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


@pytest.mark.parametrize("crashes", [False, True])
def test_a_step_that_raises_fails_with_the_line_that_did(crashes: bool) -> None:
    """Also where the failure comes from the record."""

    def paint() -> None:
        raise KeyError("no paint")

    @flow("paints")
    async def paints(ctx: Context) -> str:
        try:
            await ctx.step("paint", paint)
        except StepFailed as failed:
            kept = failed
        await ctx.sleep("a day", DAY)
        raise kept

    ended = run_flow(paints)
    if crashes:
        ended = replay(paints, ended.record)
    said, *where = str(ended.error).splitlines()
    assert said == "StepFailed: step paint#1 failed: KeyError: 'no paint'"
    assert where[1].strip() == 'raise KeyError("no paint")'
    assert not [line for line in where if "anyio" in line or "context.py" in line]


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
