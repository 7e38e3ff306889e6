"""What each change of a flow writes: its row, steps, waits, and what they bring about (S4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import msgspec
from msgspec import Raw
from msgspec.structs import replace as replaced

from actors.journal import AlarmClear, AlarmSet, Commit, Event, Message, Row, Settlement
from pxbox.behaviors.flow_messages import NewStep, NewWait, Save
from pxbox.behaviors.request_commit import joined
from pxbox.behaviors.settling import settled, woken
from pxbox.domain import flow as domain
from pxbox.domain.flow import OpenWait
from pxbox.domain.flow_events import channels_of, flow_event
from pxbox.model.flow import OPEN_FLOW, Flow, FlowStatus, Signal, WaitKind, WaitOutcome
from pxbox.model.ids import new_ulid

_encode = msgspec.json.encode


def told(flow: Flow, type: str, actor: str | None) -> Event:
    event_id, data = flow_event(flow, type, actor)
    return Event(event_id, channels_of(flow), data)


def new_flow_row(flow: Flow, input: Raw, cursor: Raw) -> Row:
    """The row of a flow that is to be created."""
    return flow_row(
        flow,
        runnable=None if flow.external else "now",
        kind=flow.kind,
        kind_version=flow.kind_version,
        owner=flow.owner,
        requestor=flow.requestor,
        created_at=flow.created_at,
        input=bytes(input).decode(),
        cursor=bytes(cursor).decode(),
    )


def flow_row(flow: Flow, runnable: str | None = None, **values: object) -> Row:
    """`runnable`: `now`, `clear`, `restart`, or None to leave it as it is."""
    state = _encode(flow).decode()
    return Row(
        "flow",
        flow.id,
        flow.version,
        {
            "status": flow.status.value,
            "parked": flow.parked is not None,
            "state": state,
            "runnable": runnable,
            **values,
        },
    )


def take_signals(flow: Flow, waits: Sequence[NewWait]) -> tuple[Flow, tuple[Settlement, ...]]:
    """Signals that came before the waits for them are taken at once, oldest first."""
    taken: list[Settlement] = []
    for wait in waits:
        if wait.kind is not WaitKind.SIGNAL or wait.name is None:
            continue
        flow, signal = domain.take_signal(flow, wait.name)
        if signal is not None:
            taken.append(_received(flow, wait, signal))
    return flow, tuple(taken)


def _received(flow: Flow, wait: NewWait, signal: Signal) -> Settlement:
    settlement, _ = settled(
        flow.ref, wait.id, WaitOutcome.RECEIVED, flow.updated_at, bytes(signal.data)
    )
    return settlement


def saving(before: Flow, after: Flow, message: Save, suspends: bool) -> Commit:
    """All that a checkpoint writes but its own event."""
    closes = after.status not in OPEN_FLOW or after.parked is not None
    values: dict[str, object] = {}
    if message.cursor is not None:
        values["cursor"] = bytes(message.cursor).decode()
    if message.result is not None:
        values["result"] = bytes(message.result).decode()
    if message.command.kind_version is not None:
        values["kind_version"] = message.command.kind_version
    if message.restart is not None:
        values["input"] = bytes(message.restart).decode()
    if suspends:
        values["seen"] = message.wake
    runnable = "clear" if suspends or closes else None
    row = flow_row(after, "restart" if message.restart is not None else runnable, **values)
    expects: dict[str, object] = {}
    if message.lease is not None:
        expects |= {"session": message.lease.session, "fence": message.lease.fence}
    if suspends and message.wake is not None:
        expects["wake"] = message.wake
    commit = Commit(id=uuid4(), rows=(replace(row, expects=expects),))
    steps = tuple(_step_row(before, n, step) for n, step in enumerate(message.steps, 1))
    commit = replace(commit, rows=(*commit.rows, *steps))
    for new in message.waits:
        commit = opened(commit, after, new)
    for wait in message.cancels:
        commit = _let_go(commit, after, wait)
    if after.status not in OPEN_FLOW and after.parent is not None:
        commit = _settles_parent(commit, after, message.result)
    return commit


def happened(flow: Flow, event: str, data: Raw) -> tuple[Row, Settlement]:
    """An event that an external flow is told of: a wait that begins with its outcome."""
    id = new_ulid()
    values = {
        "flow_id": flow.id,
        "key": f"{event}#{flow.version}",
        "kind": WaitKind.SIGNAL.value,
        "name": event,
        "digest": "",
        "due_at": None,
    }
    settlement, _ = settled(flow.ref, id, WaitOutcome.RECEIVED, flow.updated_at, bytes(data))
    return Row("flow_wait", id, 1, values), settlement


def _step_row(flow: Flow, n: int, step: NewStep) -> Row:
    values = {
        "flow_id": flow.id,
        "n": flow.steps + n,
        "key": step.key,
        "digest": step.digest,
        "result": bytes(step.result).decode(),
    }
    return Row("flow_step", f"{flow.id}/{step.key}", 1, values)


def opened(commit: Commit, flow: Flow, wait: NewWait) -> Commit:
    """The commit with this wait, and with what the flow waits for."""
    values = {
        "flow_id": flow.id,
        "key": wait.key,
        "kind": wait.kind.value,
        "name": wait.name,
        "digest": wait.digest,
        "due_at": wait.due,
    }
    commit = replace(commit, rows=(*commit.rows, Row("flow_wait", wait.id, 1, values)))
    if wait.due is not None:
        alarm = AlarmSet(wait_alarm(flow.id, wait.id), wait.due, f"flow:{flow.id}")
        commit = replace(commit, alarms=(*commit.alarms, alarm))
    if wait.request is not None:
        commit = joined(commit, wait.request)
    if wait.child is not None:
        child, input = wait.child
        child = replaced(child, version=1)
        commit = replace(
            commit,
            rows=(*commit.rows, new_flow_row(child, input, Raw(b"null"))),
            events=(
                *commit.events,
                told(child, "flow.created", child.requestor),
                *woken(child.ref, f"{child.id}.1", flow.updated_at),
            ),
        )
    return commit


def _let_go(commit: Commit, flow: Flow, wait: OpenWait) -> Commit:
    """The flow needs this wait no more: what it waits for is cancelled under its own guard (F6)."""
    if wait.kind in (WaitKind.ASK, WaitKind.CHILD):
        kind = "request" if wait.kind is WaitKind.ASK else "flow"
        body = _encode({"by": flow.requestor, "reason": "the flow needs it no more"})
        message = Message(uuid4(), f"{kind}:{wait.id}", body)
        return replace(commit, messages=(*commit.messages, message))
    outcome = {"outcome": WaitOutcome.CANCELLED.value, "data": None}
    quiet = Settlement(flow.id, wait.id, outcome, wakes=False)
    clear = AlarmClear(wait_alarm(flow.id, wait.id))
    return replace(commit, settlements=(*commit.settlements, quiet), alarms=(*commit.alarms, clear))


def ended(commit: Commit, flow: Flow, waits: Sequence[OpenWait]) -> Commit:
    """A cancelled flow waits for nothing any more, and is waited for no more."""
    for wait in waits:
        commit = _let_go(commit, flow, wait)
    return commit if flow.parent is None else _settles_parent(commit, flow, None)


def _settles_parent(commit: Commit, flow: Flow, result: Raw | None) -> Commit:
    assert flow.parent is not None
    outcome = {
        FlowStatus.COMPLETED: WaitOutcome.COMPLETED,
        FlowStatus.FAILED: WaitOutcome.FAILED,
        FlowStatus.CANCELLED: WaitOutcome.CANCELLED,
    }[flow.status]
    data = _encode(flow.error) if result is None else bytes(result)
    settlement, news = settled(flow.parent.flow, flow.parent.wait, outcome, flow.updated_at, data)
    return replace(
        commit,
        settlements=(*commit.settlements, settlement),
        events=(*commit.events, *news),
    )


def wait_alarm(flow_id: str, wait_id: str) -> str:
    return f"flow:{flow_id}:{wait_id}"
