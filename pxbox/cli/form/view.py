"""Several schemas of one value, seen as one: what a form needs to know of them.

This is for asking, not for judging: what it does not understand it leaves out, and the validator
has the last word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pxbox.cli.form.question import Option

Schema = Any
"""A JSON Schema: a dict or a boolean, written by a stranger."""

_WORDS = {
    "string": "text", "integer": "a whole number", "number": "a number", "boolean": "yes or no",
    "null": "nothing (null)", "object": "an object", "array": "a list",
}  # fmt: skip
_TYPES: dict[type, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null",
    dict: "object", list: "array",
}  # fmt: skip
_TYPE_BY_KEYWORD = {
    "properties": "object", "required": "object", "additionalProperties": "object",
    "patternProperties": "object", "minProperties": "object", "items": "array",
    "prefixItems": "array", "minItems": "array", "uniqueItems": "array", "pattern": "string",
    "minLength": "string", "maxLength": "string", "format": "string", "minimum": "number",
    "maximum": "number", "exclusiveMinimum": "number", "multipleOf": "number",
}  # fmt: skip


@dataclass(slots=True)
class Conditional:
    """`then` holds where `condition` does, else `otherwise`."""

    condition: Schema
    then: Schema
    otherwise: Schema = True

    @property
    def key(self) -> str:
        """What it is known by: a view is made anew again and again."""
        return json.dumps((self.condition, self.then, self.otherwise))


@dataclass(slots=True)
class Alternatives:
    """A `oneOf` (`exclusive`) or an `anyOf`."""

    branches: list[Schema]
    exclusive: bool

    @property
    def key(self) -> str:
        """What it is known by: a view is made anew again and again."""
        return json.dumps((self.branches, self.exclusive))


@dataclass(slots=True)
class View:
    """What the schemas in `sources` say together, references and `allOf` followed.

    A property has every schema that was given for its name. `types` is None where nothing is said.
    """

    sources: list[Schema] = field(default_factory=list)
    keywords: set[str] = field(default_factory=set)
    title: str = ""
    help: str = ""
    default: Any = None
    has_default: bool = False
    format: str = ""
    secret: bool = False
    read_only: bool = False
    impossible: bool = False
    types: set[str] | None = None
    options: list[Option] | None = None
    properties: dict[str, list[Schema]] = field(default_factory=dict)
    required: set[str] = field(default_factory=set)
    entries: list[tuple[str | None, Schema]] = field(default_factory=list)
    names: list[Schema] = field(default_factory=list)
    prefix: list[Schema] = field(default_factory=list)
    items: list[Schema] = field(default_factory=list)
    min_items: int = 0
    max_items: int | None = None
    unique: bool = False
    closed: bool = False
    alternatives: list[Alternatives] = field(default_factory=list)
    conditionals: list[Conditional] = field(default_factory=list)

    def is_file(self) -> bool:
        """Whether the value is the id of a file that goes with the answer."""
        return self.format == "pxbox-file"

    def kinds(self) -> set[str]:
        """The types that a value may have, guessed from the other keywords where none is named;
        empty if any will do."""
        if self.types is not None:
            return self.types
        return {kind for name, kind in _TYPE_BY_KEYWORD.items() if name in self.keywords}

    def add(self, schema: dict[str, Any]) -> None:
        """Take in what one schema says by itself, without what it refers to."""
        self.keywords.update(schema)
        self._annotate(schema)
        self._narrow(schema)
        self._add_members(schema)
        self._add_items(schema)
        self._add_choices(schema)

    def _annotate(self, schema: dict[str, Any]) -> None:
        self.title = self.title or _text(schema.get("title"))
        self.help = self.help or _text(schema.get("description"))
        self.format = self.format or _text(schema.get("format"))
        self.secret |= schema.get("writeOnly") is True or schema.get("format") == "password"
        self.read_only |= schema.get("readOnly") is True
        if "default" in schema and not self.has_default:
            self.default, self.has_default = schema["default"], True

    def _narrow(self, schema: dict[str, Any]) -> None:
        named = schema.get("type")
        if isinstance(named, str | list):
            types = {named} if isinstance(named, str) else set(named)
            self.types = types if self.types is None else _common_types(self.types, types)
        if "const" in schema:
            self._limit([Option(plain(schema["const"]), schema["const"])])
        if isinstance(schema.get("enum"), list):
            self._limit(_enum_options(schema))

    def _limit(self, options: list[Option]) -> None:
        if self.options is None:
            self.options = options
            return
        old, self.options = self.options, []
        for option in options:
            # Equal in Python, not in JSON: True and 1.
            same = [o for o in old if label(o.value) == label(option.value)]
            self.options += [better_labelled(same[0], option)] if same else []

    def _add_members(self, schema: dict[str, Any]) -> None:
        for name, inner in _mapping(schema.get("properties")).items():
            self.properties.setdefault(name, []).append(inner)
        self.required.update(_names(schema.get("required")))
        for pattern, inner in _mapping(schema.get("patternProperties")).items():
            self.entries.append((pattern, inner))
        more = schema.get("additionalProperties")
        if isinstance(more, dict):
            self.entries.append((None, more))
        self.closed |= more is False or schema.get("unevaluatedProperties") is False
        if "propertyNames" in schema:
            self.names.append(schema["propertyNames"])

    def _add_items(self, schema: dict[str, Any]) -> None:
        items, prefix = schema.get("items"), schema.get("prefixItems")
        if isinstance(items, list):
            # Up to draft 2019-09 a list there meant what prefixItems does now.
            prefix, items = items, schema.get("additionalItems")
        if isinstance(prefix, list) and not self.prefix:
            self.prefix = list(prefix)
        if items is not None:
            self.items.append(items)
        self.min_items = max(self.min_items, _whole(schema.get("minItems")) or 0)
        most = _whole(schema.get("maxItems"))
        if most is not None:
            self.max_items = most if self.max_items is None else min(most, self.max_items)
        self.unique |= schema.get("uniqueItems") is True

    def _add_choices(self, schema: dict[str, Any]) -> None:
        for keyword in ("oneOf", "anyOf"):
            branches = schema.get(keyword)
            if not isinstance(branches, list) or not branches:
                continue
            options = _constants(branches)
            if options is None:
                self.alternatives.append(Alternatives(branches, keyword == "oneOf"))
            else:
                self._limit(options)
        if "if" in schema:
            then, otherwise = schema.get("then", True), schema.get("else", True)
            self.conditionals.append(Conditional(schema["if"], then, otherwise))
        for keyword in ("dependentSchemas", "dependentRequired", "dependencies"):
            for name, inner in _mapping(schema.get(keyword)).items():
                needed = {"required": inner} if isinstance(inner, list) else inner
                self.conditionals.append(Conditional({"required": [name]}, needed))


def label(value: Any) -> str:
    """A JSON value as it is written; text without its quotes."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def plain(value: Any) -> str:
    """The same, with words for what is true and what is not."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else label(value)


def better_labelled(one: Option, other: Option) -> Option:
    """Whichever has a title of its own."""
    return other if one.label == plain(one.value) else one


def type_of(value: Any) -> str:
    """The name of a JSON value's type; empty for what is none."""
    return _TYPES.get(type(value), "")


def words_for(kind: str) -> str:
    """A JSON type in plain words."""
    return _WORDS.get(kind, kind)


def _constants(branches: Iterable[Schema]) -> list[Option] | None:
    """The options, where each branch is nothing but a titled constant."""
    options = []
    for branch in branches:
        if not isinstance(branch, dict) or not set(branch) <= {
            "const", "enum", "title", "description", "type"
        }:  # fmt: skip
            return None
        values = [branch["const"]] if "const" in branch else branch.get("enum")
        if not isinstance(values, list) or len(values) != 1:
            return None
        options.append(Option(_text(branch.get("title")) or plain(values[0]), values[0]))
    return options


def _enum_options(schema: dict[str, Any]) -> list[Option]:
    values, names = schema["enum"], schema.get("enumNames")
    if not isinstance(names, list) or len(names) != len(values):
        names = [""] * len(values)
    named = zip(names, values, strict=True)
    return [Option(_text(name) or plain(value), value) for name, value in named]


def _common_types(one: set[str], other: set[str]) -> set[str]:
    both = one & other
    if "integer" in one ^ other and "number" in one | other:
        both |= {"integer"} if {"integer", "number"} <= one | other else set()
    return both


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value)


def _mapping(value: object) -> dict[str, Schema]:
    return value if isinstance(value, dict) else {}


def _names(value: object) -> list[str]:
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []
