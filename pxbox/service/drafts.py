"""Drafts: a form that is half filled in, one for each responder, seen by nobody else.

They are kept whatever becomes of the request: no lapsed claim and no lost race takes one away.
"""

from __future__ import annotations

import msgspec
from msgspec import Raw

from pxbox.behaviors.request import Act
from pxbox.domain import access
from pxbox.domain import request as domain
from pxbox.model import wire
from pxbox.model.decoding import decode_json
from pxbox.model.errors import NotFound
from pxbox.model.reach import Reach
from pxbox.service.core import Call, Outcome, Parts, ask
from pxbox.service.requests import known


async def put(parts: Parts, call: Call) -> Outcome:
    """Keep the draft in place of the one before, and renew the caller's claim if it holds one;
    replies `Draft`."""
    input = call.input
    assert isinstance(input, wire.PutDraft)
    entity_id = await _responder_of(parts, call, input.id)
    payload = msgspec.json.encode(decode_json(bytes(input.payload)))
    at = await parts.shelf.keep_draft(input.id, entity_id, payload.decode())
    parts.deliveries.note((input.id,), Reach.OPENED)
    renewal = domain.Renew(call.caller.responder())
    await ask(parts, "request", input.id, Act(renewal, None, author=call.author))
    return Outcome(wire.Draft(request_id=input.id, payload=Raw(payload), updated_at=at))


async def read(parts: Parts, call: Call) -> Outcome:
    """The caller's own draft; replies `Draft`. Raises NotFound where there is none."""
    input = call.input
    assert isinstance(input, wire.GetDraft)
    entity_id = await _responder_of(parts, call, input.id)
    draft = await parts.shelf.draft(input.id, entity_id)
    if draft is None:
        raise NotFound("there is no draft of yours")
    return Outcome(
        wire.Draft(request_id=input.id, payload=draft.payload, updated_at=draft.updated_at)
    )


async def delete(parts: Parts, call: Call) -> Outcome:
    """Delete the caller's own draft, if there is one; replies `DraftDeleted`."""
    input = call.input
    assert isinstance(input, wire.DeleteDraft)
    entity_id = await _responder_of(parts, call, input.id)
    await parts.shelf.forget_draft(input.id, entity_id)
    return Outcome(wire.DraftDeleted(request_id=input.id))


async def _responder_of(parts: Parts, call: Call, request_id: str) -> str:
    """The caller's entity, if it is one of those who are asked. Raises NotFound, Forbidden."""
    responder = call.caller.responder()
    request = await parts.views.request(known(request_id))
    if request is None or not access.may_answer(call.caller, request):
        raise NotFound("no such request")
    return responder.entity
