"""Requests as they are made: whom they ask, by when, and what lies in them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import msgspec
import trio
from msgspec import UNSET, Raw
from msgspec.structs import replace as replaced

from actors.journal import Key
from pxbox.behaviors.durable import Once
from pxbox.behaviors.flow_messages import AskBeside, FlowDone
from pxbox.behaviors.request import Content, Create, Done
from pxbox.behaviors.request_messages import NewRequest, Remarks
from pxbox.domain import access
from pxbox.domain.request import MOST_ADDRESSEES
from pxbox.domain.schema import AdmittedSchema
from pxbox.domain.ui_hints import unmatched
from pxbox.model import wire
from pxbox.model.decoding import decode_input, decode_json
from pxbox.model.document import Document, canonical_hash
from pxbox.model.errors import (
    FieldError,
    InvalidAnswer,
    InvalidRequest,
    InvalidTime,
    NotFound,
    PxError,
    SelfAnswer,
)  # fmt: skip
from pxbox.model.flow import FlowRef
from pxbox.model.ids import as_uuid, is_ulid, new_ulid
from pxbox.model.request import DefaultAnswer, Escalation, Request
from pxbox.service.core import Call, Outcome, Parts, ask, check_key, once, replayed
from pxbox.service.policies import files_policy
from pxbox.service.problems import problem
from pxbox.service.requests import addressed, created, refuse_unsupported, unknown_addressee
from pxbox.service.schema_kinds import schema_of

# How many items of one bulk are under way at once: few enough that others are served between.
BULK_AT_ONCE = 32
# What every clock and library on the way can hold, in any offset.
_YEARS = range(1970, 9999)
# What words are looked for in is cut to this many characters.
_MOST_SEARCHED = 4_000


async def create(parts: Parts, call: Call) -> Outcome:
    """Ask an entity for data; replies `RequestCreated`: of an open request with the same subject,
    where there is one."""
    input = call.input
    assert isinstance(input, wire.CreateRequest)
    request_id = new_ulid()
    read = await _read(parts, input)
    key = once(call, "createRequest", "", read)
    try:
        made = await _made(parts, input, request_id, await _asked_by(parts, call, input), read)
    except PxError:
        earlier = await replayed(parts, key)
        if earlier is not None:
            return earlier
        raise
    done = await _create(parts, replace(made, author=call.author), key)
    if done.replay is not None:
        return Outcome(done.replay, replayed=True)
    if done.existing is None:
        assert done.request is not None
        return Outcome(created(done.request, made.remarks))
    request = await parts.views.request(done.existing)
    assert request is not None, "the key of a subject names a request"
    return Outcome(replaced(created(request, made.remarks), existing=True), existing=True)


async def _create(parts: Parts, made: NewRequest, key: Once | None) -> Done:
    request = made.request
    if request.flow is None:
        message = Create(request, made.content, key, made.subject, made.author, made.remarks)
        done = await ask(parts, "request", request.id, message)
        assert isinstance(done, Done)
        return done
    reply = msgspec.json.encode(created(request, made.remarks))
    of_flow = await ask(parts, "flow", request.flow.id, AskBeside(made, key, reply))
    assert isinstance(of_flow, FlowDone)
    return Done(request, of_flow.replay, existing=of_flow.existing)


@dataclass(frozen=True, slots=True)
class AskedBy:
    """Who asks: a client, the entity it acts as, and the flow that the request belongs to."""

    requestor: str
    entity: str | None
    flow: FlowRef | None = None


async def creation(
    parts: Parts, input: wire.CreateRequest, request_id: str, asked_by: AskedBy
) -> NewRequest:
    """The request that `input` asks for, at version 1. Raises PxErrors."""
    return await _made(parts, input, request_id, asked_by, await _read(parts, input))


async def _asked_by(parts: Parts, call: Call, input: wire.CreateRequest) -> AskedBy:
    entity = call.caller.entity.id if call.caller.entity else None
    if input.flow_id is None:
        return AskedBy(call.caller.sub, entity)
    flow = await parts.flows.flow(input.flow_id) if is_ulid(input.flow_id) else None
    if flow is None or not access.may_steer(call.caller, flow):
        raise NotFound("no such flow")
    return AskedBy(call.caller.sub, entity, flow.ref)


async def _read(parts: Parts, input: wire.CreateRequest) -> dict[str, Document]:
    """As they are kept: one reading of repeated members and of numbers."""
    return {
        "prefill": await parts.documents.read(bytes(input.prefill)),
        "ui_hints": await parts.documents.read(bytes(input.ui_hints)),
    }


async def _made(
    parts: Parts,
    input: wire.CreateRequest,
    request_id: str,
    asked_by: AskedBy,
    read: Mapping[str, Document],
) -> NewRequest:
    refuse_unsupported(input, "quorum")
    now = parts.journal.now()
    deadline = _deadline(input, now)
    schema = await parts.schemas.admit(
        await schema_of(parts, input.schema_kind, bytes(input.schema))
    )
    default, default_text = await _default_answer(parts, input, schema, deadline)
    to = await _addressees(parts, input)
    request = Request(
        id=request_id,
        requestor=asked_by.requestor,
        to=to,
        schema_hash=schema.hash,
        claim_ttl=timedelta(seconds=input.claim_ttl),
        created_at=now,
        updated_at=now,
        version=1,
        title=schema.title,
        claim_required=input.claim_required,
        deadline_at=_in_utc(deadline),
        attention_at=_in_utc(input.attention_at),
        tags=tuple(dict.fromkeys(input.tags)),
        near=timedelta(seconds=input.deadline_near),
        escalate=await _escalation(parts, input, to, deadline, now),
        not_self=_not_self(asked_by, input, to),
        default=default,
        flow=asked_by.flow,
        files_policy=files_policy(input.files_policy, schema.canonical),
    )
    content = Content(
        Raw(read["ui_hints"].text),
        Raw(read["prefill"].text),
        Raw(msgspec.json.encode(input.meta or {})),
        _searched(schema, input),
        input.why,
        input.context,
        default_text,
    )
    remarks = Remarks(
        None if input.schema_kind == "jsonschema" else schema.canonical,
        tuple(unmatched(read["ui_hints"], schema.canonical)),
    )
    return NewRequest(request, content, _subject(input, request), remarks=remarks)


def _searched(schema: AdmittedSchema, input: wire.CreateRequest) -> str:
    """What `q` looks in: title, description and meta."""
    meta = msgspec.json.encode(input.meta).decode() if input.meta else None
    texts = (schema.title, schema.description, meta)
    return "\n".join(text for text in texts if text)[:_MOST_SEARCHED].lower()


def _subject(input: wire.CreateRequest, request: Request) -> Key | None:
    """One open request at a time is about a subject: of this client, to these, by this schema."""
    if input.subject_key is None:
        return None
    same = [request.requestor, input.subject_key, request.schema_hash, sorted(request.to)]
    digest = hashlib.sha256(msgspec.json.encode(same)).hexdigest()
    return Key("subject", digest, {"requestId": request.id})


def _not_self(asked_by: AskedBy, input: wire.CreateRequest, to: tuple[str, ...]) -> str | None:
    """The entity that asks, where it may not answer; the client is known by its `sub`."""
    if not input.no_self_answer:
        return None
    # Who acts as nobody has no entity, but still a `sub` to be told by.
    asker = asked_by.entity or ""
    if to == (asker,):
        raise SelfAnswer("with `noSelfAnswer`, ask somebody else than yourself")
    return asker


async def _default_answer(
    parts: Parts, input: wire.CreateRequest, schema: AdmittedSchema, deadline: datetime | None
) -> tuple[DefaultAnswer | None, str | None]:
    if not isinstance(input.default_answer, Raw):
        return None, None
    if deadline is None:
        raise InvalidRequest("`defaultAnswer` stands at the deadline: give `deadlineAt` too")
    value = decode_json(bytes(input.default_answer))
    payload = msgspec.json.encode(value)
    errors = await parts.schemas.check_against(schema, payload, value)
    if errors:
        located = [
            FieldError(f"/defaultAnswer{error.pointer}", error.message, error.keyword)
            for error in errors
        ]
        raise InvalidAnswer("the default answer does not satisfy the schema", errors=located)
    return DefaultAnswer(new_ulid(), canonical_hash(value)), payload.decode()


async def _escalation(
    parts: Parts,
    input: wire.CreateRequest,
    to: tuple[str, ...],
    deadline: datetime | None,
    now: datetime,
) -> tuple[Escalation, ...]:
    """The steps, each later than the one before and before the deadline."""
    steps: list[Escalation] = []
    everyone = set(to)
    for step in input.escalate:
        after = timedelta(seconds=step.after)
        if steps and after <= steps[-1].after:
            raise InvalidTime("each step of `escalate` must come later than the one before it")
        if deadline is not None and now + after >= deadline:
            raise InvalidTime("`escalate` must come before the deadline", deadlineAt=deadline)
        ids = await addressed(parts, step.to)
        everyone = {*ids} if step.replace else everyone | {*ids}
        if len(everyone) > MOST_ADDRESSEES:
            raise InvalidRequest(f"a request is addressed to 1 to {MOST_ADDRESSEES} entities")
        steps.append(Escalation(after, ids, step.replace))
    return tuple(steps)


def _deadline(input: wire.CreateRequest, now: datetime) -> datetime | None:
    """The one deadline of its three forms, checked against the clock (S8)."""
    given = {time for time in (input.deadline_at, input.expires_at) if time is not None}
    for time in (*given, input.attention_at):
        if time is not None:
            check_time(time)
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


def check_time(time: datetime) -> None:
    """Raise InvalidTime for a time without an offset, or one that cannot be kept."""
    if time.tzinfo is None:
        raise InvalidTime("times need a UTC offset, such as 2031-01-31T12:00:00Z")
    if time.year not in _YEARS:
        raise InvalidTime(f"times are from {_YEARS.start} to {_YEARS.stop - 1}")


def _in_utc(time: datetime | None) -> datetime | None:
    return None if time is None else time.astimezone(UTC)


async def _addressees(parts: Parts, input: wire.CreateRequest) -> tuple[str, ...]:
    """The ids of the entities as addressed, in order, each once."""
    if (input.entity is UNSET) == (input.to is UNSET):
        raise InvalidRequest("say whom to ask by exactly one of `entity` and `to`")
    if isinstance(input.entity, wire.EntityRef):
        return (await _referred(parts, input.entity),)
    assert input.to is not UNSET
    return await addressed(parts, input.to)


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
        raise unknown_addressee(name)
    return entity.id


async def create_many(parts: Parts, call: Call) -> Outcome:
    """Create each item that is valid; an invalid one gets its own error and stops no other."""
    input = call.input
    assert isinstance(input, wire.BulkCreateRequests)
    check_key(call)
    items: list[wire.BulkItem] = [wire.BulkItem(index=n) for n in range(len(input.items))]
    # In rounds alike: a small rest would take a commit of its own, and a send to each reader.
    rounds = max(1, round(len(items) / BULK_AT_ONCE))
    limiter = trio.CapacityLimiter(max(1, -(-len(items) // rounds)))

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
