"""What an answer consists of, as lines: each part by the name that `-F` takes, and what it is."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.view import Schema, View, words_for

MOST_LINES = 60
_MOST_OPTIONS = 8
_DEEPEST = 4
_BRANCHED = 2
"""How much deeper a branch counts: strangers' schemas may be made of themselves many times over."""

Line = tuple[str, str]


def outline(schema: Schema) -> list[Line]:
    """The parts of an answer to this schema, in its order; the whole, where it has none."""
    sheet = Sheet(schema)
    view = sheet.view(sheet.schema)
    lines: list[Line] = []
    for line in _parts(sheet, view, "", "", 0):
        if len(lines) == MOST_LINES:
            lines.append(("...", "and more"))
            break
        lines.append(line)
    if view.options is not None or not view.properties:
        return [("(whole)", _kind(sheet, view, 0)), *lines]
    return lines


def _parts(sheet: Sheet, view: View, path: str, only: str, depth: int) -> Iterator[Line]:
    """The lines of what is inside; `only` says in which of several forms it is."""
    if depth >= _DEEPEST:
        return
    for name, schemas in view.properties.items():
        inner = sheet.view(*schemas)
        place = f"{path}.{_escaped(name)}" if path else _escaped(name)
        needed = ", required" if name in view.required else ""
        yield place, _kind(sheet, inner, depth) + needed + only
        yield from _parts(sheet, inner, place, "", depth + 1)
    if view.items and "array" in view.kinds():
        yield from _parts(sheet, sheet.view(*view.items), f"{path}[]", "", depth + 1)
    for group in view.alternatives:
        for name, branch in _forms(sheet, group.branches, depth):
            yield from _parts(sheet, branch, path, f", for {name}", depth + _BRANCHED)


def _forms(sheet: Sheet, branches: list[Schema], depth: int) -> list[tuple[str, View]]:
    """The first branches, each with its title, or what it is."""
    views = [sheet.view(branch) for branch in branches[:_MOST_OPTIONS]]
    return [(_form(sheet, view, number, depth), view) for number, view in enumerate(views, 1)]


def _form(sheet: Sheet, view: View, number: int, depth: int) -> str:
    if view.title or view.properties:
        return view.title or f"form {number}"
    return _kind(sheet, view, depth + _BRANCHED)


def _kind(sheet: Sheet, view: View, depth: int) -> str:
    if view.options is not None:
        labels = [option.label for option in view.options[:_MOST_OPTIONS]]
        more = ", ..." if len(view.options) > _MOST_OPTIONS else ""
        return f"{'one of ' if len(labels) > 1 else ''}{', '.join(labels)}{more}"
    if view.alternatives and depth < _DEEPEST:
        return f"either {' or '.join(n for n, _ in _forms(sheet, _branches(view), depth))}"
    kinds = view.kinds()
    if view.items and kinds == {"array"} and depth < _DEEPEST:
        return f"a list, each {_kind(sheet, sheet.view(*view.items), depth + _BRANCHED)}"
    words = " or ".join(words_for(kind) for kind in sorted(kinds))
    about = ", ".join(word for word in (view.format, "secret" if view.secret else "") if word)
    return (words or "anything") + (f" ({about})" if about else "")


def _branches(view: View) -> list[Schema]:
    return view.alternatives[0].branches


def _escaped(name: str) -> str:
    """A name as `-F` takes it."""
    return re.sub(r"([.\[\]\\=])", r"\\\1", name)
