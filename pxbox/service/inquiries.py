"""Lists of requests as responders see them, each with the positions to resume from (E6)."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime

import msgspec

from pxbox.domain import access, routing
from pxbox.model import wire
from pxbox.model.errors import InvalidCursor, NotFound
from pxbox.model.ids import is_ulid
from pxbox.model.request import Status
from pxbox.postgres.views import PageAt, RequestFilter
from pxbox.service.core import Call, Outcome, Parts
from pxbox.service.requests import refuse_unsupported, summary

_RANK = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(\.[0-9]{1,6})?\+00\Z")


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """Where the next page begins, and the order it was cut in."""

    sort: str
    rank: str
    id: str


async def queue(parts: Parts, call: Call) -> Outcome:
    """What is PENDING for one entity itself, oldest deadline first; replies `RequestPage`."""
    input = call.input
    assert isinstance(input, wire.ListQueue)
    entity = await parts.directory.lookup(input.id)
    if entity is None or not access.may_act_for(call.caller, entity.id):
        raise NotFound("no such entity")
    where = RequestFilter([entity.id], status=Status.PENDING, hide_declined_by=_self(call))
    return await _page(parts, where, "deadline", input.cursor, input.limit)


async def inquiries(parts: Parts, call: Call) -> Outcome:
    """A responder's whole inbox, direct and through groups and roles; replies `RequestPage`."""
    input = call.input
    assert isinstance(input, wire.ListInquiries)
    refuse_unsupported(
        input, "unread", "include_deleted", "snoozed", "flow_id", "tag", "due_before", "due_after"
    )
    where = RequestFilter(
        await _addressees(parts, call, input.entity_id),
        status=input.status,
        requestor=input.requestor,
        text=input.q,
        hide_declined_by=_self(call),
    )
    return await _page(parts, where, input.sort_by, input.cursor, input.limit)


async def _addressees(parts: Parts, call: Call, wanted: str | None) -> list[str]:
    if wanted is None:
        return sorted(call.caller.responder().addresses)
    entity = await parts.directory.lookup(wanted)
    if entity is None or not access.may_act_for(call.caller, entity.id):
        raise NotFound("no such entity")
    return [entity.id]


def _self(call: Call) -> str | None:
    return call.caller.entity.id if call.caller.entity else None


async def _page(
    parts: Parts, where: RequestFilter, sort: str, cursor: str | None, limit: int
) -> Outcome:
    channels = [routing.entity_channel(entity) for entity in where.addressees]
    after = _read_cursor(cursor, sort)
    listed = await parts.views.requests(where, channels, sort, after, limit)
    return Outcome(
        wire.RequestPage(
            items=[summary(request) for request in listed.items],
            total=listed.total,
            next_cursor=_write_cursor(sort, listed.last),
            epoch=parts.epoch,
            positions=listed.positions,
        )
    )


def _write_cursor(sort: str, last: PageAt | None) -> str | None:
    if last is None:
        return None
    text = msgspec.json.encode(_Cursor(sort, last.rank, last.id))
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _read_cursor(text: str | None, sort: str) -> PageAt | None:
    if text is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cursor = msgspec.json.decode(raw, type=_Cursor)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise InvalidCursor("this cursor was not given out by this list") from None
    if cursor.sort != sort or not _is_rank(cursor.rank) or not is_ulid(cursor.id):
        raise InvalidCursor("this cursor was given out for another order; start without one")
    return PageAt(cursor.rank, cursor.id)


def _is_rank(text: str) -> bool:
    """A time as Postgres writes it, so that a forged cursor is refused here and not there."""
    if text == "infinity":
        return True
    try:
        return _RANK.match(text) is not None and bool(datetime.fromisoformat(text))
    except ValueError:
        return False
