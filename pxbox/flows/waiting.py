"""What a flow can wait for: how each is said in a checkpoint, and how its outcome is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Protocol

import msgspec

from pxbox.client.requests import Addressees, AsSchema, Details, question
from pxbox.client.schemas import shape_of, to_json
from pxbox.flows.history import Wait
from pxbox.flows.history import digest as digest_of
from pxbox.flows.kinds import FlowKind
from pxbox.flows.results import Asked, ChildEnded, Signalled
from pxbox.model.flow import WaitKind, WaitOutcome


class Waiting(Protocol):
    """Something to wait for, not yet begun."""

    kind: ClassVar[WaitKind]

    def digest(self, name: str) -> str:
        """What a replay has to give again (F1)."""
        ...

    def said(self, name: str, now: datetime) -> dict[str, Any]:
        """The members of a new wait in a checkpoint; `now` is when it begins."""
        ...

    def read(self, wait: Wait) -> Any:
        """What the wait came to."""
        ...

    def fruitful(self, wait: Wait) -> bool:
        """Has it come to something, so that it wins a race?"""
        ...


class Asking:
    """A question. A replay has to ask the same addressee; the pinned schema stands."""

    kind: ClassVar = WaitKind.ASK

    def __init__(self, to: Addressees, schema: AsSchema, details: Details) -> None:
        self._to = to
        self._schema = schema
        self._shape = shape_of(schema)
        self._details = details

    def digest(self, name: str) -> str:
        return digest_of(self._to if isinstance(self._to, str) else list(self._to))

    def said(self, name: str, now: datetime) -> dict[str, Any]:
        details = self._details.copy()
        for when in ("deadline", "attention"):
            if isinstance(lasts := details.get(when), timedelta):
                details[when] = now + lasts
        return {"request": to_json(question(self._shape, self._to, details))}

    def read(self, wait: Wait) -> Asked[Any]:
        assert wait.outcome is not None
        detail: Mapping[str, Any] = msgspec.json.decode(wait.detail) or {}
        answered = wait.outcome == WaitOutcome.ANSWERED
        return Asked(
            wait.outcome,
            wait.id,
            detail.get("by"),
            detail.get("reason"),
            self._shape.read(wait.payload) if answered else None,
        )

    def fruitful(self, wait: Wait) -> bool:
        return wait.outcome == WaitOutcome.ANSWERED


class Sleep:
    """A pause."""

    kind: ClassVar = WaitKind.TIMER

    def __init__(self, lasts: timedelta | float) -> None:
        self._seconds = lasts.total_seconds() if isinstance(lasts, timedelta) else float(lasts)
        if self._seconds < 0:
            raise ValueError("a flow cannot sleep until before now")

    def digest(self, name: str) -> str:
        return ""

    def said(self, name: str, now: datetime) -> dict[str, Any]:
        return {"after": self._seconds}

    def read(self, wait: Wait) -> None:
        return None

    def fruitful(self, wait: Wait) -> bool:
        return wait.outcome == WaitOutcome.FIRED


class SignalWait:
    """A signal."""

    kind: ClassVar = WaitKind.SIGNAL

    def __init__(self, schema: Any, timeout: timedelta | None) -> None:
        self._shape = shape_of(True if schema is None else schema)
        self._timeout = timeout

    def digest(self, name: str) -> str:
        return ""

    def said(self, name: str, now: datetime) -> dict[str, Any]:
        said: dict[str, Any] = {"name": name}
        if self._timeout is not None:
            said["after"] = self._timeout.total_seconds()
        return said

    def read(self, wait: Wait) -> Signalled[Any]:
        assert wait.outcome is not None
        received = wait.outcome == WaitOutcome.RECEIVED
        return Signalled(wait.outcome, self._shape.read(wait.detail) if received else None)

    def fruitful(self, wait: Wait) -> bool:
        return wait.outcome == WaitOutcome.RECEIVED


class Child:
    """Another flow, by its code, or by its name and version where that is elsewhere."""

    kind: ClassVar = WaitKind.CHILD

    def __init__(self, kind: FlowKind | tuple[str, int], input: Any) -> None:
        name, version = (kind.name, kind.version) if isinstance(kind, FlowKind) else kind
        self._name, self._version = name, version
        self._input = input

    def digest(self, name: str) -> str:
        return digest_of(self._name, self._input)

    def said(self, name: str, now: datetime) -> dict[str, Any]:
        child = {"kind": self._name, "version": self._version, "input": to_json(self._input)}
        return {"child": child}

    def read(self, wait: Wait) -> ChildEnded[Any]:
        assert wait.outcome is not None
        data = msgspec.json.decode(wait.detail)
        if wait.outcome == WaitOutcome.COMPLETED:
            return ChildEnded(wait.outcome, wait.id, None, data)
        return ChildEnded(wait.outcome, wait.id, data)

    def fruitful(self, wait: Wait) -> bool:
        return wait.outcome == WaitOutcome.COMPLETED
