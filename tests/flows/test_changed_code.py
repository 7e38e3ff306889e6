"""Code that has changed under a flow that is in flight: parked with a reason, or migrated (F5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pxbox.flows import (
    Context,
    Cursor,
    NotDeterministic,
    flow,
    migrate,
)
from pxbox.testing.flows import replay, run_flow

Handler = Callable[..., Any]


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


def test_an_error_of_determinism_names_its_step() -> None:
    assert NotDeterministic("pay#1", "gone").step == "pay#1"
