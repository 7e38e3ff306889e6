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

_COLUMNS = ("ID", "TITLE", "FROM", "STATUS", "DEADLINE", "ASKED")
_LARGEST_PAGE = 200
_NEVER = datetime.max.replace(tzinfo=UTC)

StatusName = Literal["pending", "claimed", "answered", "declined", "cancelled", "expired", "all"]


@dataclass(frozen=True, slots=True)
class _Filter:
    entity: str | None
    text: str | None
    sort: str
    limit: int


def inbox(
    *,
    status: Annotated[StatusName | None, Parameter(show_default=False)] = None,
    entity: Annotated[str | None, Parameter(metavar="ADDRESS", show_default=False)] = None,
    search: Annotated[
        str | None, Parameter(name=("--search", "-q"), metavar="TEXT", show_default=False)
    ] = None,
    sort: Literal["deadline", "created"] = "deadline",
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
        Only those with this text in their title.
    sort
        What comes first: the nearest deadline, or the newest.
    limit
        At most so many.
    json
        Print them as JSON, as listInquiries gives them.
    """
    if limit < 1:
        raise CommandFailed("--limit must be at least 1.", Exit.WRONG_CALL)
    wanted = _Filter(entity, search, sort, limit)
    page = call(where, lambda px: _find(px, _statuses(status), wanted))
    if json:
        put_json(page)
        return Exit.DONE
    if page.items:
        put_table(_COLUMNS, [_row(item) for item in page.items])
    else:
        note("Nothing is open for you." if status is None else "There is none.")
    if page.total > len(page.items):
        note(f"{len(page.items)} of {page.total} are shown; --limit shows more.")
    return Exit.DONE


def _statuses(name: StatusName | None) -> Sequence[Status | None]:
    if name is None:
        return sorted(OPEN)
    return [None if name == "all" else Status(name.upper())]


async def _find(
    px: AsyncPxBox, statuses: Sequence[Status | None], wanted: _Filter
) -> wire.RequestPage:
    """What there is in these states, as one list. Its positions are those of the first that was
    read, so that resuming from there misses nothing."""
    pages = [await _read(px, status, wanted) for status in statuses]
    items = {item.id: item for page in pages for item in page.items}
    first = pages[0]
    return wire.RequestPage(
        items=_in_order(items.values(), wanted.sort)[: wanted.limit],
        total=sum(page.total for page in pages),
        total_exact=all(page.total_exact for page in pages),
        next_cursor=None,
        epoch=first.epoch,
        positions=first.positions,
    )


async def _read(px: AsyncPxBox, status: Status | None, wanted: _Filter) -> wire.RequestPage:
    """As much as is wanted, however many pages that takes."""
    first = page = await _page(px, status, wanted, wanted.limit, None)
    while page.next_cursor is not None and len(first.items) < wanted.limit:
        left = wanted.limit - len(first.items)
        page = await _page(px, status, wanted, left, page.next_cursor)
        first.items += page.items
    return first


async def _page(
    px: AsyncPxBox, status: Status | None, wanted: _Filter, limit: int, cursor: str | None
) -> wire.RequestPage:
    return await px.inquiries(
        entity=wanted.entity,
        status=status,
        q=wanted.text,
        sort_by=wanted.sort,
        limit=min(limit, _LARGEST_PAGE),
        cursor=cursor,
    )


def _in_order(items: Iterable[wire.RequestSummary], sort: str) -> list[wire.RequestSummary]:
    """As the broker orders one list."""
    if sort == "created":
        return sorted(items, key=lambda item: (item.created_at, item.id), reverse=True)
    return sorted(items, key=lambda item: (item.deadline_at or _NEVER, item.id))


def _row(item: wire.RequestSummary) -> tuple[str, ...]:
    status = item.status.lower()
    if item.claim is not None:
        status += f", lapses {distance(item.claim.expires_at)}"
    return (
        item.id,
        item.title or "",
        item.requestor,
        status,
        distance(item.deadline_at) if item.deadline_at else "",
        distance(item.created_at),
    )
