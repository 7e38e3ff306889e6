"""Checkpoints: what whoever runs a flow makes durable of it; and the history for a replay."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import UNSET, Raw

from pxbox.behaviors.flow_messages import FlowDone, Lease, NewStep, NewWait, Save
from pxbox.domain import access
from pxbox.domain import flow as domain
from pxbox.domain.access import Caller
from pxbox.domain.flow import OpenWait
from pxbox.model.decoding import decode_input
from pxbox.model.errors import InvalidRequest, InvalidTime, NotFound
from pxbox.model.flow import Flow, FlowStatus, Parent, WaitKind
from pxbox.model.ids import new_ulid
from pxbox.model.trail import Author
from pxbox.model.wire import CreateRequest
from pxbox.model.wire import flows as wire
from pxbox.service.asking import AskedBy, creation
from pxbox.service.core import Call, Outcome, Parts, ask
from pxbox.service.entrusted import Charge
from pxbox.service.flows import (
    MOST_CURSOR_BYTES,
    MOST_INPUT_BYTES,
    check_size,
    checked_id,
    plain,
    visible,
)


async def history(parts: Parts, call: Call) -> Outcome:
    """What a replay needs; replies `FlowHistory`."""
    input = call.input
    assert isinstance(input, wire.GetFlowHistory)
    flow = await visible(parts, call.caller, input.id)
    content = await parts.flows.content(input.id)
    assert content is not None, "it was just seen"
    if input.after_step == 0 and access.may_work(call.caller, flow.kind):
        parts.flow_figures.replays += 1
    steps, more = await parts.flows.steps(input.id, input.after_step)
    since = -1 if input.since_wake is None else input.since_wake
    waits = await parts.flows.waits({input.id: since})
    return Outcome(
        wire.FlowHistory(
            flow_id=input.id,
            wake=content.wake,
            steps=steps,
            waits=waits.get(input.id, []),
            more=more,
        )
    )


async def checkpoint(parts: Parts, call: Call) -> Outcome:
    """Make durable what a run has come to; replies `Checkpointed`."""
    input = call.input
    assert isinstance(input, wire.CheckpointFlow)
    flow = await _charge(parts, call.caller, input.id)
    lease = _lease(flow, input)
    if input.status in (FlowStatus.WAITING_INPUT, FlowStatus.SUSPENDED) and input.wake is None:
        raise InvalidRequest("a flow that waits says which `wake` it has seen")
    _check_keys(input)
    # Waits of one checkpoint are in their order by their ids: they begin at the same time.
    ids = sorted(new_ulid() for _ in input.waits)
    waits = [
        await _new_wait(parts, call, flow, wait, id)
        for wait, id in zip(input.waits, ids, strict=True)
    ]
    message = Save(
        command=_command(input),
        lease=lease,
        wake=input.wake,
        steps=[_new_step(step) for step in input.steps],
        waits=waits,
        cancels=await _cancelled(parts, input),
        cursor=_cursor(input),
        result=None if input.result is UNSET else plain(input.result),
        restart=None if input.restart is UNSET else plain(input.restart),
    )
    done = await ask(parts, "flow", input.id, message)
    assert isinstance(done, FlowDone)
    return Outcome(await _checkpointed(parts, done, input, waits))


async def _checkpointed(
    parts: Parts, done: FlowDone, input: wire.CheckpointFlow, waits: list[NewWait]
) -> wire.Checkpointed:
    wake, outcomes = input.wake or 0, []
    wait_ids = {wait.key: wait.id for wait in waits}
    if done.behind:
        content = await parts.flows.content(input.id)
        assert content is not None, "it was just written"
        outcomes = (await parts.flows.waits({input.id: wake})).get(input.id, [])
        wake = content.wake
        # A repeat of a checkpoint whose reply was lost: its waits have the ids they got then.
        known = {wait.key: wait.id for wait in await parts.flows.waiting(input.id)}
        known |= {wait.key: wait.id for wait in outcomes}
        wait_ids = {key: known.get(key, id) for key, id in wait_ids.items()}
    return wire.Checkpointed(
        flow_id=done.flow.id,
        revision=done.flow.revision,
        status=done.flow.status,
        wake=wake,
        behind=done.behind,
        wait_ids=wait_ids,
        outcomes=outcomes,
    )


async def _charge(parts: Parts, caller: Caller, flow_id: str) -> Charge:
    """The flow that is checkpointed: one that was leased here is not read again."""
    known = parts.entrusted.flows.get(flow_id)
    if known is not None and known.ref.kind is not None and access.may_work(caller, known.ref.kind):
        return known
    flow = await parts.flows.flow(checked_id(flow_id))
    if flow is None or not _may_checkpoint(caller, flow):
        raise NotFound("no such flow")
    return Charge(flow.ref, flow.requestor)


def _may_checkpoint(caller: Caller, flow: Flow) -> bool:
    if flow.external:
        return access.may_steer(caller, flow)
    return access.may_work(caller, flow.kind)


def _lease(flow: Charge, input: wire.CheckpointFlow) -> Lease | None:
    if flow.external:
        if input.session_id is not None or input.fence is not None:
            raise InvalidRequest("no worker has this flow: it is external")
        return None
    if input.session_id is None or input.fence is None:
        raise InvalidRequest("a worker gives its `sessionId` and the `fence` of its lease")
    return Lease(input.session_id, input.fence)


def _command(input: wire.CheckpointFlow) -> domain.Checkpoint:
    parked = None if input.parked is None else (input.parked.code, input.parked.reason)
    return domain.Checkpoint(
        revision=input.revision,
        digest=hashlib.sha256(msgspec.json.encode(input)).hexdigest(),
        status=input.status,
        steps=len(input.steps),
        compensations=input.compensations,
        text=input.text,
        error=input.error,
        parked=parked,
        kind_version=input.version,
        restarts=input.restart is not UNSET,
    )


def _new_step(step: wire.NewStep) -> NewStep:
    check_size(f"the result of step {step.key!r}", step.result, MOST_INPUT_BYTES)
    return NewStep(step.key, step.digest, plain(step.result))


async def _cancelled(parts: Parts, input: wire.CheckpointFlow) -> list[OpenWait]:
    if not input.cancels:
        return []
    wanted = set(input.cancels)
    return [wait for wait in await parts.flows.open_waits(input.id) if wait.id in wanted]


def _cursor(input: wire.CheckpointFlow) -> Raw | None:
    if input.cursor is UNSET:
        return None
    check_size("the cursor", input.cursor, MOST_CURSOR_BYTES)
    return plain(input.cursor)


_NEEDED = {
    WaitKind.ASK: "its `request`",
    WaitKind.TIMER: "`dueAt` or `after`",
    WaitKind.SIGNAL: "its `name`",
    WaitKind.CHILD: "its `child`",
}


def _check_keys(input: wire.CheckpointFlow) -> None:
    """Raise InvalidRequest where a key names two things: a replay would find one for the other."""
    for what, given in (("step", input.steps), ("wait", input.waits)):
        for key, times in Counter(one.key for one in given).items():
            if times > 1:
                raise InvalidRequest(f"the {what} {key!r} is given {times} times")


async def _new_wait(parts: Parts, call: Call, flow: Charge, wait: wire.NewWait, id: str) -> NewWait:
    given = {
        WaitKind.ASK: wait.request is not UNSET,
        WaitKind.TIMER: wait.due_at is not None or wait.after is not None,
        WaitKind.SIGNAL: wait.name is not None,
        WaitKind.CHILD: wait.child is not None,
    }
    if not given[wait.kind]:
        needs = _NEEDED[wait.kind]
        raise InvalidRequest(f"the wait {wait.key!r} is of kind {wait.kind}: give {needs}")
    opened = NewWait(id, wait.key, wait.kind, wait.digest, wait.name, _due(parts, wait))
    if isinstance(wait.request, Raw):
        input = decode_input(bytes(wait.request), CreateRequest)
        asked_by = AskedBy(flow.requestor, flow.ref.owner, flow.ref)
        made = await creation(parts, input, id, asked_by)
        author = Author(call.caller.sub, call.caller.principal.token_id, flow.ref.owner)
        return replace(opened, request=replace(made, author=author))
    if wait.child is not None:
        return replace(opened, child=_child(parts, flow, id, wait.child))
    return opened


def _due(parts: Parts, wait: wire.NewWait) -> datetime | None:
    if wait.due_at is not None:
        if wait.due_at.tzinfo is None:
            raise InvalidTime("times need a UTC offset, such as 2031-01-31T12:00:00Z")
        return wait.due_at.astimezone(UTC)
    if wait.after is not None:
        return parts.journal.now() + timedelta(seconds=wait.after)
    return None


def _child(parts: Parts, flow: Charge, id: str, child: wire.NewChild) -> tuple[Flow, Raw]:
    check_size("the input of a child", child.input, MOST_INPUT_BYTES)
    now = parts.journal.now()
    made = Flow(
        id=id,
        kind=child.kind,
        requestor=flow.requestor,
        created_at=now,
        updated_at=now,
        kind_version=child.version,
        owner=flow.ref.owner,
        parent=Parent(flow.ref, id),
    )
    return made, plain(child.input)
