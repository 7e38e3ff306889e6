"""`pxbox inbox`: what waits for an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.terminal import note, put_json, put_table
from pxbox.cli.times import distance
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import AsyncPxBox
from pxbox.model import wire
from pxbox.model.request import OPEN, Status

_COLUMNS = ("ID", "TITLE", "FROM", "STATUS", "DEADLINE", "ASKED", "NEW")
_LARGEST_PAGE = 200
_NEVER = datetime.max.replace(tzinfo=UTC)

SectionName = Literal["attention", "due-soon"]
StatusName = Literal["pending", "claimed", "answered", "declined", "cancelled", "expired", "all"]


@dataclass(frozen=True, slots=True)
class _Filter:
    entity: str | None
    text: str | None
    sort: str
    limit: int
    section: SectionName | None
    unread: bool
    snoozed: bool
    deleted: bool
    tag: str | None


def inbox(
    *,
    status: Annotated[StatusName | None, Parameter(show_default=False)] = None,
    entity: Annotated[str | None, Parameter(metavar="ADDRESS", show_default=False)] = None,
    search: Annotated[
        str | None, Parameter(name=("--search", "-q"), metavar="TEXT", show_default=False)
    ] = None,
    section: Annotated[SectionName | None, Parameter(show_default=False)] = None,
    unread: Switch = False,
    snoozed: Switch = False,
    deleted: Switch = False,
    tag: Annotated[str | None, Parameter(metavar="TEXT", show_default=False)] = None,
    sort: Literal["deadline", "attention", "created"] = "deadline",
    limit: Annotated[int, Parameter(metavar="N")] = 50,
    json: Switch = False,
    where: Where = NOWHERE,
) -> int:
    """List what is addressed to you, directly or through groups; by default what is open.

    Parameters
    ----------
    status
        Only those in this state; all for every one.
    entity
        Only what is addressed to this entity or group of yours.
    search
        Only those with this text in title, description or meta.
    section
        Only what needs attention, or is due soon.
    unread
        Only what you have not read.
    snoozed
        Only what you have snoozed.
    deleted
        Also what you have deleted.
    tag
        Only those with this tag.
    sort
        What comes first: the nearest deadline or attention time, or the newest.
    limit
        At most so many.
    json
        Print them as JSON, as listInquiries gives them.
    """
    if limit < 1:
        raise CommandFailed("--limit must be at least 1.", Exit.WRONG_CALL)
    wanted = _Filter(entity, search, sort, limit, section, unread, snoozed, deleted, tag)
    page = call(where, lambda px: _find(px, _statuses(status), wanted))
    if json:
        put_json(page)
        return Exit.DONE
    if page.items:
        put_table(_COLUMNS, [_row(item) for item in page.items])
    else:
        note("Nothing is open for you." if status is None else "There is none.")
    if page.sections is not None and status is None:
        note(_summary(page.sections))
    if page.total > len(page.items):
        note(f"{len(page.items)} of {page.total} are shown; --limit shows more.")
    return Exit.DONE


def _statuses(name: StatusName | None) -> Sequence[Status | None]:
    if name is None:
        return sorted(OPEN)
    return [None if name == "all" else Status(name.upper())]


async def _find(
    px: AsyncPxBox, statuses: Sequence[Status | None], wanted: _Filter
) -> wire.InquiryPage:
    """What there is in these states, as one list. Its positions are those of the first that was
    read, so that resuming from there misses nothing."""
    pages = [await _read(px, status, wanted) for status in statuses]
    items = {item.id: item for page in pages for item in page.items}
    first = pages[0]
    return wire.InquiryPage(
        items=_in_order(items.values(), wanted.sort)[: wanted.limit],
        total=sum(page.total for page in pages),
        total_exact=all(page.total_exact for page in pages),
        sections=first.sections,
        next_cursor=None,
        epoch=first.epoch,
        positions=first.positions,
    )


async def _read(px: AsyncPxBox, status: Status | None, wanted: _Filter) -> wire.InquiryPage:
    """As much as is wanted, however many pages that takes."""
    first = page = await _page(px, status, wanted, wanted.limit, None)
    while page.next_cursor is not None and len(first.items) < wanted.limit:
        left = wanted.limit - len(first.items)
        page = await _page(px, status, wanted, left, page.next_cursor)
        first.items += page.items
    return first


async def _page(
    px: AsyncPxBox, status: Status | None, wanted: _Filter, limit: int, cursor: str | None
) -> wire.InquiryPage:
    return await px.inquiries(
        entity=wanted.entity,
        status=status,
        q=wanted.text,
        section="dueSoon" if wanted.section == "due-soon" else wanted.section,
        unread=True if wanted.unread else None,
        snoozed=wanted.snoozed,
        include_deleted=wanted.deleted,
        tag=wanted.tag,
        sort_by=wanted.sort,
        limit=min(limit, _LARGEST_PAGE),
        cursor=cursor,
    )


def _in_order(items: Iterable[wire.Inquiry], sort: str) -> list[wire.Inquiry]:
    """As the broker orders one list."""
    if sort == "created":
        return sorted(items, key=lambda item: (item.created_at, item.id), reverse=True)
    if sort == "attention":
        return sorted(items, key=lambda item: (item.attention_at or _NEVER, item.id))
    return sorted(items, key=lambda item: (item.deadline_at or _NEVER, item.id))


def _summary(sections: wire.InquirySections) -> str:
    """What the inbox holds, in a line."""
    parts = [
        (sections.attention, "need attention"),
        (sections.due_soon, "due soon"),
        (sections.pending, "open"),
    ]
    counts = [f"{one.count}{'' if one.exact else '+'} {name}" for one, name in parts]
    return f"{', '.join(counts)}; {sections.pending.unread} unread."


def _row(item: wire.Inquiry) -> tuple[str, ...]:
    status = item.status.lower()
    if item.claim is not None:
        status += f", lapses {distance(item.claim.expires_at)}"
    if item.snoozed_until is not None and item.snoozed_until > datetime.now(UTC):
        status += f", snoozed, back {distance(item.snoozed_until)}"
    if item.deleted:
        status += ", deleted"
    return (
        item.id,
        item.title or "",
        item.requestor,
        status,
        distance(item.deadline_at) if item.deadline_at else "",
        distance(item.created_at),
        "" if item.read else "new",
    )
