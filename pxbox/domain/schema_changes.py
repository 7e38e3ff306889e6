"""What a new version of a schema takes away: values that the one before let through.

Place by place, by the keywords that narrow. Where two schemas differ in a way that cannot be
judged so (combinations, other references), that is said in place of an answer: nothing of this
proves that a change is harmless, it finds what most changes break.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from pxbox.domain.schema_document import JsonSchema, pointer_token
from pxbox.model.errors import FieldError

MOST_CHANGES = 100

_NOTES = frozenset({
    "$id", "$schema", "$comment", "$anchor", "title", "description", "default", "examples",
    "deprecated", "readOnly", "writeOnly",
})  # fmt: skip
_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains")
_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains")
_MEMBERS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_INNER = ("items", "additionalProperties", "contains", "propertyNames", "additionalItems")
_SAME = ("pattern", "format", "multipleOf", "const")
_JUDGED = {*_NOTES, *_LEAST, *_MOST, *_MEMBERS, *_INNER, *_SAME, "type", "enum", "required",
           "uniqueItems"}  # fmt: skip


def narrowed(before: JsonSchema, after: JsonSchema) -> list[FieldError]:
    """Return where `after` may refuse what `before` lets through, by JSON Pointer into `after`."""
    return list(islice(_compare(before, after, ""), MOST_CHANGES))


def _compare(before: object, after: object, at: str) -> Iterator[FieldError]:
    if before == after or before is False or after is True or after == {}:
        return
    if after is False:
        yield FieldError(at, "nothing is let through any more", "false")
        return
    old = before if isinstance(before, dict) else {}
    new = after if isinstance(after, dict) else {}
    yield from _types(old, new, at)
    yield from _choices(old, new, at)
    yield from _bounds(old, new, at)
    yield from _required(old, new, at)
    yield from _inner(old, new, at)
    for keyword in (old.keys() | new.keys()) - _JUDGED:
        if keyword in new and old.get(keyword) != new[keyword]:
            yield FieldError(f"{at}/{keyword}", "was changed; what follows is not known", keyword)


def _types(old: dict[str, object], new: dict[str, object], at: str) -> Iterator[FieldError]:
    if "type" not in new:
        return
    allowed = _listed(new["type"])
    if "number" in allowed:
        allowed = [*allowed, "integer"]
    if "type" not in old:
        yield FieldError(f"{at}/type", "must now be " + " or ".join(map(str, allowed)), "type")
    for gone in (one for one in _listed(old.get("type", [])) if one not in allowed):
        yield FieldError(f"{at}/type", f"may no longer be {gone}", "type")


def _choices(old: dict[str, object], new: dict[str, object], at: str) -> Iterator[FieldError]:
    if isinstance(new.get("enum"), list):
        choices = _listed(new["enum"])
        if not isinstance(old.get("enum"), list):
            if "const" not in old or old["const"] not in choices:
                yield FieldError(f"{at}/enum", "must now be one of a list", "enum")
        else:
            for gone in (one for one in _listed(old["enum"]) if one not in choices):
                yield FieldError(f"{at}/enum", f"may no longer be {str(gone)[:100]!r}", "enum")
    for keyword in _SAME:
        if keyword in new and old.get(keyword) != new[keyword]:
            how = "changed" if keyword in old else "added"
            yield FieldError(f"{at}/{keyword}", f"was {how}", keyword)
    if new.get("uniqueItems") is True and old.get("uniqueItems") is not True:
        yield FieldError(f"{at}/uniqueItems", "was added", "uniqueItems")


def _bounds(old: dict[str, object], new: dict[str, object], at: str) -> Iterator[FieldError]:
    for keywords, sign in ((_LEAST, 1), (_MOST, -1)):
        for keyword in keywords:
            bound, before = new.get(keyword), old.get(keyword)
            if not isinstance(bound, int | float):
                continue
            if not isinstance(before, int | float) or sign * (bound - before) > 0:
                yield FieldError(f"{at}/{keyword}", f"is now {bound}", keyword)


def _required(old: dict[str, object], new: dict[str, object], at: str) -> Iterator[FieldError]:
    before = _listed(old.get("required", []))
    for name in (one for one in _listed(new.get("required", [])) if one not in before):
        yield FieldError(f"{at}/required", f"{str(name)[:100]!r} is required now", "required")


def _inner(old: dict[str, object], new: dict[str, object], at: str) -> Iterator[FieldError]:
    for keyword in _MEMBERS:
        mine, theirs = _members(old.get(keyword)), _members(new.get(keyword))
        # What is not named is what `additionalProperties` says; without it, anything.
        other = old.get("additionalProperties", True) if keyword == "properties" else True
        for name, after in theirs.items():
            if keyword in ("$defs", "definitions") and name not in mine:
                continue
            yield from _compare(
                mine.get(name, other), after, f"{at}/{keyword}{pointer_token(name)}"
            )
        if keyword == "properties":
            rest = new.get("additionalProperties", True)
            for name in mine.keys() - theirs.keys():
                yield from _compare(mine[name], rest, f"{at}/additionalProperties")
    for keyword in _INNER:
        yield from _compare(old.get(keyword, True), new.get(keyword, True), f"{at}/{keyword}")


def _members(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]
