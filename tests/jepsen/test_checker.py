"""The checker finds what it is there to find: each forged history breaks one promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.jepsen.checker import violations
from tests.jepsen.history import (
    Command,
    Final,
    History,
    LoggedEvent,
    Outcome,
    Resumed,
    Saw,
    View,
)  # fmt: skip

CHANNEL = "requestor:ada"


def done(op: str, who: str, **reply: str) -> Command:
    return Command(who, op, "r1", 0.0, 1.0, Outcome.DONE, reply)


def refused(op: str, who: str, code: str) -> Command:
    return Command(who, op, "r1", 0.0, 1.0, Outcome.REFUSED, code=code)


def log(*types: str) -> list[LoggedEvent]:
    return [LoggedEvent(n, f"r1.{n}.0", f"request.{type}") for n, type in enumerate(types, 1)]


def good() -> tuple[History, Final]:
    """A request that was made, claimed and answered, and watched with a break in between."""
    events = log("created", "claimed", "answered")
    saw = [Saw("e", event.seq, event.id) for event in events]
    view = View(
        "w", CHANNEL, [Resumed("e", 0, 0, None), saw[0], Resumed("e", 1, 1, None), *saw[1:]]
    )
    commands = [
        done("createRequest", "ada", id="r1"),
        done("claimRequest", "ben"),
        done("postResponse", "ben", id="a1"),
        refused("postResponse", "cid", "wrong_status"),
    ]
    logs = {CHANNEL: events, "request:r1": events}
    return History(commands, [view]), Final("e", {"r1": "ANSWERED"}, {"r1": "a1"}, logs)


def test_a_history_that_keeps_all_promises_is_not_blamed() -> None:
    assert violations(*good()) == []


Forgery = Callable[[History, Final], Final]


def lost(history: History, final: Final) -> Final:
    return replace(final, statuses={}, logs={CHANNEL: final.logs[CHANNEL]})


def unheard(history: History, final: Final) -> Final:
    return replace(final, statuses={**final.statuses, "r2": "PENDING"})


def two_winners(history: History, final: Final) -> Final:
    history.commands.append(done("postResponse", "cid", id="a2"))
    return final


def cancelled_too(history: History, final: Final) -> Final:
    history.commands.append(done("cancelRequest", "ada"))
    return final


def another_answer(history: History, final: Final) -> Final:
    return replace(final, answers={"r1": "a7"})


def refused_and_open(history: History, final: Final) -> Final:
    return replace(final, statuses={"r1": "PENDING"})


def fault(history: History, final: Final) -> Final:
    history.commands.append(refused("claimRequest", "cid", "internal"))
    return final


def gap_in_the_log(history: History, final: Final) -> Final:
    events = final.logs[CHANNEL]
    return replace(final, logs={**final.logs, CHANNEL: [events[0], events[2]]})


def twice_in_the_log(history: History, final: Final) -> Final:
    events = final.logs[CHANNEL]
    return replace(
        final, logs={**final.logs, CHANNEL: [*events, LoggedEvent(4, events[0].id, "x")]}
    )


def claimed_twice(history: History, final: Final) -> Final:
    events = log("created", "claimed", "claimed", "answered")
    return replace(final, logs={**final.logs, "request:r1": events})


def ended_twice(history: History, final: Final) -> Final:
    return replace(
        final, logs={**final.logs, "request:r1": log("created", "cancelled", "answered")}
    )


def missed(history: History, final: Final) -> Final:
    del history.views[0].told[3]
    return final


def doubled(history: History, final: Final) -> Final:
    told = history.views[0].told
    told.append(told[-1])
    return final


def swapped(history: History, final: Final) -> Final:
    told = history.views[0].told
    told[-1], told[-2] = told[-2], told[-1]
    return final


def another_event(history: History, final: Final) -> Final:
    history.views[0].told[-1] = Saw("e", 3, "r9.3.0")
    return final


def not_at_the_end(history: History, final: Final) -> Final:
    history.views[0].told.pop()
    return final


def went_on_elsewhere(history: History, final: Final) -> Final:
    history.views[0].told[2] = Resumed("e", 1, 2, None)
    return final


def reloaded_for_nothing(history: History, final: Final) -> Final:
    history.views[0].told[2:] = [Resumed("e", 1, 3, "epoch")]
    return final


def another_epoch(history: History, final: Final) -> Final:
    return replace(final, epoch="f")


@pytest.mark.parametrize(
    ("forge", "blamed"),
    [
        (lost, "acknowledged and is lost"),
        (unheard, "created twice"),
        (two_winners, "several winners"),
        (cancelled_too, "cancelRequest of r1 was acknowledged, and it is ANSWERED"),
        (another_answer, "another one than was acknowledged"),
        (refused_and_open, "refused, and it is still open"),
        (fault, "refused with internal"),
        (gap_in_the_log, "not numbered"),
        (twice_in_the_log, "2 times"),
        (claimed_twice, "claimed twice at once"),
        (ended_twice, "ends with"),
        (missed, "3 came after 1"),
        (doubled, "3 came after 3"),
        (swapped, "3 came after 1"),
        (another_event, "which the log does not have there"),
        (not_at_the_end, "has come to 2 of 3"),
        (went_on_elsewhere, "goes on after 2"),
        (reloaded_for_nothing, "reloaded without need (epoch)"),
        (another_epoch, "told of epoch e, and it is f"),
    ],
)
def test_a_history_that_breaks_one_is_blamed_for_it(forge: Forgery, blamed: str) -> None:
    history, final = good()
    final = forge(history, final)
    assert any(blamed in wrong for wrong in violations(history, final)), violations(history, final)


def test_a_watcher_that_was_told_to_reload_what_retention_has_removed_goes_on_from_there() -> None:
    history, final = good()
    told = history.views[0].told
    told[2:] = [Resumed("e", 1, 2, "trimmed"), told[-1]]
    assert violations(history, final) == []
