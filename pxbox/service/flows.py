"""Flows as their authors and owners see them: started, steered, read."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from pxbox.behaviors.durable import Once
from pxbox.behaviors.flow_messages import (
    CreateFlow,
    FlowDone,
    ResumeFlow,
    SendSignal,
    Steer,
)
from pxbox.domain import access, routing
from pxbox.domain import flow as domain
from pxbox.domain.access import Caller
from pxbox.model.decoding import decode_json
from pxbox.model.errors import Forbidden, InvalidCursor, InvalidRequest, NotFound
from pxbox.model.flow import Flow
from pxbox.model.ids import is_ulid, new_ulid
from pxbox.model.principal import ADMIN
from pxbox.model.wire import flows as wire
from pxbox.postgres.flow_views import NULL, FlowFilter
from pxbox.service.core import Call, Outcome, Parts, ask, once

# With a cursor of the largest size beside it, it fits into a message.
MOST_INPUT_BYTES = 512 * 1024
MOST_CURSOR_BYTES = 256 * 1024


async def create(parts: Parts, call: Call) -> Outcome:
    """Start a flow; replies `FlowCreated`."""
    input = call.input
    assert isinstance(input, wire.CreateFlow)
    if input.version is not None and input.cursor is not UNSET:
        raise InvalidRequest("a flow with `version` keeps its own cursor; give its `input`")
    check_size("input", input.input, MOST_INPUT_BYTES)
    cursor = NULL if input.cursor is UNSET else input.cursor
    check_size("cursor", cursor, MOST_CURSOR_BYTES)
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


async def timeline(parts: Parts, call: Call) -> Outcome:
    """Every step, wait and outcome, in the order they happened; replies `FlowTimeline`."""
    input = call.input
    assert isinstance(input, wire.GetFlowTimeline)
    await visible(parts, call.caller, input.id)
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
    check_size("data", input.data, MOST_CURSOR_BYTES)
    message = ResumeFlow(input.event, plain(input.data), call.caller.sub, key)
    return _outcome(await ask(parts, "flow", input.id, message))


async def _signal(parts: Parts, id: str, name: str, data: Raw, key: Once | None) -> Outcome:
    check_size("data", data, MOST_CURSOR_BYTES)
    return _outcome(await ask(parts, "flow", id, SendSignal(name, plain(data), key)))


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


async def visible(parts: Parts, caller: Caller, flow_id: str) -> Flow:
    """The flow, if the caller may see it. Raises NotFound."""
    flow = await parts.flows.flow(checked_id(flow_id))
    if flow is None or not access.may_see_flow(caller, flow):
        raise NotFound("no such flow")
    return flow


async def _steerable(parts: Parts, caller: Caller, flow_id: str) -> Flow:
    flow = await visible(parts, caller, flow_id)
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
    return checked_id(call.input.id)


def checked_id(flow_id: str) -> str:
    """The id, if it can be one. Raises NotFound."""
    if not is_ulid(flow_id):
        raise NotFound("no such flow")
    return flow_id


def plain(raw: Raw) -> Raw:
    """What is kept is what was read: one reading of repeated members and of numbers."""
    return Raw(msgspec.json.encode(decode_json(bytes(raw))))


def check_size(what: str, raw: Raw, most: int) -> None:
    """Raise InvalidRequest where there is more of it than may be kept with a flow."""
    if len(bytes(raw)) > most:
        raise InvalidRequest(f"{what} has more than {most} bytes; keep large data elsewhere")
