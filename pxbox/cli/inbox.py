"""`pxbox inbox`: what waits for an answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.listing import (
    concerned,
    deadline_of,
    page_size,
    put_list,
    rows_shown,
    status_of,
    when,
)
from pxbox.cli.names import Names, names_of
from pxbox.cli.terminal import interactive, note, put_json
from pxbox.cli.times import brief, read_moment
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import AsyncPxBox
from pxbox.model import wire
from pxbox.model.request import OPEN, Status

_COLUMNS = ("ID", "TITLE", "FROM", "STATUS", "DEADLINE", "ASKED", "NEW")
_LARGEST_PAGE = 200
_NEVER = datetime.max.replace(tzinfo=UTC)

SectionName = Literal["attention", "due-soon"]
SortName = Literal["deadline", "attention", "created"]
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
    requestor: str | None
    due: datetime | None


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
    requestor: Annotated[
        str | None, Parameter(name="--from", metavar="SUB", show_default=False)
    ] = None,
    due: Annotated[str | None, Parameter(metavar="TIME", show_default=False)] = None,
    sort: Annotated[SortName | None, Parameter(show_default=False)] = None,
    limit: Annotated[int | None, Parameter(metavar="N", show_default=False)] = None,
    page: Annotated[int, Parameter(metavar="N", show_default=False)] = 1,
    json: Switch = False,
    where: Where = NOWHERE,
) -> int:
    """List what is addressed to you, directly or through groups; by default what is open.

    At a terminal the rows have numbers, which other commands take in place of an id: pxbox show 3,
    pxbox answer 3, pxbox read 4-9.

    Parameters
    ----------
    status
        Only those in this state; all for every one.
    entity
        Only what is addressed to this entity or group of yours.
    search
        Only those with this text in title, description or meta.
    section
        Only what needs attention (its attention time has come, or it is due within the hour), or
        is due soon (within a day).
    unread
        Only what you have not read.
    snoozed
        Only what you have snoozed.
    deleted
        Also what you have deleted.
    tag
        Only those with this tag.
    requestor
        Only what this client has asked.
    due
        Only what closes before this: 2h, 1d12h from now, or 17:30.
    sort
        What comes first: the nearest deadline (so it is for what is open) or attention time, or
        the newest (so it is for the rest).
    limit
        So many at once; by default what fits on the screen, and 50 elsewhere.
    page
        2 for those after the first so many, and so on.
    json
        Print them as JSON, as listInquiries gives them.
    """
    if min(1 if limit is None else limit, page) < 1:
        raise CommandFailed("--limit and --page must be at least 1.", Exit.WRONG_CALL)
    wanted = _Filter(
        entity, search, sort or _usual_sort(status), page_size(limit) * page, section, unread,
        snoozed, deleted, tag, requestor, _due(due),
    )  # fmt: skip
    found, names = call(where, lambda px: _find(px, _statuses(status), wanted, named=not json))
    first = page_size(limit) * (page - 1) + 1
    found.items = found.items[first - 1 :]
    if json:
        put_json(found)
        return Exit.DONE
    _put(found, names, first)
    if found.sections is not None and status is None:
        note(_summary(found.sections))
    if found.items and found.total > len(found.items):
        last = first + len(found.items) - 1
        of = f" of {found.total}{'' if found.total_exact else '+'}"
        note(rows_shown(first, len(found.items), of, page, more=found.total > last))
    if found.items and interactive():
        open_ = found.items[0].status in OPEN
        answers = f", `pxbox answer {first}` answers it" if open_ else ""
        note(f"`pxbox show {first}` shows row {first}{answers}.")
    return Exit.DONE


def _usual_sort(status: StatusName | None) -> SortName:
    """Deadlines matter while they are to come."""
    return "deadline" if status in {None, "pending", "claimed"} else "created"


def _put(found: wire.InquiryPage, names: Names, first: int) -> None:
    items = found.items
    if items:
        put_list(_COLUMNS, [_row(item, names) for item in items], [one.id for one in items], first)
    elif found.total:
        note(f"There are {found.total}, all on earlier pages.")
    else:
        note("Nothing that is open fits.")


def _due(text: str | None) -> datetime | None:
    if text is None:
        return None
    moment = read_moment(text, "--due")
    return datetime.now(UTC) + moment if isinstance(moment, timedelta) else moment


def _statuses(name: StatusName | None) -> Sequence[Status | None]:
    if name is None:
        return sorted(OPEN)
    return [None if name == "all" else Status(name.upper())]


async def _find(
    px: AsyncPxBox, statuses: Sequence[Status | None], wanted: _Filter, *, named: bool
) -> tuple[wire.InquiryPage, Names]:
    """What there is in these states, as one list, with the names of who holds claims.

    Its positions are those of the first that was read, so that resuming from there misses nothing.
    """
    pages = [await _read(px, status, wanted) for status in statuses]
    items = {item.id: item for page in pages for item in page.items}
    first = pages[0]
    page = wire.InquiryPage(
        items=_in_order(items.values(), wanted.sort)[: wanted.limit],
        total=sum(page.total for page in pages),
        total_exact=all(page.total_exact for page in pages),
        sections=first.sections,
        next_cursor=None,
        epoch=first.epoch,
        positions=first.positions,
    )
    return page, await names_of(px, concerned(page.items)) if named else {}


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
        requestor=wanted.requestor,
        due_before=wanted.due,
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


def _row(item: wire.Inquiry, names: Names) -> tuple[str, ...]:
    status = status_of(item, names)
    if item.snoozed_until is not None and item.snoozed_until > datetime.now(UTC):
        status += f", snoozed, back {brief(item.snoozed_until)}"
    if item.deleted:
        status += ", deleted"
    return (
        item.id,
        item.title or "",
        item.requestor,
        status,
        deadline_of(item),
        when(item.created_at),
        "" if item.read or item.closed_at is not None else "new",
    )
