"""What a flow did is undone when it fails or is cancelled."""

from __future__ import annotations

from datetime import timedelta

from pxbox.flows import (
    Context,
    FlowKind,
    flow,
)
from pxbox.testing.flows import Ended, Signal, crash_everywhere, replay, run_flow

DAY = timedelta(days=1)


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
