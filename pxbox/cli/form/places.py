"""What the schema says of a place in an answer, whatever else was answered: every schema that may
apply there, its title, and whether it is a secret."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pxbox.cli.form.sheet import Sheet
from pxbox.cli.form.view import Schema, label, plain

MASK = "********"
"""What is shown of a secret, whatever its length."""


def inside(sheet: Sheet, schemas: Iterable[Schema], part: str | int) -> list[Schema]:
    """The schemas of a member, or of an item; those of the items after the last for -1."""
    found: list[Schema] = []
    for view in map(sheet.view, spread(sheet, schemas)):
        if isinstance(part, int):
            found += view.prefix[part : part + 1] if part >= 0 else []
            found += view.items if not 0 <= part < len(view.prefix) else []
        else:
            found += view.properties.get(part, [])
            if part not in view.properties:
                found += [schema for _, schema in view.entries]
    return [schema for schema in found if schema is not False]


def spread(sheet: Sheet, schemas: Iterable[Schema]) -> Iterator[Schema]:
    """The schemas, and every branch that one of them may take."""
    waiting = list(schemas)
    seen: set[str] = set()
    while waiting:
        schema = waiting.pop(0)
        text = json.dumps(schema)
        if text in seen:
            continue
        seen.add(text)
        view = sheet.view(schema)
        for group in view.alternatives:
            waiting += group.branches
        for conditional in view.conditionals:
            waiting += [conditional.then, conditional.otherwise]
        yield schema


def title_of(schemas: Iterable[Schema], name: str) -> str:
    """The title that was written for this very place, else its name: that of what it refers to
    may be the title of several."""
    titles = (schema.get("title") for schema in schemas if isinstance(schema, dict))
    return next((title for title in titles if isinstance(title, str) and title), name)


def is_secret(sheet: Sheet, schemas: Iterable[Schema]) -> bool:
    return any(sheet.view(schema).secret for schema in spread(sheet, schemas))


def label_of(sheet: Sheet, schemas: Iterable[Schema], value: Any) -> str:
    """How the value is called where it was picked from a list; else as it is."""
    for schema in spread(sheet, schemas):
        for option in sheet.view(schema).options or ():
            if label(option.value) == label(value):
                return option.label
    return plain(value)


def masked(sheet: Sheet, schemas: Sequence[Schema], value: Any) -> Any:
    """The value with MASK in place of each secret."""
    if is_secret(sheet, schemas):
        return MASK
    if isinstance(value, dict):
        return {
            name: masked(sheet, inside(sheet, schemas, name), inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [
            masked(sheet, inside(sheet, schemas, index), inner) for index, inner in enumerate(value)
        ]
    return value
