"""What waits come to: outcomes with names, never None as a stand-in (F2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pxbox.model.flow import WaitOutcome

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked(Generic[T]):
    """What became of a question. `data` is the answer, of the type that was asked for.

    `outcome`: answered, declined, cancelled or expired. `by` is the entity that answered or
    declined. Reading `data` of a question without an answer raises ValueError.
    """

    outcome: str
    request_id: str
    by: str | None
    reason: str | None
    _data: T | None = None

    @property
    def answered(self) -> bool:
        return self.outcome == WaitOutcome.ANSWERED

    @property
    def data(self) -> T:
        if not self.answered:
            raise ValueError(f"this question was {self.outcome}: it has no answer")
        return self._data  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Signalled(Generic[T]):
    """A signal that came, or (`received` false) the end of the wait for it."""

    outcome: str
    _data: T | None = None

    @property
    def received(self) -> bool:
        return self.outcome == WaitOutcome.RECEIVED

    @property
    def data(self) -> T:
        if not self.received:
            raise ValueError("no signal came in time")
        return self._data  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class ChildEnded(Generic[T]):
    """How a child flow ended: completed, failed or cancelled."""

    outcome: str
    flow_id: str
    error: str | None = None
    _data: T | None = None

    @property
    def completed(self) -> bool:
        return self.outcome == WaitOutcome.COMPLETED

    @property
    def data(self) -> T:
        if not self.completed:
            raise ValueError(f"this child {self.outcome}: {self.error}")
        return self._data  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Raced:
    """The first of several waits that came to something; the others are cancelled.

    `won` is its name, `result` what it came to. Where none came to anything, it is the last.
    """

    won: str
    result: Any
