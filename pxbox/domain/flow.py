"""What may happen to a flow, and what follows when it does.

Pure: no clock, no ids, no I/O. The law is the table in `schemas/README.md`, "A flow's life".
Outcomes of waits are no commands: whatever settles a wait does so unguarded, and wakes the flow
(F2).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from msgspec import Raw
from msgspec.structs import replace

from pxbox.model.errors import FlowParked, Overloaded, StaleCheckpoint, WrongStatus
from pxbox.model.flow import OPEN_FLOW, Flow, FlowStatus, Parked, Signal, WaitKind

# What nobody waits for is kept until somebody does, within this.
MOST_SIGNALS = 1_000


@dataclass(frozen=True, slots=True)
class OpenWait:
    """A wait that has no outcome yet. `name`: of the signal that it waits for."""

    id: str
    kind: WaitKind
    name: str | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a run has come to. `revision` is the one it was decided on, `digest` tells a repeat.

    `status`: RUNNING goes on; WAITING_INPUT or SUSPENDED waits; COMPLETED, FAILED, and after a
    cancel CANCELLED, end it. `parked` leaves it to an operator, in place of what `status` says.
    `kind_version` is that of the code that runs it now. `restarts`: it begins anew, with nothing of
    what it has come to.
    """

    revision: int
    digest: str
    status: FlowStatus
    steps: int
    compensations: int
    text: str | None
    error: str | None = None
    parked: tuple[str, str] | None = None
    kind_version: int | None = None
    restarts: bool = False


@dataclass(frozen=True, slots=True)
class Give:
    """A signal. `taken`: a wait for this name is open, and takes it."""

    name: str
    data: Raw
    taken: bool


@dataclass(frozen=True, slots=True)
class AskBeside:
    """A request is created for the flow, and not by a checkpoint."""


@dataclass(frozen=True, slots=True)
class Cancel:
    by: str
    reason: str | None


@dataclass(frozen=True, slots=True)
class Retry:
    """Run a parked or a failed flow again, from its last checkpoint."""


Command = Checkpoint | Give | AskBeside | Cancel | Retry


@dataclass(frozen=True, slots=True)
class Transition:
    """The flow as it is afterwards, and the type of the event that tells of it (None: no event).

    `runnable`: a worker is to run it now.
    """

    after: Flow
    type: str | None
    runnable: bool = False


# Every (status, command) that may change something; what is absent is refused, unless its goal
# already holds. A cancelled flow that has something to undo goes on to checkpoint.
ALLOWED: dict[FlowStatus, frozenset[type]] = {
    FlowStatus.RUNNING: frozenset({Checkpoint, Give, AskBeside, Cancel, Retry}),
    FlowStatus.WAITING_INPUT: frozenset({Checkpoint, Give, AskBeside, Cancel, Retry}),
    FlowStatus.SUSPENDED: frozenset({Checkpoint, Give, AskBeside, Cancel, Retry}),
    FlowStatus.COMPLETED: frozenset(),
    FlowStatus.CANCELLED: frozenset({Checkpoint}),
    FlowStatus.FAILED: frozenset({Retry}),
}

_TYPES = {
    FlowStatus.COMPLETED: "flow.completed",
    FlowStatus.FAILED: "flow.failed",
    FlowStatus.CANCELLED: "flow.cancelled",
}


def decide(flow: Flow, command: Command, now: datetime) -> Transition | None:
    """What follows from `command`; None: its goal already holds.

    Raises WrongStatus, StaleCheckpoint, FlowParked or Overloaded; the flow is then unchanged.
    """
    if _settled(flow, command):
        return None
    if type(command) not in ALLOWED[flow.status]:
        raise _wrong_status(flow)
    match command:
        case Checkpoint():
            return _checkpoint(flow, command, now)
        case Give():
            return _give(flow, command, now)
        case AskBeside():
            return Transition(replace(flow, beside=True, updated_at=now), None)
        case Cancel(by, reason):
            return _cancel(flow, by, reason, now)
        case Retry():
            return _retry(flow, now)


def _settled(flow: Flow, command: Command) -> bool:
    match command:
        case Checkpoint(revision, digest):
            return flow.revision == revision + 1 and flow.last == digest
        case Cancel():
            return flow.status is FlowStatus.CANCELLED
        case Retry():
            return flow.status in OPEN_FLOW and flow.parked is None
        case Give() | AskBeside():
            return False


def _checkpoint(flow: Flow, command: Checkpoint, now: datetime) -> Transition:
    if command.revision != flow.revision:
        raise StaleCheckpoint(
            f"the flow is at revision {flow.revision}; read it and decide again",
            revision=flow.revision,
        )
    if flow.parked is not None:
        raise FlowParked(f"the flow is parked: {flow.parked.reason}", parked=flow.parked.code)
    after = replace(
        flow,
        revision=flow.revision + 1,
        last=command.digest,
        steps=0 if command.restarts else flow.steps + command.steps,
        kind_version=command.kind_version or flow.kind_version,
        compensations=command.compensations,
        text=flow.text if command.text is None else command.text,
        updated_at=now,
    )
    if command.parked is not None:
        return Transition(replace(after, parked=Parked(*command.parked, now)), "flow.updated")
    if flow.status is FlowStatus.CANCELLED:
        # What a cancelled flow still does is to undo; it stays cancelled.
        return _undoing(flow, after, command)
    if command.status in OPEN_FLOW:
        type = "flow.updated" if _shows(flow, after, command.status) else None
        return Transition(replace(after, status=command.status), type)
    closed = replace(after, status=command.status, error=command.error, closed_at=now)
    return Transition(closed, _TYPES[command.status])


def _undoing(flow: Flow, after: Flow, command: Checkpoint) -> Transition:
    if not flow.compensations:
        raise _wrong_status(flow)
    if command.status in OPEN_FLOW:
        return Transition(after, None)
    return Transition(replace(after, compensations=0, error=command.error), "flow.updated")


def _shows(before: Flow, after: Flow, status: FlowStatus) -> bool:
    """Does a list row look different now?"""
    return status is not before.status or after.text != before.text


def _give(flow: Flow, command: Give, now: datetime) -> Transition:
    if command.taken:
        return Transition(replace(flow, updated_at=now), None, runnable=True)
    if len(flow.signals) >= MOST_SIGNALS:
        raise Overloaded(f"{MOST_SIGNALS} signals wait for this flow to take them")
    signal = Signal(command.name, command.data, now)
    return Transition(replace(flow, signals=(*flow.signals, signal), updated_at=now), None)


def _cancel(flow: Flow, by: str, reason: str | None, now: datetime) -> Transition:
    after = replace(
        flow, status=FlowStatus.CANCELLED, parked=None, error=reason, closed_at=now, closed_by=by,
        updated_at=now, signals=(),
    )  # fmt: skip
    # Also where there is nothing to undo: whoever has it in hand is to let it go.
    return Transition(after, "flow.cancelled", runnable=not flow.external)


def _retry(flow: Flow, now: datetime) -> Transition:
    after = replace(
        flow, status=FlowStatus.RUNNING, parked=None, error=None, closed_at=None, closed_by=None,
        updated_at=now,
    )  # fmt: skip
    return Transition(after, "flow.updated", runnable=True)


def take_signal(flow: Flow, name: str) -> tuple[Flow, Signal | None]:
    """The oldest signal of this name that nobody took, and the flow without it."""
    for n, signal in enumerate(flow.signals):
        if signal.name == name:
            return replace(flow, signals=flow.signals[:n] + flow.signals[n + 1 :]), signal
    return flow, None


def _wrong_status(flow: Flow) -> WrongStatus:
    return WrongStatus(
        f"the flow is {flow.status}",
        flowStatus=flow.status,
        closedBy=flow.closed_by,
        closedAt=flow.closed_at,
    )
