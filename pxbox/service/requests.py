"""Requests through their whole life: created, claimed, answered, declined, cancelled, read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec
import trio
from msgspec import UNSET, Raw
from msgspec.structs import replace as replaced

from pxbox.behaviors.new_request import Content, NewRequest
from pxbox.behaviors.request import Act, Create, Done, GivenAnswer
from pxbox.domain import access, routing
from pxbox.domain import request as domain
from pxbox.domain.access import Caller
from pxbox.model import wire
from pxbox.model.decoding import decode_input
from pxbox.model.document import Document
from pxbox.model.errors import (
    InvalidRequest,
    InvalidTime,
    NoResponse,
    NotAnswered,
    NotFound,
    NotSupported,
    PxError,
    UnknownAddressee,
)  # fmt: skip
from pxbox.model.flow import FlowRef
from pxbox.model.ids import as_uuid, is_ulid, new_ulid
from pxbox.model.request import OPEN, Request, Status
from pxbox.service.core import Call, Outcome, Parts, ask, once, replayed
from pxbox.service.problems import problem

MOST_ADDRESSEES = 32
# No channel ever gets as far; what is above it, Postgres cannot be asked about.
MOST_SEQ = 2**63 - 1
# How many items of one bulk are under way at once: few enough that others are served between.
BULK_AT_ONCE = 32
# What every clock and library on the way can hold, in any offset.
_YEARS = range(1970, 9999)


def refuse_unsupported(input: msgspec.Struct, *names: str) -> None:
    """Members that the contract names and whose machinery is not there yet are never ignored."""
    for name in names:
        if getattr(input, name) is not UNSET:
            member = msgspec.structs.fields(input)
            wire_name = next(field.encode_name for field in member if field.name == name)
            raise NotSupported(f"`{wire_name}` is not supported yet; leave it out")


async def create(parts: Parts, call: Call) -> Outcome:
    """Ask an entity for data; replies `RequestCreated`."""
    input = call.input
    assert isinstance(input, wire.CreateRequest)
    request_id = new_ulid()
    read = await _read(parts, input)
    key = once(call, "createRequest", "", read)
    try:
        request = await _requested(parts, input, request_id, await _asked_by(parts, call, input))
    except PxError:
        earlier = await replayed(parts, key)
        if earlier is not None:
            return earlier
        raise
    message = Create(request, _content(input, read), key)
    done = await ask(parts, "request", request_id, message)
    return _outcome(done, created)


@dataclass(frozen=True, slots=True)
class AskedBy:
    """Who asks: a client, and the flow that the request belongs to."""

    requestor: str
    flow: FlowRef | None = None


async def creation(
    parts: Parts, input: wire.CreateRequest, request_id: str, asked_by: AskedBy
) -> NewRequest:
    """The request that `input` asks for, at version 1. Raises PxErrors."""
    request = await _requested(parts, input, request_id, asked_by)
    return NewRequest(replaced(request, version=1), _content(input, await _read(parts, input)))


async def _asked_by(parts: Parts, call: Call, input: wire.CreateRequest) -> AskedBy:
    if input.flow_id is None:
        return AskedBy(call.caller.sub)
    flow = await parts.flows.flow(input.flow_id) if is_ulid(input.flow_id) else None
    if flow is None or not access.may_steer(call.caller, flow):
        raise NotFound("no such flow")
    return AskedBy(call.caller.sub, flow.ref)


async def _read(parts: Parts, input: wire.CreateRequest) -> dict[str, Document]:
    """As they are kept: one reading of repeated members and of numbers."""
    return {
        "prefill": await parts.documents.read(bytes(input.prefill)),
        "ui_hints": await parts.documents.read(bytes(input.ui_hints)),
    }


def _content(input: wire.CreateRequest, read: Mapping[str, Document]) -> Content:
    meta = Raw(msgspec.json.encode(input.meta or {}))
    return Content(Raw(read["ui_hints"].text), Raw(read["prefill"].text), meta)


async def _requested(
    parts: Parts, input: wire.CreateRequest, request_id: str, asked_by: AskedBy
) -> Request:
    refuse_unsupported(
        input, "files_policy", "subject_key", "why", "context", "escalate",
        "no_self_answer", "default_answer", "quorum",
    )  # fmt: skip
    if input.schema_kind != "jsonschema":
        raise NotSupported("`schemaKind` other than jsonschema is not supported yet")
    now = parts.journal.now()
    deadline = _deadline(input, now)
    schema = await parts.schemas.admit(bytes(input.schema))
    return Request(
        id=request_id,
        requestor=asked_by.requestor,
        to=await _addressees(parts, input),
        schema_hash=schema.hash,
        claim_ttl=timedelta(seconds=input.claim_ttl),
        created_at=now,
        updated_at=now,
        version=1,
        title=schema.title,
        claim_required=input.claim_required,
        deadline_at=_in_utc(deadline),
        attention_at=_in_utc(input.attention_at),
        flow=asked_by.flow,
    )


def _deadline(input: wire.CreateRequest, now: datetime) -> datetime | None:
    """The one deadline of its three forms, checked against the clock (S8)."""
    given = {time for time in (input.deadline_at, input.expires_at) if time is not None}
    for time in (*given, input.attention_at):
        if time is not None and time.tzinfo is None:
            raise InvalidTime("times need a UTC offset, such as 2031-01-31T12:00:00Z")
        if time is not None and time.year not in _YEARS:
            raise InvalidTime(f"times are from {_YEARS.start} to {_YEARS.stop - 1}")
    if len(given) > 1:
        raise InvalidTime("`deadlineAt` and `expiresAt` are two names of one time; give one")
    if given and input.deadline_in is not None:
        raise InvalidTime("give the deadline as a time or as `deadlineIn`, not as both")
    deadline = given.pop() if given else None
    if input.deadline_in is not None:
        deadline = now + timedelta(seconds=input.deadline_in)
    if deadline is not None and deadline <= now:
        raise InvalidTime("the deadline has passed already", now=now)
    if deadline is not None and input.attention_at is not None and input.attention_at >= deadline:
        raise InvalidTime("`attentionAt` must be before the deadline", deadlineAt=deadline)
    return deadline


def _in_utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)


async def _addressees(parts: Parts, input: wire.CreateRequest) -> tuple[str, ...]:
    """The ids of the entities as addressed, in order, each once."""
    if (input.entity is UNSET) == (input.to is UNSET):
        raise InvalidRequest("say whom to ask by exactly one of `entity` and `to`")
    if isinstance(input.entity, wire.EntityRef):
        return (await _referred(parts, input.entity),)
    addresses = [input.to] if isinstance(input.to, str) else list(input.to or ())
    if not 1 <= len(addresses) <= MOST_ADDRESSEES:
        raise InvalidRequest(f"a request is addressed to 1 to {MOST_ADDRESSEES} entities")
    ids: dict[str, None] = {}
    for address in addresses:
        entity = await parts.directory.lookup(address)
        if entity is None:
            raise _unknown(address)
        ids[entity.id] = None
    return tuple(ids)


async def _referred(parts: Parts, reference: wire.EntityRef) -> str:
    given = [name for name in (reference.id, reference.handle) if name is not UNSET]
    if len(given) != 1:
        raise InvalidRequest("`entity` has exactly one of `id` and `handle`")
    name = str(given[0])
    if reference.id is UNSET:
        entity = await parts.directory.named(name)
    else:
        entity = await parts.directory.lookup(name) if as_uuid(name) else None
    if entity is None:
        raise _unknown(name)
    return entity.id


def _unknown(address: str) -> UnknownAddressee:
    shown = address[:256]
    return UnknownAddressee(f"no entity can be asked at {shown!r}", address=shown)


async def create_many(parts: Parts, call: Call) -> Outcome:
    """Create each item that is valid; an invalid one gets its own error and stops no other."""
    input = call.input
    assert isinstance(input, wire.BulkCreateRequests)
    items: list[wire.BulkItem] = [wire.BulkItem(index=n) for n in range(len(input.items))]
    limiter = trio.CapacityLimiter(BULK_AT_ONCE)

    async def create_one(index: int) -> None:
        async with limiter:
            items[index] = await _create_item(parts, call, index, bytes(input.items[index]))

    async with trio.open_nursery() as nursery:
        for index in range(len(items)):
            nursery.start_soon(create_one, index)
    failed = sum(item.error is not UNSET for item in items)
    return Outcome(wire.BulkCreated(created=len(items) - failed, failed=failed, items=items))


async def _create_item(parts: Parts, call: Call, index: int, raw: bytes) -> wire.BulkItem:
    try:
        input = decode_input(raw, wire.CreateRequest, ("prefill",))
        item = replace(call, input=input, item=index)
        outcome = await create(parts, item)
    except PxError as error:
        return wire.BulkItem(index=index, error=problem(error))
    reply = outcome.reply
    assert isinstance(reply, wire.RequestCreated | Raw)
    return wire.BulkItem(index=index, request=reply)


async def claim(parts: Parts, call: Call) -> Outcome:
    input = _about(call)
    command = domain.TakeClaim(call.caller.responder())
    return await _act(parts, call, Act(command, once(call, "claimRequest", input.id)))


async def release(parts: Parts, call: Call) -> Outcome:
    input = _about(call)
    override = access.may_override(call.caller)
    by = call.caller.responder() if call.caller.entity or not override else None
    command = domain.Release(by, override)
    return await _act(parts, call, Act(command, once(call, "releaseRequest", input.id)))


async def answer(parts: Parts, call: Call) -> Outcome:
    """Give the answer; replies `Response`."""
    input = call.input
    assert isinstance(input, wire.PostResponse)
    refuse_unsupported(input, "files", "draft")
    responder = call.caller.responder()
    # What is kept is what was validated: one reading of repeated members and of numbers.
    payload = await parts.documents.read(bytes(input.payload))
    command = domain.Answer(responder, new_ulid(), payload.hash)
    given = GivenAnswer(payload.text, payload.value, call.caller.sub)
    message = Act(command, once(call, "postResponse", input.id, {"payload": payload}), given)
    done = await ask(parts, "request", _known(input.id), message)
    return _outcome(done, lambda request: response(request, Raw(payload.text)))


async def decline(parts: Parts, call: Call) -> Outcome:
    input = call.input
    assert isinstance(input, wire.DeclineRequest)
    command = domain.Decline(call.caller.responder(), input.reason, last=False)
    return await _act(parts, call, Act(command, once(call, "declineRequest", input.id)))


async def cancel(parts: Parts, call: Call) -> Outcome:
    input = call.input
    assert isinstance(input, wire.CancelRequest)
    command = domain.Cancel(call.caller.sub, input.reason)
    return await _act(parts, call, Act(command, once(call, "cancelRequest", input.id)))


async def read(parts: Parts, call: Call) -> Outcome:
    """The request with its schema, hints and prefill; replies `RequestDetail`."""
    content = await parts.views.request_content(_known(_about(call).id))
    if content is None or not access.may_see(call.caller, content.request):
        raise NotFound("no such request")
    detail = wire.RequestDetail(
        **routing.list_row(content.request),
        schema_kind="jsonschema",
        schema_payload=content.schema,
        schema_hash=content.request.schema_hash,
        ui_hints=content.ui_hints,
        prefill=content.prefill,
        meta=content.meta,
    )
    return Outcome(detail)


async def visible(parts: Parts, caller: Caller, request_id: str) -> Request:
    """The request, if the caller may see it. Raises NotFound: unknown and denied are one (X2)."""
    request = await parts.views.request(_known(request_id))
    if request is None or not access.may_see(caller, request):
        raise NotFound("no such request")
    return request


async def read_answer(parts: Parts, call: Call) -> Outcome:
    """Replies `Response`. Raises NotAnswered while open, NoResponse once closed without one."""
    request = await visible(parts, call.caller, _about(call).id)
    if request.status in OPEN:
        raise NotAnswered(f"the request is {request.status}", requestStatus=request.status)
    if request.status is not Status.ANSWERED:
        raise NoResponse(f"the request is {request.status}", requestStatus=request.status)
    if not access.may_read_answer(call.caller, request):
        raise NotFound("no such response")
    accepted = await parts.views.answer(request.id)
    assert accepted is not None, "an ANSWERED request has its answer"
    return Outcome(response(request, accepted.payload))


async def read_events(parts: Parts, call: Call) -> Outcome:
    """The events of the request's own channel after `since`; replies `EventPage`."""
    input = call.input
    assert isinstance(input, wire.ListRequestEvents)
    await visible(parts, call.caller, input.id)
    channel = routing.request_channel(input.id)
    page = await parts.log.page(channel, min(input.since, MOST_SEQ), input.limit)
    return Outcome(
        wire.EventPage(
            channel=channel,
            epoch=parts.epoch,
            floor=page.bounds.floor,
            head=page.bounds.head,
            items=page.items,
        )
    )


def channel(request_id: str) -> str:
    """The channel that tells of this request's changes."""
    return routing.request_channel(request_id)


def summary(request: Request) -> wire.RequestSummary:
    return wire.RequestSummary(**routing.list_row(request))


def created(request: Request) -> wire.RequestCreated:
    return wire.RequestCreated(**routing.list_row(request), request_id=request.id)


def response(request: Request, payload: Raw) -> wire.Response:
    """The reply to an accepted answer, from the request as it stands after it."""
    assert request.response_id is not None
    assert request.closed_by is not None
    assert request.closed_at is not None
    return wire.Response(
        id=request.response_id,
        response_id=request.response_id,
        request_id=request.id,
        payload=payload,
        answered_by=request.closed_by,
        answered_at=request.closed_at,
    )


def reply_to_keep(message: Create | Act, request: Request) -> bytes:
    """The encoded reply of a command, to be kept under its idempotency key."""
    match message:
        case Create():
            return msgspec.json.encode(created(request))
        case Act(answer=GivenAnswer(payload)):
            return msgspec.json.encode(response(request, Raw(payload)))
        case _:
            return msgspec.json.encode(summary(request))


async def _act(parts: Parts, call: Call, message: Act) -> Outcome:
    done = await ask(parts, "request", _known(_about(call).id), message)
    return _outcome(done, summary)


def _outcome(done: object, reply: Callable[[Request], wire.Reply]) -> Outcome:
    assert isinstance(done, Done)
    if done.replay is not None:
        return Outcome(done.replay, replayed=True)
    assert done.request is not None
    return Outcome(reply(done.request))


def _about(call: Call) -> wire.RequestId:
    assert isinstance(call.input, wire.RequestId)
    return call.input


def _known(request_id: str) -> str:
    """The id, if it can be one: nothing else costs a read."""
    if not is_ulid(request_id):
        raise NotFound("no such request")
    return request_id
