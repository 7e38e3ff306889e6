"""Flows: started, steered, read; and the checkpoints of whoever runs them."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from pxbox.behaviors.durable import Once
from pxbox.behaviors.flow_messages import (
    CreateFlow,
    FlowDone,
    Lease,
    NewStep,
    NewWait,
    ResumeFlow,
    Save,
    SendSignal,
    Steer,
)
from pxbox.domain import access, routing
from pxbox.domain import flow as domain
from pxbox.domain.access import Caller
from pxbox.domain.flow import OpenWait
from pxbox.model.decoding import decode_input, decode_json
from pxbox.model.errors import Forbidden, InvalidCursor, InvalidRequest, InvalidTime, NotFound
from pxbox.model.flow import Flow, FlowStatus, Parent, WaitKind
from pxbox.model.ids import is_ulid, new_ulid
from pxbox.model.principal import ADMIN
from pxbox.model.trail import Author
from pxbox.model.wire import CreateRequest
from pxbox.model.wire import flows as wire
from pxbox.postgres.flow_views import NULL, FlowFilter
from pxbox.service.asking import AskedBy, creation
from pxbox.service.core import Call, Outcome, Parts, ask, once
from pxbox.service.entrusted import Charge

# With a cursor of the largest size beside it, it fits into a message.
MOST_INPUT_BYTES = 512 * 1024
MOST_CURSOR_BYTES = 256 * 1024


async def create(parts: Parts, call: Call) -> Outcome:
    """Start a flow; replies `FlowCreated`."""
    input = call.input
    assert isinstance(input, wire.CreateFlow)
    if input.version is not None and input.cursor is not UNSET:
        raise InvalidRequest("a flow with `version` keeps its own cursor; give its `input`")
    _limit("input", input.input, MOST_INPUT_BYTES)
    cursor = NULL if input.cursor is UNSET else input.cursor
    _limit("cursor", cursor, MOST_CURSOR_BYTES)
    flow = Flow(
        id=new_ulid(),
        kind=input.kind,
        requestor=call.caller.sub,
        created_at=parts.journal.now(),
        updated_at=parts.journal.now(),
        kind_version=input.version,
        owner=await _owner(parts, call.caller, input.owner_entity),
    )
    message = CreateFlow(flow, input.input, cursor, once(call, "createFlow", ""))
    return _outcome(await ask(parts, "flow", flow.id, message), created=True)


async def _owner(parts: Parts, caller: Caller, address: str | None) -> str | None:
    if address is None:
        return caller.entity.id if caller.entity else None
    entity = await parts.directory.lookup(address)
    if entity is None or not (caller.has(ADMIN) or entity.id in caller.addresses):
        raise NotFound("no such entity that this token may own flows for")
    return entity.id


async def read(parts: Parts, call: Call) -> Outcome:
    """The flow with its input, cursor, result and open waits; replies `FlowDetail`."""
    id = _about(call)
    content = await parts.flows.content(id)
    if content is None or not access.may_see_flow(call.caller, content.flow):
        raise NotFound("no such flow")
    detail = wire.FlowDetail(
        **_row(content.flow),
        input=content.input,
        cursor=content.cursor,
        result=content.result,
        wake=content.wake,
        waiting=await parts.flows.waiting(id),
    )
    return Outcome(detail)


async def list_flows(parts: Parts, call: Call) -> Outcome:
    """Flows that the caller may see, newest first; replies `FlowPage`."""
    input = call.input
    assert isinstance(input, wire.ListFlows)
    caller = call.caller
    if input.cursor is not None and not is_ulid(input.cursor):
        raise InvalidCursor("this cursor was not given out for this list")
    mine = None if caller.has(ADMIN) else (sorted(caller.addresses), caller.sub)
    owner = None
    if input.owner_entity is not None:
        owner = await _owner(parts, caller, input.owner_entity)
    where = FlowFilter(mine, input.kind, input.status, input.parked, owner)
    found = await parts.flows.listed(where, input.cursor, input.limit + 1)
    page = found[: input.limit]
    return Outcome(
        wire.FlowPage(
            items=[wire.FlowSummary(**_row(flow)) for flow in page],
            next_cursor=page[-1].id if len(found) > input.limit else None,
        )
    )


async def history(parts: Parts, call: Call) -> Outcome:
    """What a replay needs; replies `FlowHistory`."""
    input = call.input
    assert isinstance(input, wire.GetFlowHistory)
    flow = await _visible(parts, call.caller, input.id)
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


async def timeline(parts: Parts, call: Call) -> Outcome:
    """Every step, wait and outcome, in the order they happened; replies `FlowTimeline`."""
    input = call.input
    assert isinstance(input, wire.GetFlowTimeline)
    await _visible(parts, call.caller, input.id)
    items = await parts.flows.timeline(input.id, input.after, input.limit + 1)
    return Outcome(wire.FlowTimeline(items=items[: input.limit], more=len(items) > input.limit))


async def signal(parts: Parts, call: Call) -> Outcome:
    """Send a signal; one that comes before its wait is kept. Replies `FlowSummary`."""
    input = call.input
    assert isinstance(input, wire.SignalFlow)
    await _steerable(parts, call.caller, input.id)
    return await _signal(
        parts, input.id, input.name, input.data, once(call, "signalFlow", input.id)
    )


async def resume(parts: Parts, call: Call) -> Outcome:
    """Tell a flow of an event: an external one keeps it as its cursor's `lastEvent`, and any other
    gets it as a signal. Replies `FlowSummary`."""
    input = call.input
    assert isinstance(input, wire.ResumeFlow)
    flow = await _steerable(parts, call.caller, input.id)
    key = once(call, "resumeFlow", input.id)
    if not flow.external:
        return await _signal(parts, input.id, input.event, input.data, key)
    _limit("data", input.data, MOST_CURSOR_BYTES)
    message = ResumeFlow(input.event, _plain(input.data), call.caller.sub, key)
    return _outcome(await ask(parts, "flow", input.id, message))


async def _signal(parts: Parts, id: str, name: str, data: Raw, key: Once | None) -> Outcome:
    _limit("data", data, MOST_CURSOR_BYTES)
    return _outcome(await ask(parts, "flow", id, SendSignal(name, _plain(data), key)))


async def cancel(parts: Parts, call: Call) -> Outcome:
    """Cancel it and what it waits for (F6); replies `FlowSummary`."""
    input = call.input
    assert isinstance(input, wire.CancelFlow)
    await _steerable(parts, call.caller, input.id)
    command = domain.Cancel(call.caller.sub, input.reason)
    message = Steer(command, once(call, "cancelFlow", input.id))
    return _outcome(await ask(parts, "flow", input.id, message))


async def retry(parts: Parts, call: Call) -> Outcome:
    """Run a parked or failed flow again; replies `FlowSummary`."""
    id = _about(call)
    await _steerable(parts, call.caller, id)
    message = Steer(domain.Retry(), once(call, "retryFlow", id))
    return _outcome(await ask(parts, "flow", id, message))


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
        result=None if input.result is UNSET else _plain(input.result),
        restart=None if input.restart is UNSET else _plain(input.restart),
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
    flow = await parts.flows.flow(_known(flow_id))
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
    _limit(f"the result of step {step.key!r}", step.result, MOST_INPUT_BYTES)
    return NewStep(step.key, step.digest, _plain(step.result))


async def _cancelled(parts: Parts, input: wire.CheckpointFlow) -> list[OpenWait]:
    if not input.cancels:
        return []
    wanted = set(input.cancels)
    return [wait for wait in await parts.flows.open_waits(input.id) if wait.id in wanted]


def _cursor(input: wire.CheckpointFlow) -> Raw | None:
    if input.cursor is UNSET:
        return None
    _limit("the cursor", input.cursor, MOST_CURSOR_BYTES)
    return _plain(input.cursor)


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
    _limit("the input of a child", child.input, MOST_INPUT_BYTES)
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
    return made, _plain(child.input)


async def _visible(parts: Parts, caller: Caller, flow_id: str) -> Flow:
    flow = await parts.flows.flow(_known(flow_id))
    if flow is None or not access.may_see_flow(caller, flow):
        raise NotFound("no such flow")
    return flow


async def _steerable(parts: Parts, caller: Caller, flow_id: str) -> Flow:
    flow = await _visible(parts, caller, flow_id)
    if not access.may_steer(caller, flow):
        raise Forbidden("only its owner and its creator steer a flow")
    return flow


def channel(flow_id: str) -> str:
    """The channel that tells of this flow's changes."""
    return routing.flow_channel(flow_id)


def reply_to_keep(flow: Flow) -> bytes:
    """The encoded reply of a command, to be kept under its idempotency key."""
    if flow.version == 1:
        return msgspec.json.encode(wire.FlowCreated(**_row(flow), flow_id=flow.id))
    return msgspec.json.encode(wire.FlowSummary(**_row(flow)))


def _outcome(done: object, created: bool = False) -> Outcome:
    assert isinstance(done, FlowDone)
    if done.replay is not None:
        return Outcome(done.replay, replayed=True)
    row = _row(done.flow)
    if created:
        return Outcome(wire.FlowCreated(**row, flow_id=done.flow.id))
    return Outcome(wire.FlowSummary(**row))


def _row(flow: Flow) -> dict[str, Any]:
    return {
        "id": flow.id,
        "kind": flow.kind,
        "version": flow.kind_version,
        "status": flow.status,
        "revision": flow.revision,
        "text": flow.text,
        "parked": flow.parked,
        "error": flow.error,
        "owner_entity": flow.owner,
        "requestor": flow.requestor,
        "steps": flow.steps,
        "created_at": flow.created_at,
        "updated_at": flow.updated_at,
        "closed_at": flow.closed_at,
        "closed_by": flow.closed_by,
    }


def _about(call: Call) -> str:
    assert isinstance(call.input, wire.FlowId)
    return _known(call.input.id)


def _known(flow_id: str) -> str:
    if not is_ulid(flow_id):
        raise NotFound("no such flow")
    return flow_id


def _plain(raw: Raw) -> Raw:
    """What is kept is what was read: one reading of repeated members and of numbers."""
    return Raw(msgspec.json.encode(decode_json(bytes(raw))))


def _limit(what: str, raw: Raw, most: int) -> None:
    if len(bytes(raw)) > most:
        raise InvalidRequest(f"{what} has more than {most} bytes; keep large data elsewhere")
