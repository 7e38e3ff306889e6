"""JSON Schemas as tables of members."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pxbox.rest.docs.html import Html, code, el, fold, inline, join, prose, table, text

Schema = dict[str, Any]

_FEW = 6
_BOUNDS = {
    "minimum": "at least {}",
    "maximum": "at most {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
}


def anchor(name: str) -> str:
    return f"schema-{name}"


def link(name: str) -> Html:
    return el("a", text(name), href=f"#{anchor(name)}", cls="type")


def name_of(schema: Schema) -> str | None:
    """The name of the schema that `schema` refers to."""
    reference = schema.get("$ref")
    return reference.rpartition("/")[2] if isinstance(reference, str) else None


def type_of(schema: Schema) -> Html:
    """The type of a value in a few words, with links to the schemas it is made of."""
    if name := name_of(schema):
        return link(name)
    if "const" in schema:
        return code(_literal(schema["const"]))
    if "enum" in schema and len(schema["enum"]) <= _FEW:
        return _choices(schema["enum"], " | ")
    kind = schema.get("type")
    if options := _options(schema):
        return join(map(type_of, options), " | ")
    if kind == "array":
        return Html(f"array of {type_of(schema.get('items', {}))}")
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return Html(f"object of {type_of(schema['additionalProperties'])} by name")
    if isinstance(kind, list):
        return text(" | ".join(kind))
    return text(kind or "any JSON value")


def _options(schema: Schema) -> list[Schema]:
    """Types of which a value has one; not those alternatives that only narrow it further."""
    every = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    return [one for one in every if "required" not in one and "enum" not in one]


def _choices(values: list[object], separator: str) -> Html:
    return join((code(_literal(value)) for value in values), separator)


def _literal(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def limits(schema: Schema) -> list[Html]:
    """What else a value must be: bounds, pattern, format, default, one of many."""
    said = [_bound(words, schema[key]) for key, words in _BOUNDS.items() if key in schema]
    if "pattern" in schema:
        said.append(Html(f"matches {code(schema['pattern'])}"))
    if "format" in schema:
        said.append(text(schema["format"]))
    if "default" in schema:
        said.append(Html(f"default {code(_literal(schema['default']))}"))
    for one in (schema, *schema.get("anyOf", ())):
        if len(one.get("enum", ())) > _FEW:
            words = "not built yet" if is_planned(one) else "one of"
            said.append(Html(f"{words} {_choices(one['enum'], ', ')}"))
    return said


def _bound(words: str, value: int) -> Html:
    said = words.format(f"{value:,}")
    return text(said.removesuffix("s") if value == 1 else said)


def members(schema: Schema, components: dict[str, Schema]) -> tuple[Schema, frozenset[str]]:
    """All members of an object, those of its `allOf` parts first, and the names of required ones.

    A later part that says more of a member replaces the earlier one.
    """
    properties: Schema = {}
    required: set[str] = set()
    for part in _parts(schema, components):
        properties |= part.get("properties", {})
        required |= set(part.get("required", ()))
    return properties, frozenset(required)


def _parts(schema: Schema, components: dict[str, Schema]) -> Iterator[Schema]:
    for part in schema.get("allOf", ()):
        if "if" not in part:
            name = name_of(part)
            yield from _parts(components[name] if name else part, components)
    yield schema


def is_planned(schema: Schema) -> bool:
    return schema.get("x-pxbox-status") == "planned"


def members_table(schema: Schema, components: dict[str, Schema]) -> Html:
    """The members of an object; those that are not built yet are folded away."""
    properties, required = members(schema, components)
    built = {name: value for name, value in properties.items() if not is_planned(value)}
    planned = {name: value for name, value in properties.items() if is_planned(value)}
    shown = (
        table(("Member", "Type", "Meaning"), _rows(built, required, components))
        if built
        else Html("")
    )
    if not planned:
        return shown
    names = join((code(name) for name in planned), ", ")
    later = table(("Member", "Type", "Meaning"), _rows(planned, required, components))
    return join([shown, fold(Html(f"Not built yet: {names}"), later)])


def _rows(
    properties: Schema, required: frozenset[str], components: dict[str, Schema], within: str = ""
) -> Iterator[tuple[Html, Html, Html]]:
    """A row per member; those of objects without a name of their own follow as `outer.inner`."""
    for name, schema in properties.items():
        mark = el("span", text("required"), cls="required") if name in required else Html("")
        path = within + name
        yield join([code(path), mark], " "), type_of(schema), _meaning(schema, components)
        inner = frozenset(schema.get("required", ()))
        yield from _rows(schema.get("properties", {}), inner, components, f"{path}.")


def _meaning(schema: Schema, components: dict[str, Schema]) -> Html:
    named = components.get(name_of(schema) or "", {})
    words = inline(schema.get("description") or named.get("description", ""))
    said = join(limits(schema), " · ")
    return join([words, el("div", said, cls="limits")]) if said else words


def section(name: str, schema: Schema, components: dict[str, Schema]) -> Html:
    """One named schema: what it means, then its members or its type."""
    properties, _ = members(schema, components)
    if properties:
        body = members_table(schema, components)
    elif any("properties" in one for one in schema.get("oneOf", ())):
        body = join(_alternative(one, components) for one in schema["oneOf"])
    else:
        said = join([type_of(schema), *limits(schema)], " · ")
        body = el("p", said, cls="shape")
    head = el("h3", code(name), id=anchor(name))
    return el("section", head, prose(schema.get("description", "")), body, cls="schema")


def _alternative(schema: Schema, components: dict[str, Schema]) -> Html:
    return join([prose(schema["description"]), members_table(schema, components)])
