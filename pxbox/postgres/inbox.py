"""The lists of requests that responders see: pages, totals and sections (E6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

import msgspec

from pxbox.domain.inbox import Section
from pxbox.model.mark import Mark
from pxbox.model.request import Request, Status
from pxbox.postgres.reader import Reader

MOST_COUNTED = 1_000
"""Counting stops here: nobody acts on how many more there are, and each costs a look."""

EVERY_STATUS = tuple(Status)


class Order(StrEnum):
    """What a list is sorted by; each has its statement."""

    DEADLINE = "deadline"
    ATTENTION = "attention"
    CREATED = "created"
    SNOOZED = "snoozed"


_STATEMENTS = {
    Order.DEADLINE: "inbox_by_deadline",
    Order.ATTENTION: "inbox_by_attention",
    Order.CREATED: "inbox_by_created",
    Order.SNOOZED: "inbox_snoozed",
}


@dataclass(frozen=True, slots=True)
class InquiryFilter:
    """What a list admits; None admits all.

    `responder` is whose marks count, and who does not see what they declined; None: nobody.
    `urgent_by`: only what needs attention now, or is due by then. `unread` False: only what was
    read. `show_deleted`, `show_snoozed`: these too.
    """

    addressees: Sequence[str]
    responder: str | None
    statuses: Sequence[str] = EVERY_STATUS
    requestor: str | None = None
    flow_id: str | None = None
    tag: str | None = None
    text: str | None = None
    due_before: datetime | None = None
    due_after: datetime | None = None
    urgent_by: datetime | None = None
    unread: bool | None = None
    show_deleted: bool = False
    show_snoozed: bool = False


@dataclass(frozen=True, slots=True)
class PageAt:
    """Where a page begins: after the row with this rank (a time) and id."""

    rank: str
    id: str


@dataclass(frozen=True, slots=True)
class ListedInquiry:
    """`why` is what the asker said of it, cut off where that is long."""

    request: Request
    mark: Mark
    why: str | None


@dataclass(frozen=True, slots=True)
class ListedPage:
    items: list[ListedInquiry]
    positions: dict[str, int]
    last: PageAt | None


@dataclass(frozen=True, slots=True)
class Count:
    """`exact` is False where there are at least as many."""

    count: int
    exact: bool


@dataclass(frozen=True, slots=True)
class SectionCount(Count):
    unread: int


_NONE = SectionCount(0, True, 0)


class _Row(msgspec.Struct):
    state: Request
    rank: str
    read: bool
    snoozed_until: datetime | None
    deleted: bool
    mark_version: int
    why: str | None


_decode_rows = msgspec.json.Decoder(list[_Row]).decode
_decode_positions = msgspec.json.Decoder(dict[str, int]).decode


class Inbox:
    """Every method raises Unavailable while the database cannot be reached."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(
        self, where: InquiryFilter, order: Order, channels: Sequence[str], after: PageAt | None,
        limit: int,
    ) -> ListedPage:  # fmt: skip
        """A page of inquiries, and the heads of `channels` in the same snapshot (E6)."""
        at = (after.rank, after.id) if after else (None, None)
        arguments = _arguments(where, limit + 1)
        found = await self._reader.fetch_list(_STATEMENTS[order], *arguments, *at, list(channels))
        (row,) = found
        rows = _decode_rows(row["rows"])
        page = rows[:limit]
        last = PageAt(page[-1].rank, page[-1].state.id) if len(rows) > limit else None
        positions = dict.fromkeys(channels, 0) | _decode_positions(row["positions"])
        return ListedPage([_listed(one, where.responder) for one in page], positions, last)

    async def total(self, where: InquiryFilter) -> Count:
        """How many inquiries there are on all pages together, up to MOST_COUNTED."""
        arguments = _arguments(where, MOST_COUNTED + 1)
        (row,) = await self._reader.fetch_list("inbox_total", *arguments)
        return Count(min(row["total"], MOST_COUNTED), not row["more"])

    async def sections(
        self, where: InquiryFilter, urgent_by: datetime, soon_by: datetime
    ) -> dict[Section, SectionCount]:
        """What is open of `where`'s addressees, by section; its other members do not count."""
        rows = await self._reader.fetch_list(
            "inbox_sections", list(where.addressees), where.responder, where.responder, urgent_by,
            soon_by, MOST_COUNTED + 1,
        )  # fmt: skip
        counts = {row["section"]: row for row in rows}
        return {
            section: SectionCount(
                min(row["count"], MOST_COUNTED), not row["more"], min(row["unread"], MOST_COUNTED)
            )
            if (row := counts.get(section))
            else _NONE
            for section in Section
        }


def without_marks(where: InquiryFilter) -> InquiryFilter:
    """The same with everything in sight that was deleted or snoozed."""
    return replace(where, show_deleted=True, show_snoozed=True)


def _arguments(where: InquiryFilter, limit: int) -> list[object]:
    """The parameters $1 to $15 that all lists have."""
    return [
        list(where.addressees), list(where.statuses), limit, where.responder, where.responder,
        where.requestor, where.flow_id, where.tag, where.text, where.due_before, where.due_after,
        where.urgent_by, where.show_deleted, where.unread, where.show_snoozed,
    ]  # fmt: skip


def _listed(row: _Row, responder: str | None) -> ListedInquiry:
    mark = Mark(
        row.state.id, responder or "", row.mark_version, row.read, row.snoozed_until, row.deleted
    )
    return ListedInquiry(row.state, mark, row.why)
