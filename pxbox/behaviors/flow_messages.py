"""What a flow's actor is told, and what it replies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import Raw

from pxbox.behaviors.courier import CancelMessage
from pxbox.behaviors.durable import Once
from pxbox.behaviors.request_messages import NewRequest
from pxbox.domain import flow as domain
from pxbox.domain.flow import OpenWait
from pxbox.model.flow import Flow, WaitKind


@dataclass(frozen=True, slots=True)
class NewWait:
    """A wait to open. `key` is the flow's own name of it and `digest` tells what it was given.

    `due`: when a timer fires, or the wait for a signal expires. `request`: what an ask asks, its
    id the wait's. `child`: the flow to start, its id the wait's, and its input.
    """

    id: str
    key: str
    kind: WaitKind
    digest: str
    name: str | None = None
    due: datetime | None = None
    request: NewRequest | None = None
    child: tuple[Flow, Raw] | None = None


@dataclass(frozen=True, slots=True)
class NewStep:
    key: str
    digest: str
    result: Raw


@dataclass(frozen=True, slots=True)
class Lease:
    """Whose hands the flow is in: a worker's session, by the fence that it was given (F4)."""

    session: str
    fence: int


@dataclass(frozen=True, slots=True)
class CreateFlow:
    flow: Flow
    input: Raw
    cursor: Raw
    once: Once | None


@dataclass(frozen=True, slots=True)
class Save:
    """A checkpoint and what it brings. `wake`: the count of wakes that the run has seen, where it
    is to wait (F2). `cancels`: open waits that it needs no more.
    `restart`: the input that the flow begins anew with."""

    command: domain.Checkpoint
    lease: Lease | None
    wake: int | None
    steps: Sequence[NewStep] = ()
    waits: Sequence[NewWait] = ()
    cancels: Sequence[OpenWait] = ()
    cursor: Raw | None = None
    result: Raw | None = None
    restart: Raw | None = None


@dataclass(frozen=True, slots=True)
class Steer:
    """A command from outside the flow."""

    command: domain.Cancel | domain.Retry
    once: Once | None


@dataclass(frozen=True, slots=True)
class SendSignal:
    name: str
    data: Raw
    once: Once | None


@dataclass(frozen=True, slots=True)
class ResumeFlow:
    """An external flow is told `event`, which its cursor keeps as `lastEvent`."""

    event: str
    data: Raw
    by: str
    once: Once | None


@dataclass(frozen=True, slots=True)
class AskBeside:
    """A request is created for the flow, and not by a checkpoint; `reply` is kept under `once`."""

    request: NewRequest
    once: Once | None
    reply: bytes


@dataclass(frozen=True, slots=True)
class FireWait:
    """The alarm of a timer, or of a wait for a signal, is due (S10)."""

    alarm_id: str
    generation: int
    wait: str


@dataclass(frozen=True, slots=True)
class FlowDone:
    """The flow as it stands, or the reply that the same key got first. `behind`: an outcome came
    before it could wait, so it goes on. `existing` is the id of the open request with the same
    subject, where there is one: then none was created."""

    flow: Flow
    replay: Raw | None = None
    behind: bool = False
    existing: str | None = None


FlowMessage = (
    CreateFlow | Save | Steer | SendSignal | ResumeFlow | AskBeside | FireWait | CancelMessage
)
