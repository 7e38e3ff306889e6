"""What a test of a flow scripts: who answers what, which signals come; and what it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pxbox.flows.kinds import FlowKind


@dataclass(frozen=True, slots=True)
class Question:
    """What a scripted responder sees: the name of the ask, and the input of its request."""

    name: str
    request: Mapping[str, Any]
    asked_at: datetime


@dataclass(frozen=True, slots=True)
class Decline:
    """A scripted responder declines."""

    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Silence:
    """A scripted responder never answers: the request waits for its deadline."""


Answer = Callable[[Question], Any] | Any
"""An answer, a Decline, a Silence, or a function that gives one of these."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A signal to the flow, `after` its start."""

    name: str
    data: Any = None
    after: timedelta = timedelta(0)


class NothingHappens(AssertionError):
    """The flow waits, and nothing that the test has scripted will ever end that."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a flow ended. `result` is plain JSON; `lasted` is by the virtual clock."""

    status: str
    result: Any
    error: str | None
    text: str | None
    parked: str | None
    questions: list[Question]
    lasted: timedelta
    checkpoints: int
    record: bytes


@dataclass(frozen=True, slots=True)
class Script:
    answers: dict[str, Answer]
    signals: tuple[Signal, ...]
    kinds: tuple[FlowKind, ...]
    cancel_after: timedelta | None
