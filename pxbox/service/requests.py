"""Requests through their life: claimed, handed on, answered, declined, cancelled, read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import msgspec
from msgspec import UNSET, Raw

from pxbox.behaviors.request import Act, Create, Done, GivenAnswer
from pxbox.behaviors.request_messages import Remarks
from pxbox.domain import access, routing
from pxbox.domain import request as domain
from pxbox.domain.access import Caller
from pxbox.domain.request import MOST_ADDRESSEES, Responder
from pxbox.model import wire
from pxbox.model.document import canonical_hash
from pxbox.model.entity import COLLECTIVE
from pxbox.model.errors import (
    Contended,
    InvalidRequest,
    NoResponse,
    NotAnswered,
    NotFound,
    NotSupported,
    UnknownAddressee,
)  # fmt: skip
from pxbox.model.file import MEGABYTE, FileFacts, FilesPolicy
from pxbox.model.ids import is_ulid, new_ulid
from pxbox.model.mark import Mark
from pxbox.model.reach import Delivery, Reach
from pxbox.model.request import OPEN, Request, Status
from pxbox.service.core import Call, Files, Outcome, Parts, ask, once

# No channel ever gets as far; what is above it, Postgres cannot be asked about.
MOST_SEQ = 2**63 - 1
DOWNLOAD_SECONDS = 900
"""How long the URL of a file in a reply counts."""


def refuse_unsupported(input: msgspec.Struct, *names: str) -> None:
    """Members that the contract names and whose machinery is not there yet are never ignored."""
    for name in names:
        if getattr(input, name) is not UNSET:
            member = msgspec.structs.fields(input)
            wire_name = next(field.encode_name for field in member if field.name == name)
            raise NotSupported(f"`{wire_name}` is not supported yet; leave it out")


async def claim(parts: Parts, call: Call) -> Outcome:
    input = _about(call)
    command = domain.TakeClaim(call.caller.responder())
    key = once(call, "claimRequest", input.id)
    outcome = await _act(parts, call, Act(command, key, author=call.author))
    parts.deliveries.note((input.id,), Reach.OPENED)
    return outcome


async def release(parts: Parts, call: Call) -> Outcome:
    input = _about(call)
    by, override = _handing(call)
    command = domain.Release(by, override)
    return await _act(
        parts, call, Act(command, once(call, "releaseRequest", input.id), author=call.author)
    )


async def answer(parts: Parts, call: Call) -> Outcome:
    """Give the answer; replies `Response`."""
    input = call.input
    assert isinstance(input, wire.PostResponse)
    refuse_unsupported(input, "draft")
    responder = call.caller.responder()
    # What is kept is what was validated: one reading of repeated members and of numbers.
    payload = await parts.documents.read(bytes(input.payload))
    # The same payload with other files is another answer (S7).
    hash = canonical_hash([payload.hash, *input.files]) if input.files else payload.hash
    command = domain.Answer(responder, new_ulid(), hash)
    given = GivenAnswer(payload.text, payload.value, call.caller.sub, tuple(input.files))
    key = once(call, "postResponse", input.id, {"payload": payload})
    message = Act(command, key, given, call.author)
    done = await ask(parts, "request", known(input.id), message)
    if isinstance(done, Done) and done.unsure:
        await parts.files.adoptions.make_sure(done.unsure)
        sure = frozenset(one.file.id for one in done.unsure)
        message = replace(message, answer=replace(given, sure=sure))
        done = await ask(parts, "request", input.id, message)
    outcome = _outcome(done, lambda request: response(request, Raw(payload.text), parts.files))
    if isinstance(outcome.reply, Raw):
        return replace(outcome, reply=_with_urls(parts, outcome.reply))
    return outcome


def _with_urls(parts: Parts, kept: Raw) -> Raw | wire.Response:
    """A reply that was kept, with URLs of now: those are never kept."""
    if b'"url"' not in bytes(kept):
        return kept
    reply = msgspec.json.decode(bytes(kept), type=wire.Response)
    for file in reply.files:
        file.url = file_url(parts.files, file.id)
    return reply


def file_url(files: Files, file_id: str) -> str:
    """A URL to download this file by, made for this reply (X1)."""
    return files.storage.presign_get(file_id, files.now() + timedelta(seconds=DOWNLOAD_SECONDS))


async def reassign(parts: Parts, call: Call) -> Outcome:
    """Ask others instead of all who were asked; replies `RequestSummary`."""
    input = call.input
    assert isinstance(input, wire.ReassignRequest)
    by, override = _handing(call)
    to = await addressed(parts, input.to)
    command = domain.Reassign(by, override, _actor(call), to, input.reason)
    return await _act(
        parts, call, Act(command, once(call, "reassignRequest", input.id), author=call.author)
    )


async def delegate(parts: Parts, call: Call) -> Outcome:
    """Have another hold the claim; replies `RequestSummary`."""
    input = call.input
    assert isinstance(input, wire.DelegateRequest)
    by, override = _handing(call)
    entity = await parts.directory.lookup(input.to)
    if entity is None:
        raise unknown_addressee(input.to)
    if entity.kind in COLLECTIVE:
        raise InvalidRequest("a claim is one entity's: delegate to a user or a bot, or reassign")
    groups = await parts.directory.groups_of(entity.id)
    to = Responder(entity.id, groups | {entity.id})
    command = domain.Delegate(by, override, _actor(call), to, input.reason)
    return await _act(
        parts, call, Act(command, once(call, "delegateRequest", input.id), author=call.author)
    )


def _handing(call: Call) -> tuple[Responder | None, bool]:
    """Who hands it on, and whether they may also without holding the claim."""
    override = access.may_override(call.caller)
    return call.caller.responder() if call.caller.entity or not override else None, override


def _actor(call: Call) -> str:
    return call.caller.entity.id if call.caller.entity else call.caller.sub


async def addressed(parts: Parts, to: str | Sequence[str]) -> tuple[str, ...]:
    """The ids of the entities at these addresses, in order, each once. Raises UnknownAddressee."""
    addresses = [to] if isinstance(to, str) else list(to)
    if not 1 <= len(addresses) <= MOST_ADDRESSEES:
        raise InvalidRequest(f"a request is addressed to 1 to {MOST_ADDRESSEES} entities")
    ids: dict[str, None] = {}
    for address in addresses:
        entity = await parts.directory.lookup(address)
        if entity is None:
            raise unknown_addressee(address)
        ids[entity.id] = None
    return tuple(ids)


def unknown_addressee(address: str) -> UnknownAddressee:
    shown = address[:256]
    return UnknownAddressee(f"no entity can be asked at {shown!r}", address=shown)


async def decline(parts: Parts, call: Call) -> Outcome:
    input = call.input
    assert isinstance(input, wire.DeclineRequest)
    command = domain.Decline(call.caller.responder(), input.reason, last=False)
    return await _act(
        parts, call, Act(command, once(call, "declineRequest", input.id), author=call.author)
    )


async def cancel(parts: Parts, call: Call) -> Outcome:
    input = call.input
    assert isinstance(input, wire.CancelRequest)
    command = domain.Cancel(call.caller.sub, input.reason)
    return await _act(
        parts, call, Act(command, once(call, "cancelRequest", input.id), author=call.author)
    )


async def read(parts: Parts, call: Call) -> Outcome:
    """The request with its schema, hints and prefill; replies `RequestDetail`."""
    entity = call.caller.entity.id if call.caller.entity else None
    content = await parts.views.request_content(known(_about(call).id), entity)
    if content is None or not access.may_see(call.caller, content.request):
        raise NotFound("no such request")
    answers = access.may_answer(call.caller, content.request)
    if answers:
        parts.deliveries.note((content.request.id,), Reach.SEEN)
    may_follow = access.may_follow(call.caller, content.request)
    detail = wire.RequestDetail(
        **routing.list_row(content.request),
        schema_kind="jsonschema",
        schema_payload=content.schema,
        schema_hash=content.request.schema_hash,
        ui_hints=content.ui_hints,
        prefill=content.prefill,
        meta=content.meta,
        why=content.why,
        context=content.context,
        delivery=delivery(content.delivery) if may_follow else None,
        files_policy=_policy_told(content.request.files_policy),
        inquiry=inquiry_state(content.mark) if answers else None,
    )
    return Outcome(detail)


async def visible(parts: Parts, caller: Caller, request_id: str) -> Request:
    """The request, if the caller may see it. Raises NotFound: unknown and denied are one (X2)."""
    request = await parts.views.request(known(request_id))
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
    return Outcome(response(request, accepted.payload, parts.files))


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


def created(request: Request, remarks: Remarks) -> wire.RequestCreated:
    return wire.RequestCreated(
        **routing.list_row(request),
        request_id=request.id,
        existing=False,
        schema_payload=UNSET if remarks.schema is None else Raw(remarks.schema),
        warnings=[
            wire.ErrorItem(pointer=one.pointer, message=one.message, keyword=one.keyword)
            for one in remarks.warnings
        ]
        or UNSET,
    )


def _policy_told(policy: FilesPolicy | None) -> wire.FilesPolicyView | None:
    if policy is None:
        return None
    return wire.FilesPolicyView(
        max_file_mb=policy.max_file_bytes // MEGABYTE,
        max_total_mb=policy.max_total_bytes // MEGABYTE,
        max_files=policy.max_files,
        mime=list(policy.mime),
        extensions=list(policy.extensions),
    )


def response(request: Request, payload: Raw, files: Files | None = None) -> wire.Response:
    """The reply to an accepted answer, from the request as it stands after it; without `files` its
    files have no URLs."""
    assert request.response_id is not None
    assert request.closed_at is not None
    return wire.Response(
        id=request.response_id,
        response_id=request.response_id,
        request_id=request.id,
        payload=payload,
        answered_by=request.closed_by,
        answered_at=request.closed_at,
        files=[
            file_view(file, file_url(files, file.id) if files else "") for file in request.files
        ],
    )


def file_view(file: FileFacts, url: str) -> wire.FileView:
    return wire.FileView(
        id=file.id, name=file.name, size=file.size, mime=file.mime, sha256=file.sha256, url=url
    )


def inquiry_state(mark: Mark) -> wire.InquiryState:
    return wire.InquiryState(
        id=mark.request_id,
        version=mark.version,
        read=mark.read,
        snoozed_until=mark.snoozed_until,
        deleted=mark.deleted,
    )


def reply_to_keep(message: Create | Act, done: Done) -> bytes:
    """The encoded reply of a command, to be kept under its idempotency key."""
    if done.mark is not None:
        return msgspec.json.encode(inquiry_state(done.mark))
    request = done.request
    assert request is not None, "a commit leaves a request"
    match message:
        case Create():
            return msgspec.json.encode(created(request, message.remarks))
        case Act(answer=GivenAnswer(payload)):
            return msgspec.json.encode(response(request, Raw(payload)))
        case _:
            return msgspec.json.encode(summary(request))


def delivery(known: Delivery) -> wire.Delivery:
    return wire.Delivery(
        reached=known.reach.name.lower(),
        notified_at=known.notified_at,
        seen_at=known.seen_at,
        opened_at=known.opened_at,
    )


async def _act(parts: Parts, call: Call, message: Act) -> Outcome:
    done = await ask(parts, "request", known(_about(call).id), message)
    return _outcome(done, summary)


def _outcome(done: object, reply: Callable[[Request], wire.Reply]) -> Outcome:
    assert isinstance(done, Done)
    if done.replay is not None:
        return Outcome(done.replay, replayed=True)
    assert done.request is not None
    if done.unsure:
        raise Contended("the files of this answer changed meanwhile; try again")
    return Outcome(reply(done.request))


def _about(call: Call) -> wire.RequestId:
    assert isinstance(call.input, wire.RequestId)
    return call.input


def known(request_id: str) -> str:
    """The id, if it can be one: nothing else costs a read."""
    if not is_ulid(request_id):
        raise NotFound("no such request")
    return request_id
