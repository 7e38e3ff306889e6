"""What a client has asked, and how far it has got."""

from __future__ import annotations

import base64
from datetime import datetime

import msgspec

from pxbox.domain import routing
from pxbox.model import wire
from pxbox.model.errors import InvalidCursor, NotFound
from pxbox.model.ids import is_ulid
from pxbox.model.principal import ADMIN
from pxbox.model.reach import Reach
from pxbox.model.request import OPEN, Status
from pxbox.postgres.reach import Asked, AskedAt, AskedFilter
from pxbox.service.core import Call, Outcome, Parts
from pxbox.service.requests import delivery


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    created_at: datetime
    id: str


async def requests(parts: Parts, call: Call) -> Outcome:
    """What the caller has asked, the newest first; replies `AskedPage`."""
    input = call.input
    assert isinstance(input, wire.ListRequests)
    requestor = input.requestor or call.caller.sub
    if requestor != call.caller.sub and not call.caller.has(ADMIN):
        raise NotFound("no such client")
    reach = None if input.reached is None else Reach[input.reached.upper()]
    where = AskedFilter(requestor, _statuses(input), input.tag, reach)
    channel = routing.requestor_channel(requestor)
    page = await parts.reaches.asked(where, channel, _read_cursor(input.cursor), input.limit + 1)
    items = page.items[: input.limit]
    return Outcome(
        wire.AskedPage(
            items=[_asked(one) for one in items],
            next_cursor=_write_cursor(items[-1]) if len(page.items) > input.limit else None,
            epoch=parts.epoch,
            positions={channel: page.head},
        )
    )


def _statuses(input: wire.ListRequests) -> list[Status]:
    """What got nowhere and is closed needs no one's care: `reached` speaks of what is open."""
    admitted = OPEN if input.reached is not None else set(Status)
    return [one for one in admitted if input.status is None or one is input.status]


def _asked(one: Asked) -> wire.AskedRequest:
    return wire.AskedRequest(**routing.list_row(one.state), delivery=delivery(one))


def _write_cursor(last: Asked) -> str:
    text = msgspec.json.encode(_Cursor(last.created_at, last.state.id))
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _read_cursor(text: str | None) -> AskedAt | None:
    if text is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cursor = msgspec.json.decode(raw, type=_Cursor)
    except (ValueError, msgspec.MsgspecError):
        raise InvalidCursor("this cursor was not given out by this list") from None
    if cursor.created_at.tzinfo is None or not is_ulid(cursor.id):
        raise InvalidCursor("this cursor was not given out by this list")
    return AskedAt(cursor.created_at, cursor.id)
