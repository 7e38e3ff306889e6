"""An answer as its author looks over it before it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pxbox.cli.form.marks import tokens
from pxbox.cli.form.places import inside, label_of, masked, title_of
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.view import Schema
from pxbox.cli.terminal import clean, note
from pxbox.model.errors import FieldError

_LONGEST = 200
_WIDEST = 40


def lines(sheet: Sheet, answer: Any) -> list[tuple[str, str]]:
    """Each value of the answer, by what it is called; secrets are masked."""
    shown = masked(sheet, [sheet.schema], answer)
    return [(_path(trail), text) for trail, text in _leaves(sheet, [sheet.schema], shown, ())]


def called(sheet: Sheet, answer: Any, pointer: str) -> str:
    """The titles on the way to a place of the answer."""
    schemas: list[Schema] = [sheet.schema]
    trail: _Trail = ()
    value = answer
    for token in tokens(pointer):
        part = int(token) if isinstance(value, list) and token.isdecimal() else token
        schemas, trail = _step(sheet, schemas, trail, part)
        if isinstance(value, list):
            value = value[part] if isinstance(part, int) and part < len(value) else None
        else:
            value = value.get(part) if isinstance(value, dict) else None
    return _path(trail)


def show(sheet: Sheet, answer: Any) -> None:
    """Write the answer to standard error."""
    rows = lines(sheet, answer)
    width = min(max(len(name) for name, _ in rows), _WIDEST)
    note("\n" + "\n".join(f"  {name:{width}}  {text}" for name, text in rows) + "\n")


def say_errors(sheet: Sheet, answer: Any, errors: Sequence[FieldError]) -> None:
    """Say what has to be mended, and where."""
    note("Not accepted yet:")
    for error in errors:
        note(f"  {called(sheet, answer, error.pointer)}: {clean(error.message)}")


_Trail = tuple[str, ...]


def _step(
    sheet: Sheet, schemas: Sequence[Schema], trail: _Trail, part: str | int
) -> tuple[list[Schema], _Trail]:
    """One step inwards: the schemas there, and the titles on the way."""
    there = inside(sheet, schemas, part)
    if isinstance(part, str):
        return there, (*trail, title_of(there, part))
    *outer, last = trail or ("item",)
    return there, (*outer, f"{last} {part + 1}")


def _leaves(
    sheet: Sheet, schemas: Sequence[Schema], value: Any, trail: _Trail
) -> Iterator[tuple[_Trail, str]]:
    parts: Sequence[tuple[str | int, Any]] = ()
    if isinstance(value, dict):
        parts = list(value.items())
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        parts = list(enumerate(value))
    for part, inner in parts:
        there, way = _step(sheet, schemas, trail, part)
        yield from _leaves(sheet, there, inner, way)
    if not parts:
        yield trail, _shown(sheet, schemas, value)


def _path(trail: _Trail) -> str:
    return " › ".join(map(clean, trail)) or "answer"


def _shown(sheet: Sheet, schemas: Sequence[Schema], value: Any) -> str:
    if isinstance(value, list) and value:
        inner = [inside(sheet, schemas, index) for index in range(len(value))]
        pairs = zip(inner, value, strict=True)
        text = ", ".join(label_of(sheet, there, each) for there, each in pairs)
    else:
        text = label_of(sheet, schemas, value)
    text = clean(text) or '""'
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
