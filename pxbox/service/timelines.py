"""Timelines: the trail of a request or an entity, as those may read it who ask."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime

import msgspec

from pxbox.domain import access
from pxbox.model import wire
from pxbox.model.errors import InvalidCursor, NotFound
from pxbox.model.ids import as_uuid, is_ulid
from pxbox.model.request import Status
from pxbox.model.trail import TrailEntry
from pxbox.postgres.trail import TrailAt
from pxbox.service.core import Call, Outcome, Parts
from pxbox.service.requests import MOST_SEQ, known


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """The last entry of the page before."""

    at: datetime
    subject: str
    version: int


async def of_request(parts: Parts, call: Call) -> Outcome:
    """What was done to a request, in order; replies `Timeline`.

    With scope `audit` of any request, also of one that retention has removed; else of the caller's
    own, without clients and tokens: who answers keeps to itself by what programs.
    """
    input = call.input
    assert isinstance(input, wire.GetRequestTimeline)
    id, whole = known(input.id), access.may_read_trail(call.caller)
    request = None if whole else await parts.views.request(id)
    if not whole and (request is None or not access.may_follow(call.caller, request)):
        raise NotFound("no such request")
    after = 0 if input.cursor is None else _read_cursor(input.cursor, id).version
    found = await parts.trail.of_request(id, after, input.limit + 1)
    if not found and after == 0:
        raise NotFound("no such request")
    return Outcome(_timeline(id, found, input.limit, whole=whole))


async def of_entity(parts: Parts, call: Call) -> Outcome:
    """What was done to an entity and on its behalf, the newest first; replies `Timeline`."""
    input = call.input
    assert isinstance(input, wire.GetEntityTimeline)
    entity = await parts.directory.lookup(input.id)
    if entity is None:
        raise NotFound("no such entity")
    after = None if input.cursor is None else _read_cursor(input.cursor, None)
    found = await parts.trail.of_entity(entity.id, after, input.limit + 1)
    return Outcome(_timeline(entity.id, found, input.limit, whole=True))


def _timeline(id: str, found: Sequence[TrailEntry], limit: int, *, whole: bool) -> wire.Timeline:
    page = found[:limit]
    more = _write_cursor(page[-1]) if len(found) > limit else None
    return wire.Timeline(id=id, items=[_entry(one, whole) for one in page], next_cursor=more)


def _entry(entry: TrailEntry, whole: bool) -> wire.TimelineEntry:
    of_request = is_ulid(entry.subject)
    return wire.TimelineEntry(
        request_id=entry.subject if of_request else None,
        entity_id=None if of_request else entry.subject,
        version=entry.version,
        type=entry.type,
        status=None if entry.status is None else Status(entry.status),
        at=entry.at,
        actor=entry.actor,
        client=entry.client if whole else None,
        token_id=entry.token_id if whole else None,
        on_behalf_of=entry.on_behalf_of,
        detail=entry.detail,
    )


def _write_cursor(entry: TrailEntry) -> str:
    text = msgspec.json.encode(_Cursor(entry.at, entry.subject, entry.version))
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _read_cursor(text: str, subject: str | None) -> TrailAt:
    """The place that the cursor names, of this subject if one is given. Raises InvalidCursor."""
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        at = msgspec.json.decode(raw, type=_Cursor)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidCursor("this cursor was not given out by this list") from None
    named = is_ulid(at.subject) or as_uuid(at.subject) is not None
    other = subject is not None and at.subject != subject
    if at.at.tzinfo is None or not named or other or not 0 < at.version <= MOST_SEQ:
        raise InvalidCursor("this cursor was given out for another list; start without one")
    return TrailAt(at.at, at.subject, at.version)
