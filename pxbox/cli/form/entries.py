"""Asking for the members of an object whose names are up to whoever answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pxbox.cli.form.question import SKIPPED, About, Proceed, Text, Unreadable
from pxbox.cli.form.view import Schema, View
from pxbox.domain.schema_document import pointer_token

if TYPE_CHECKING:
    from pxbox.cli.form.walk import Asking, Walk


def ask_entries(
    walk: Walk, view: View, about: About, answer: dict[str, Any], asked: set[str]
) -> Asking:
    """Put into `answer` the entries that are wanted beside the members in `asked`."""
    if not view.entries:
        return
    known = walk.known.at(about.pointer)
    for name in [n for n in known if n not in asked] if isinstance(known, dict) else []:
        schemas = schemas_of(walk, view, name)
        value: Any = SKIPPED
        if schemas:
            value = yield from walk.value(schemas, _entry(about, name, required=False))
        if value is not SKIPPED:
            answer[name] = value
    while walk.known.asks(about.pointer):
        text = "Add another entry to" if answer else "Add an entry to"
        if not (yield Proceed(about, text, False)):
            return
        name = yield _ask_name(walk, view, about, {*answer, *asked})
        value = yield from walk.value(
            schemas_of(walk, view, name), _entry(about, name, required=True)
        )
        answer[name] = value


def schemas_of(walk: Walk, view: View, name: str) -> list[Schema]:
    """What an entry of this name must be; empty if there may be none."""
    matching = [
        schema
        for pattern, schema in view.entries
        if pattern is not None and walk.sheet.holds({"pattern": pattern}, name)
    ]
    return matching or [schema for pattern, schema in view.entries if pattern is None]


def _ask_name(walk: Walk, view: View, about: About, taken: set[str]) -> Text:
    def read(text: str) -> str:
        if not text:
            raise Unreadable("is required")
        if text in taken:
            raise Unreadable("is there already")
        if not schemas_of(walk, view, text):
            raise Unreadable("is not a name that the schema provides for")
        refused = walk.sheet.refusals(view.names, text) if view.names else []
        if refused:
            raise Unreadable(refused[0].message)
        return text

    place = About(about.pointer, (*about.trail, "name of the entry"), "", required=True)
    return Text(place, read, "", "", secret=False)


def _entry(about: About, name: str, *, required: bool) -> About:
    return About(about.pointer + pointer_token(name), (*about.trail, name), "", required)
