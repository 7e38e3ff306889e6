"""What goes where: data to standard output, all else to standard error, and no escape sequence of a
stranger's to a terminal."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence
from typing import Any, TextIO

import msgspec

_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def interactive() -> bool:
    """Whether a person can be asked: prompts are drawn on standard error, and read from standard
    input."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def clean(text: str) -> str:
    """One line without control characters: titles and answers are written by strangers."""
    return " ".join("".join(" " if unicodedata.category(c) in _UNSAFE else c for c in text).split())


def clean_lines(text: str) -> str:
    """The same for text of several lines, which stay lines."""
    safe = text.replace("\r\n", "\n").replace("\t", "    ")
    return "\n".join(
        "".join(" " if unicodedata.category(c) in _UNSAFE else c for c in line).rstrip()
        for line in safe.split("\n")
    ).strip("\n")


def note(message: str) -> None:
    """Say how it goes, on standard error."""
    print(message, file=sys.stderr, flush=True)


def put(text: str) -> None:
    """A line of data, at once."""
    print(text, flush=True)


def put_json(value: Any) -> None:
    """A value as JSON: indented for a person, on one line for a program."""
    encoded = msgspec.json.encode(value)
    put((msgspec.json.format(encoded, indent=2) if sys.stdout.isatty() else encoded).decode())


def put_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table, drawn on a terminal; else tab-separated, with a heading."""
    cleaned = [[clean(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in (columns, *cleaned):
            put("\t".join(row))
        return
    # Here and not above: programs that read our output need not wait for it.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        # Ids are there to be copied.
        table.add_column(column, no_wrap=number == 0, overflow="fold")
    for row in cleaned:
        table.add_row(*map(Text, row))
    Console().print(table)


def put_prose(markdown: str) -> None:
    """What a stranger has written in Markdown: laid out on a terminal, elsewhere as it is."""
    _prose(markdown, sys.stdout)


def note_prose(markdown: str) -> None:
    """The same on standard error."""
    _prose(markdown, sys.stderr)


def _prose(markdown: str, stream: TextIO) -> None:
    safe = clean_lines(markdown)
    if not stream.isatty():
        print(safe, file=stream, flush=True)
        return
    from rich.console import Console
    from rich.markdown import Markdown

    # A link's text is no word on where it leads: both are shown.
    Console(file=stream).print(Markdown(safe, hyperlinks=False))


def put_pairs(pairs: Sequence[tuple[str, str]], indent: str = "") -> None:
    """Named values under each other."""
    names = [clean(name) for name, _ in pairs]
    width = max(map(len, names))
    for name, (_, value) in zip(names, pairs, strict=True):
        put(f"{indent}{name:{width}}  {clean(value)}".rstrip())
