"""`pxbox requests`: what one has asked."""

from __future__ import annotations

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
from pxbox.cli.where import NOWHERE, Switch, Where
from pxbox.client import AsyncPxBox
from pxbox.model import wire

_COLUMNS = ("ID", "TITLE", "TO", "STATUS", "DEADLINE", "ASKED", "REACHED")
_LARGEST_PAGE = 200

StatusName = Literal["pending", "claimed", "answered", "declined", "cancelled", "expired"]
Reached = Literal["none", "notified", "seen", "opened"]


def requests(
    *,
    status: Annotated[StatusName | None, Parameter(show_default=False)] = None,
    reached: Annotated[Reached | None, Parameter(show_default=False)] = None,
    tag: Annotated[str | None, Parameter(metavar="TEXT", show_default=False)] = None,
    limit: Annotated[int | None, Parameter(metavar="N", show_default=False)] = None,
    page: Annotated[int, Parameter(metavar="N", show_default=False)] = 1,
    json: Switch = False,
    where: Where = NOWHERE,
) -> int:
    """List what you have asked, the newest first.

    Parameters
    ----------
    status
        Only those in this state.
    reached
        Only what is open and has got so far: none is what nobody has seen yet.
    tag
        Only those with this tag.
    limit
        So many at once; by default what fits on the screen, and 50 elsewhere.
    page
        2 for those after the first so many, and so on.
    json
        Print them as JSON, as listRequests gives them.
    """
    if min(1 if limit is None else limit, page) < 1:
        raise CommandFailed("--limit and --page must be at least 1.", Exit.WRONG_CALL)
    size = page_size(limit)

    async def find(px: AsyncPxBox) -> tuple[wire.AskedPage, Names]:
        found = await _read(px, size * page, status and status.upper(), reached, tag)
        found.items = found.items[size * (page - 1) :]
        asked = [id for item in found.items for id in item.to]
        return found, {} if json else await names_of(px, [*concerned(found.items), *asked])

    found, names = call(where, find)
    if json:
        put_json(found)
        return Exit.DONE
    _put(found, names, size * (page - 1) + 1, page)
    return Exit.DONE


async def _read(
    px: AsyncPxBox, most: int, status: str | None, reached: str | None, tag: str | None
) -> wire.AskedPage:
    """As many as are wanted, however many pages that takes."""
    items: list[wire.AskedRequest] = []
    cursor = None
    while True:
        left = min(most - len(items), _LARGEST_PAGE)
        page = await px.requests.list(
            status=status, reached=reached, tag=tag, limit=left, cursor=cursor
        )
        items += page.items
        cursor = page.next_cursor
        if cursor is None or len(items) >= most:
            page.items = items
            return page


def _put(found: wire.AskedPage, names: Names, first: int, page: int) -> None:
    if not found.items:
        note("There is none." if page == 1 else "There are none on this page.")
        return
    ids = [item.id for item in found.items]
    put_list(_COLUMNS, [_row(item, names) for item in found.items], ids, first)
    if page > 1 or found.next_cursor is not None:
        note(rows_shown(first, len(ids), "", page, more=found.next_cursor is not None))
    if interactive():
        note(f"`pxbox show {first}` shows row {first}, and its answer if there is one.")


def _row(item: wire.AskedRequest, names: Names) -> tuple[str, ...]:
    return (
        item.id,
        item.title or "",
        ", ".join(names.get(id, id) for id in item.to),
        status_of(item, names),
        deadline_of(item),
        when(item.created_at),
        item.delivery.reached if item.closed_at is None else "",
    )
