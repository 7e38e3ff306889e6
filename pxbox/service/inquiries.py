"""Lists of requests as responders see them, each with the positions to resume from (E6)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import msgspec

from pxbox.domain import access, routing
from pxbox.domain.inbox import Section
from pxbox.model import wire
from pxbox.model.errors import InvalidCursor, NotFound
from pxbox.model.ids import is_ulid
from pxbox.model.reach import Reach
from pxbox.model.request import OPEN, Status
from pxbox.postgres.inbox import (
    EVERY_STATUS,
    Count,
    InquiryFilter,
    ListedInquiry,
    ListedPage,
    Order,
    PageAt,
    without_marks,
)
from pxbox.service.asking import check_time
from pxbox.service.core import Call, Outcome, Parts
from pxbox.service.requests import summary

_RANK = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}(\.[0-9]{1,6})?\+00\Z")
_OPEN = tuple(sorted(OPEN))


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
    where = without_marks(InquiryFilter([entity.id], _self(call), [Status.PENDING]))
    after = _read_cursor(input.cursor, Order.DEADLINE)
    page, total = await _page(parts, where, Order.DEADLINE, after, input.limit)
    _note_seen(parts, call, where, page)
    return Outcome(
        wire.RequestPage(
            items=[summary(one.request) for one in page.items],
            total=total.count,
            total_exact=total.exact,
            next_cursor=_write_cursor(Order.DEADLINE, page.last),
            epoch=parts.epoch,
            positions=page.positions,
        )
    )


async def inquiries(parts: Parts, call: Call) -> Outcome:
    """A responder's whole inbox, direct and through groups and roles; replies `InquiryPage`."""
    input = call.input
    assert isinstance(input, wire.ListInquiries)
    where = _filter(parts, input, await _addressees(parts, call, input.entity_id), _self(call))
    order = Order.SNOOZED if input.snoozed else Order(input.sort_by)
    after = _read_cursor(input.cursor, order)
    page, total = await _page(parts, where, order, after, input.limit)
    _note_seen(parts, call, where, page)
    return Outcome(
        wire.InquiryPage(
            items=[_inquiry(one) for one in page.items],
            total=total.count,
            total_exact=total.exact,
            sections=await _sections(parts, where) if after is None else None,
            next_cursor=_write_cursor(order, page.last),
            epoch=parts.epoch,
            positions=page.positions,
        )
    )


def _note_seen(parts: Parts, call: Call, where: InquiryFilter, page: ListedPage) -> None:
    """Somebody who is asked has it listed; an admin's look does not count."""
    if call.caller.addresses.issuperset(where.addressees):
        shown = (one.request for one in page.items)
        parts.deliveries.note((one.id for one in shown if one.status in OPEN), Reach.SEEN)


def _filter(
    parts: Parts, input: wire.ListInquiries, addressees: Sequence[str], responder: str | None
) -> InquiryFilter:
    for time in (input.due_before, input.due_after):
        if time is not None:
            check_time(time)
    where = InquiryFilter(
        addressees,
        responder,
        EVERY_STATUS if input.status is None else [input.status],
        input.requestor,
        input.flow_id,
        input.tag,
        input.q,
        input.due_before,
        input.due_after,
        unread=input.unread,
        show_deleted=input.include_deleted,
        show_snoozed=input.snoozed,
    )
    return where if input.section is None else _in_section(parts, where, Section(input.section))


def _in_section(parts: Parts, where: InquiryFilter, section: Section) -> InquiryFilter:
    """Only what is open, and urgent as the section has it; its other filters hold too."""
    where = replace(where, statuses=[one for one in _OPEN if one in where.statuses])
    now = parts.journal.now()
    match section:
        case Section.ATTENTION:
            return replace(where, urgent_by=now + parts.thresholds.attention)
        case Section.DUE_SOON:
            by = now + parts.thresholds.due_soon
            return replace(where, due_before=min(by, where.due_before or by))
        case Section.PENDING:
            return where


async def _sections(parts: Parts, where: InquiryFilter) -> wire.InquirySections:
    now = parts.journal.now()
    counts = await parts.inbox.sections(
        where, now + parts.thresholds.attention, now + parts.thresholds.due_soon
    )
    attention, due_soon, pending = (
        wire.SectionCount(count=one.count, unread=one.unread, exact=one.exact)
        for one in (counts[section] for section in Section)
    )
    return wire.InquirySections(attention=attention, due_soon=due_soon, pending=pending)


async def _addressees(parts: Parts, call: Call, wanted: str | None) -> list[str]:
    if wanted is None:
        return sorted(call.caller.responder().addresses)
    entity = await parts.directory.lookup(wanted)
    if entity is None or not access.may_act_for(call.caller, entity.id):
        raise NotFound("no such entity")
    return [entity.id]


def _self(call: Call) -> str | None:
    return call.caller.entity.id if call.caller.entity else None


def _inquiry(listed: ListedInquiry) -> wire.Inquiry:
    mark, flow = listed.mark, listed.request.flow
    return wire.Inquiry(
        **routing.list_row(listed.request),
        read=mark.read,
        snoozed_until=mark.snoozed_until,
        deleted=mark.deleted,
        why=listed.why,
        flow_id=None if flow is None else flow.id,
    )


async def _page(
    parts: Parts, where: InquiryFilter, order: Order, after: PageAt | None, limit: int
) -> tuple[ListedPage, Count]:
    """A page and how many there are on all; what is all on one page is not counted again."""
    channels = [routing.entity_channel(entity) for entity in where.addressees]
    page = await parts.inbox.page(where, order, channels, after, limit)
    if after is None and page.last is None:
        return page, Count(len(page.items), exact=True)
    return page, await parts.inbox.total(where)


def _write_cursor(order: Order, last: PageAt | None) -> str | None:
    if last is None:
        return None
    text = msgspec.json.encode(_Cursor(order, last.rank, last.id))
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _read_cursor(text: str | None, order: Order) -> PageAt | None:
    if text is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        cursor = msgspec.json.decode(raw, type=_Cursor)
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        raise InvalidCursor("this cursor was not given out by this list") from None
    if cursor.sort != order or not _is_rank(cursor.rank) or not is_ulid(cursor.id):
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
