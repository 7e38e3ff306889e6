"""What is recorded of a flow: the steps that have run, and its waits with their outcomes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from pxbox.client.schemas import to_json
from pxbox.model.flow import WaitKind
from pxbox.model.wire.flows import StepView, WaitView


@dataclass(slots=True)
class Step:
    digest: str
    result: bytes


@dataclass(slots=True)
class Wait:
    """`outcome` is None while there is none; `order` says which of two came first."""

    id: str
    kind: WaitKind
    digest: str
    outcome: str | None = None
    detail: bytes = b"null"
    payload: bytes = b"null"
    order: tuple[object, ...] = ()


class Record(msgspec.Struct):
    """A run as a file keeps it, for replays in tests."""

    flow_id: str
    version: int
    input: msgspec.Raw
    state: dict[str, Any]
    steps: list[StepView]
    waits: list[WaitView]


@dataclass(slots=True)
class History:
    """By key, which is a name and its occurrence: `receipt#1`."""

    steps: dict[str, Step] = field(default_factory=dict)
    waits: dict[str, Wait] = field(default_factory=dict)

    def add_steps(self, steps: Iterable[StepView]) -> None:
        for step in steps:
            self.steps[step.key] = Step(step.digest, bytes(step.result))

    def add_waits(self, waits: Iterable[WaitView]) -> list[str]:
        """Take in waits and outcomes; return the keys of those whose outcome is new."""
        settled = []
        for view in waits:
            if view.key == view.id:
                # A request that was created beside the code.
                continue
            wait = self.waits.setdefault(view.key, Wait(view.id, view.kind, view.digest or ""))
            if view.outcome is None or wait.outcome is not None:
                continue
            wait.outcome = str(view.outcome)
            wait.detail, wait.payload = bytes(view.detail), bytes(view.payload)
            wait.order = (view.wake, view.settled_at, view.id)
            settled.append(view.key)
        return settled

    def renamed(self, renames: dict[str, str]) -> History:
        """The same under other names."""

        def key(old: str) -> str:
            name, _, occurrence = old.rpartition("#")
            return f"{renames.get(name, name)}#{occurrence}"

        return History(
            {key(old): step for old, step in self.steps.items()},
            {key(old): wait for old, wait in self.waits.items()},
        )


def digest(*values: Any) -> str:
    """A hash of what a step or a wait was given. Raises TypeError for what has no JSON form."""
    encoded = msgspec.json.encode(
        [msgspec.json.decode(to_json(value)) for value in values], order="sorted"
    )
    return hashlib.sha256(encoded).hexdigest()[:32]
