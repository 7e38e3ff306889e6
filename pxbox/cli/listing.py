"""A list of requests: numbered and fitted to the screen for a person, tab-separated elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from shutil import get_terminal_size

from pxbox.cli import rows
from pxbox.cli.names import Names
from pxbox.cli.terminal import clean, put
from pxbox.cli.times import brief
from pxbox.model import wire

MOST = 50
_AROUND = 8
"""Lines of a screen that the list leaves to its heading, what is said below it and the prompt."""
_FEWEST = 10
_GAP = 2
_TITLE, _LEAST_TITLE = "TITLE", 24
_WIDEST = 24
_FIRST_TO_GO = ("ID", "ASKED", "FROM", "STATUS", "NEW")
"""What is left out where the screen is narrow: the number of a row stands for its id, and the title
and the deadline tell what to do next."""


def page_size(limit: int | None) -> int:
    """How many rows to show: as many as asked for, else what stays in sight."""
    if limit is not None:
        return limit
    if not sys.stdout.isatty():
        return MOST
    return min(MOST, max(_FEWEST, get_terminal_size().lines - _AROUND))


def put_list(
    columns: Sequence[str], lines: Sequence[Sequence[str]], ids: Sequence[str], first: int = 1
) -> None:
    """The list. Drawn on a terminal, its rows have numbers from `first` on, which commands take in
    place of ids; columns that find no room are left out, and text that does not fit is cut."""
    cleaned = [[clean(cell) for cell in line] for line in lines]
    if not sys.stdout.isatty():
        for line in (columns, *cleaned):
            put("\t".join(line))
        return
    rows.keep(ids, first)
    title = columns.index(_TITLE)
    for line in cleaned:
        line[title] = line[title] or "(no title)"
    numbered = [[str(first + place), *line] for place, line in enumerate(cleaned)]
    _draw(("#", *columns), numbered)


def _draw(columns: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    # Here and not above: programs that read our output need not wait for it.
    from rich.console import Console
    from rich.text import Text

    console = Console()
    widths = _widths(columns, lines, console.width)
    places = [(columns.index(name), width) for name, width in widths.items()]
    for number, line in enumerate((columns, *lines)):
        cells = [_cell(line[place], width) for place, width in places]
        style = "bold" if number == 0 or line[-1] == "new" else ""
        console.print(Text((" " * _GAP).join(cells).rstrip(), style), no_wrap=True, crop=True)


def _widths(columns: Sequence[str], lines: Sequence[Sequence[str]], room: int) -> dict[str, int]:
    """The columns that find room beside a title that can be read, with their widths."""
    from rich.cells import cell_len

    wanted = {}
    for place, name in enumerate(columns):
        filled = [line[place] for line in lines if line[place]]
        widest = max(map(cell_len, (name, *filled)))
        if filled:
            wanted[name] = widest if name in {_TITLE, "ID"} else min(widest, _WIDEST)
    title = wanted.pop(_TITLE, 0)
    least = min(title, _LEAST_TITLE)
    for name in _FIRST_TO_GO:
        if _taken(wanted) + least <= room:
            break
        wanted.pop(name, None)
    fitting = max(least, min(title, room - _taken(wanted)))
    return {name: wanted.get(name, fitting) for name in columns if name in {_TITLE, *wanted}}


def _taken(widths: dict[str, int]) -> int:
    return sum(width + _GAP for width in widths.values())


def _cell(text: str, width: int) -> str:
    from rich.cells import cell_len, set_cell_size

    if cell_len(text) <= width:
        return set_cell_size(text, width)
    return set_cell_size(text, width - 1) + "\N{HORIZONTAL ELLIPSIS}"


def status_of(item: wire.RequestSummary, names: Names) -> str:
    """How it stands; of a claim also whose it is, of what is closed by whom and since when, where
    that may be known."""
    status = item.status.lower()
    if item.closed_at is not None:
        by = f" by {names[item.closed_by]}" if item.closed_by in names else ""
        return f"{status}{by} {brief(item.closed_at)}"
    if item.claim is None:
        return status
    return f"{status} by {names.get(item.claim.by, 'another')}"


def deadline_of(item: wire.RequestSummary) -> str:
    """Its deadline, while it matters."""
    return when(item.deadline_at) if item.closed_at is None else ""


def concerned(items: Iterable[wire.RequestSummary]) -> list[str | None]:
    """Those whom `status_of` names."""
    return [item.claim.by if item.claim is not None else item.closed_by for item in items]


def when(moment: datetime | None) -> str:
    """A moment as a column has it."""
    return "" if moment is None else brief(moment)


def rows_shown(first: int, shown: int, of: str, page: int, *, more: bool) -> str:
    """Which part of the whole is on the screen, and how to see the next."""
    after = f"; --page {page + 1} shows the next" if more else ""
    return f"Rows {first} to {first + shown - 1}{of}{after}."
