"""Hints for forms: the words that are known, and what of them a schema has no place for.

Hints are a tree beside the schema's: an object's members by their names, an array's items under
`items`, and at each place members that begin with `ui:`. Nothing here refuses anything: a form
reads what it knows.
Source: schemas/v1/UiHints.json.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from pxbox.domain.schema_document import MAX_SCHEMA_BYTES, JsonSchema, pointer_token
from pxbox.model.document import Document
from pxbox.model.errors import FieldError

MOST_WARNINGS = 100
WIDGETS = frozenset({
    "text", "textarea", "password", "select", "radio", "checkbox", "checkboxes", "range", "updown",
    "date", "datetime", "time", "color", "hidden",
})  # fmt: skip
_MOST_STEPS = 8_000
_IN_PLACE = ("allOf", "anyOf", "oneOf", "if", "then", "else")
_UNNAMED = ("additionalProperties", "patternProperties", "unevaluatedProperties")


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


_KNOWN: dict[str, tuple[Callable[[object], bool], str]] = {
    "ui:title": (_is_text, "a text"),
    "ui:description": (_is_text, "a text"),
    "ui:help": (_is_text, "a text"),
    "ui:placeholder": (_is_text, "a text"),
    "ui:widget": (lambda value: value in WIDGETS if _is_text(value) else False, "a widget's name"),
    "ui:order": (_is_list, "a list of names"),
    "ui:enumNames": (_is_list, "a list of texts"),
    "ui:rows": (_is_count, "a number above 0"),
    "ui:readonly": (_is_flag, "true or false"),
    "ui:autofocus": (_is_flag, "true or false"),
}
WORDS = frozenset(_KNOWN)


def unmatched(hints: Document, schema: bytes) -> list[FieldError]:
    """Return which hints mean nothing for a schema, by JSON Pointer into the hints.

    Both are JSON; `null` for hints is none. Never wrong about a hint that it names; where a place
    of the schema is not known for certain, nothing is said. Takes some 20 ms at most (X4).
    """
    if hints.text == b"null":
        return []
    if len(hints.text) > MAX_SCHEMA_BYTES:
        return [FieldError("", "is too long to be checked", "size")]
    walk = _Walk(msgspec.json.decode(schema))
    warnings: list[FieldError] = []
    for warning in walk.look(msgspec.json.decode(hints.text), [walk.root], ""):
        warnings.append(warning)
        if len(warnings) == MOST_WARNINGS:
            break
    return warnings


class _Walk:
    def __init__(self, root: JsonSchema) -> None:
        self.root = root
        self._steps = 0

    def look(self, hints: object, schemas: list[object], at: str) -> Iterator[FieldError]:
        """Compare hints with what applies at their place; `schemas` empty: nothing is known."""
        if not isinstance(hints, dict):
            yield FieldError(at, "is not an object of hints", "type")
            return
        applied = self._in_place(schemas)
        for name, value in hints.items():
            here = at + pointer_token(name)
            if name.startswith("ui:"):
                yield from self._word(name, value, applied, here)
                continue
            inner = self._items(applied) if name == "items" else None
            inner = self._member(name, applied) if inner is None else inner
            if inner is None:
                yield FieldError(here, "matches nothing in the schema", "match")
            else:
                yield from self.look(value, inner, here)

    def _in_place(self, schemas: list[object]) -> list[object]:
        """All that applies to the same value, each once; empty where that is not known."""
        found: dict[int, object] = {}
        waiting = list(schemas)
        while waiting:
            self._steps += 1
            if self._steps > _MOST_STEPS:
                return []
            schema = waiting.pop()
            if id(schema) in found or not isinstance(schema, dict):
                continue
            found[id(schema)] = schema
            for keyword in _IN_PLACE:
                inner = schema.get(keyword, [])
                waiting.extend(inner if isinstance(inner, list) else [inner])
            if not {"$dynamicRef", "$recursiveRef", "dependentSchemas"}.isdisjoint(schema):
                return []
            if "$ref" in schema:
                target = self._target(schema["$ref"])
                if target is None:
                    return []
                waiting.append(target)
        return list(found.values())

    def _target(self, uri: object) -> object:
        """What a reference by pointer leads to; None for any other."""
        if not isinstance(uri, str) or not (uri == "#" or uri.startswith("#/")) or "%" in uri:
            return None
        found: object = self.root
        for token in uri[1:].split("/")[1:]:
            if not isinstance(found, dict):
                return None
            found = found.get(token.replace("~1", "/").replace("~0", "~"))
        return found

    def _word(
        self, name: str, value: object, applied: list[object], at: str
    ) -> Iterator[FieldError]:
        known = _KNOWN.get(name)
        if known is None:
            yield FieldError(at, "is not a hint that is known", "hint")
            return
        fits, meaning = known
        if not fits(value):
            yield FieldError(at, f"must be {meaning}", "type")
        elif name == "ui:order" and isinstance(value, list):
            for position, member in enumerate(value):
                if member != "*" and self._member(member, applied) is None:
                    yield FieldError(f"{at}/{position}", "matches nothing in the schema", "match")

    def _member(self, name: str, applied: list[object]) -> list[object] | None:
        """The schemas of a member; None if there is no such member, empty if nothing is known."""
        self._steps += len(applied)
        if self._steps > _MOST_STEPS:
            return []
        found: list[object] = []
        unnamed = not applied
        for schema in applied:
            assert isinstance(schema, dict)
            members = schema.get("properties")
            if isinstance(members, dict) and name in members:
                found.append(members[name])
            unnamed = unnamed or any(schema.get(one, False) is not False for one in _UNNAMED)
        return found or ([] if unnamed else None)

    def _items(self, applied: list[object]) -> list[object] | None:
        """The schemas of an array's items; None if nothing here is one."""
        self._steps += len(applied)
        found: list[object] = []
        for schema in applied:
            assert isinstance(schema, dict)
            for keyword in ("items", "prefixItems", "additionalItems", "contains"):
                inner = schema.get(keyword, [])
                found.extend(inner if isinstance(inner, list) else [inner])
        return found or None
