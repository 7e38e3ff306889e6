"""A flow: code that waits for people, and what the broker knows of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from msgspec import Raw, Struct


class FlowStatus(StrEnum):
    RUNNING = "RUNNING"
    WAITING_INPUT = "WAITING_INPUT"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


OPEN_FLOW = frozenset({FlowStatus.RUNNING, FlowStatus.WAITING_INPUT, FlowStatus.SUSPENDED})


class WaitKind(StrEnum):
    ASK = "ask"
    TIMER = "timer"
    SIGNAL = "signal"
    CHILD = "child"


class WaitOutcome(StrEnum):
    """How a wait ended: never null as a stand-in (F2).

    An ask is answered, declined, cancelled or expired; a timer fires; a signal is received, or
    its wait expires; a child completes, fails or is cancelled.
    """

    ANSWERED = "answered"
    DECLINED = "declined"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    FIRED = "fired"
    RECEIVED = "received"
    COMPLETED = "completed"
    FAILED = "failed"


class FlowRef(Struct, frozen=True, rename="camel"):
    """Whom something settles a wait of: the flow, its kind (None: no worker runs it), its owner."""

    id: str
    kind: str | None
    owner: str | None


class Signal(Struct, frozen=True, rename="camel"):
    """A signal that no wait has taken yet."""

    name: str
    data: Raw
    at: datetime


class Parked(Struct, frozen=True, rename="camel"):
    """Why nobody runs the flow until somebody does something about it (F5)."""

    code: str
    reason: str
    at: datetime


class Parent(Struct, frozen=True, rename="camel"):
    """The flow that waits for this one's end, and its wait."""

    flow: FlowRef
    wait: str


class Flow(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The state of one flow: what an activation holds and what its row keeps.

    `version` counts its guarded writes from 1 (S2), `revision` its checkpoints from 0 (F4).
    `kind_version` is the version of its code; None: an external flow, which no worker runs.
    `owner` is an entity, `requestor` the client that created it. `steps` counts checkpointed
    steps, `compensations` those that a failure or a cancel has still to undo. `text` is what its
    author says of it; `last` the sha256 of the last checkpoint, which tells a repeat of it.
    `beside`: requests were created for it that are not in any checkpoint.
    """

    id: str
    kind: str
    requestor: str
    created_at: datetime
    updated_at: datetime
    version: int = 0
    status: FlowStatus = FlowStatus.RUNNING
    kind_version: int | None = None
    owner: str | None = None
    revision: int = 0
    steps: int = 0
    compensations: int = 0
    signals: tuple[Signal, ...] = ()
    parent: Parent | None = None
    text: str | None = None
    parked: Parked | None = None
    error: str | None = None
    last: str | None = None
    beside: bool = False
    closed_at: datetime | None = None
    closed_by: str | None = None

    @property
    def external(self) -> bool:
        return self.kind_version is None

    @property
    def ref(self) -> FlowRef:
        return FlowRef(self.id, None if self.external else self.kind, self.owner)
