"""Flows in tests: on a virtual clock, with scripted responders, in milliseconds, without a broker.

    ended = run_flow(expense, Claim("ann", 120), answers={"receipt": {"url": "..."}, "boss": True})
    assert ended.result == {"paid": True}

What runs is the flow's own code on the replay of `pxbox.flows`; only the broker is in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import anyio
import msgspec

from pxbox.flows.history import Record
from pxbox.flows.kinds import FlowKind
from pxbox.testing.sandbox import Sandbox
from pxbox.testing.script import (
    Answer,
    Decline,
    Ended,
    NothingHappens,
    Question,
    Script,
    Signal,
    Silence,
)

__all__ = [
    "Answer",
    "Decline",
    "Ended",
    "NothingHappens",
    "Question",
    "Signal",
    "Silence",
    "crash_everywhere",
    "replay",
    "run_flow",
]


def run_flow(
    kind: FlowKind,
    input: Any = None,
    *,
    answers: Mapping[str, Answer] | None = None,
    signals: Sequence[Signal] = (),
    children: Sequence[FlowKind] = (),
    cancel_after: timedelta | None = None,
) -> Ended:
    """Run a flow to its end. `answers` are by the name of the ask; one that is not there is asked
    in vain. `children` are the kinds that it starts. Raises NothingHappens."""
    script = Script(dict(answers or {}), tuple(signals), (kind, *children), cancel_after)
    return anyio.run(Sandbox(script, None).run, kind, input)


def crash_everywhere(
    kind: FlowKind,
    input: Any = None,
    *,
    effects: list[Any] | None = None,
    answers: Mapping[str, Answer] | None = None,
    signals: Sequence[Signal] = (),
    children: Sequence[FlowKind] = (),
) -> int:
    """Run it once as it is, then again with a crash after every single checkpoint; each has to end
    alike. Returns how many crashes that were.

    `effects` is the list that the test's step functions append to: it is emptied before each run,
    and has to hold the same afterwards. A crash waits for a step that is under way, since that may
    run again (F1). Raises AssertionError with the checkpoint that made the difference.
    """
    script = Script(dict(answers or {}), tuple(signals), (kind, *children), None)

    def once(crash_after: int | None) -> tuple[Ended, list[Any]]:
        if effects is not None:
            effects.clear()
        return anyio.run(Sandbox(script, crash_after).run, kind, input), list(effects or ())

    calm, had = once(None)
    for n in range(1, calm.checkpoints):
        ended, has = once(n)
        before = (calm.status, calm.result, calm.error and calm.error.splitlines()[0], had)
        after = (ended.status, ended.result, ended.error and ended.error.splitlines()[0], has)
        assert after == before, f"a crash after checkpoint {n}: {after!r} instead of {before!r}"
    return calm.checkpoints - 1


def replay(kind: FlowKind, record: bytes) -> Ended:
    """Run today's code on the record of an earlier run: `Ended.record`, or as `pxbox flows record`
    printed.

    What is recorded is not done again, a later version's migrations are applied, and a flow that
    waits is left waiting. `parked` says where the code does something else.
    """
    kept = msgspec.json.decode(record, type=Record)
    script = Script({}, (), (kind,), None)
    sandbox = Sandbox(script, None)
    return anyio.run(sandbox.replay, kind, kept)
