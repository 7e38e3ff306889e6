"""Which strings of an answer are ids of files: those where the schema says `format: pxbox-file`.

A place counts where any schema that applies to it says so, in whatever branch, so that no file is
overlooked: in an alternative that was not taken it counts too.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import msgspec

from pxbox.model.errors import InvalidAnswer

FORMAT = "pxbox-file"
MOST_STEPS = 20_000
"""Of the walk; some 30 ms. Only what can lead to a file is walked: what takes more has thousands of
places for one."""

_REFERENCES = frozenset({"$ref", "$dynamicRef", "$recursiveRef"})
_IN_PLACE_LISTS = ("allOf", "anyOf", "oneOf")
_IN_PLACE = ("if", "then", "else")
_EACH_MEMBER = ("additionalProperties", "unevaluatedProperties")
_EACH_ITEM = ("items", "additionalItems", "unevaluatedItems", "contains")


def mentions_files(schema: bytes) -> bool:
    """May a schema ask for files at all? By its canonical text; True errs on the safe side."""
    return b'"pxbox-file"' in schema


def referred_files(schema: bytes, value: object) -> list[tuple[str, str]]:
    """The places of file ids in `value`, as (JSON Pointer, id), in the order they are met.

    Raises InvalidAnswer beyond MOST_STEPS.
    """
    if not mentions_files(schema):
        return []
    walk = _Walk(msgspec.json.decode(schema))
    walk.run(value)
    return list(walk.found.items())


class _Walk:
    def __init__(self, root: Any) -> None:
        self._root = root
        self._named = _named(root)
        self._leading: dict[int, bool] = {}
        self._leads(root)
        self._steps = 0
        self._seen: set[tuple[int, str]] = set()
        self._waiting: list[tuple[Any, object, str]] = []
        self.found: dict[str, str] = {}

    def run(self, value: object) -> None:
        self._go(self._root, value, "")
        while self._waiting:
            self._steps += 1
            if self._steps > MOST_STEPS:
                raise InvalidAnswer("the answer is too large to look for files in")
            schema, value, pointer = self._waiting.pop()
            if (id(schema), pointer) not in self._seen:
                self._seen.add((id(schema), pointer))
                self._apply(schema, value, pointer)

    def _leads(self, schema: Any) -> bool:
        """Is there a file inside this schema, or a reference, which may lead to one?"""
        leads, inside = False, []
        if isinstance(schema, dict):
            leads = schema.get("format") == FORMAT or not _REFERENCES.isdisjoint(schema)
            inside = list(schema.values())
        elif isinstance(schema, list):
            inside = schema
        # Each of them, not until the first: all are noted.
        below = [self._leads(inner) for inner in inside]
        self._leading[id(schema)] = leads or any(below)
        return leads or any(below)

    def _go(self, schema: Any, value: object, pointer: str) -> None:
        if isinstance(schema, dict) and self._leading.get(id(schema)):
            self._waiting.append((schema, value, pointer))

    def _apply(self, schema: dict[str, Any], value: object, pointer: str) -> None:
        if isinstance(value, str):
            if schema.get("format") == FORMAT:
                self.found[pointer] = value
        elif isinstance(value, dict):
            self._members(schema, value, pointer)
        elif isinstance(value, list):
            self._items(schema, value, pointer)
        for keyword in _IN_PLACE_LISTS:
            self._in_place(schema.get(keyword), value, pointer)
        self._in_place([schema.get(keyword) for keyword in _IN_PLACE], value, pointer)
        for keyword in ("dependentSchemas", "dependencies"):
            inner = schema.get(keyword)
            if isinstance(inner, dict):
                self._in_place(list(inner.values()), value, pointer)
        for keyword in sorted(_REFERENCES):
            reference = schema.get(keyword)
            if isinstance(reference, str):
                self._in_place(self._targets(reference), value, pointer)

    def _in_place(self, schemas: Any, value: object, pointer: str) -> None:
        if isinstance(schemas, list):
            for schema in schemas:
                self._go(schema, value, pointer)

    def _members(self, schema: dict[str, Any], value: dict[str, Any], pointer: str) -> None:
        each = [schema.get(keyword) for keyword in _EACH_MEMBER]
        by_pattern = schema.get("patternProperties")
        if isinstance(by_pattern, dict):
            each += by_pattern.values()
        each = [inner for inner in each if self._leading.get(id(inner))]
        named = schema.get("properties")
        for name, member in value.items():
            mine = [named[name]] if isinstance(named, dict) and name in named else []
            for inner in (*mine, *each):
                self._go(inner, member, f"{pointer}/{_token(name)}")

    def _items(self, schema: dict[str, Any], value: list[Any], pointer: str) -> None:
        each = [schema.get(keyword) for keyword in _EACH_ITEM]
        each = [inner for inner in each if self._leading.get(id(inner))]
        placed: list[Any] = schema.get("prefixItems") or []
        if isinstance(schema.get("items"), list):
            placed = schema["items"]
        for n, item in enumerate(value):
            for inner in (*placed[n : n + 1], *each):
                self._go(inner, item, f"{pointer}/{n}")

    def _targets(self, reference: str) -> list[Any]:
        """Every subschema that the reference may mean: by its pointer, or by its name."""
        resource, _, fragment = unquote(reference).partition("#")
        found = [self._root] if not resource and not fragment else []
        found += self._named.get(fragment if fragment else resource, [])
        if fragment.startswith("/"):
            for base in (self._root, *self._named.get(resource, [])):
                found += _at(base, fragment)
        return found


def _at(root: Any, pointer: str) -> list[Any]:
    for token in pointer.split("/")[1:]:
        token = token.replace("~1", "/").replace("~0", "~")
        if isinstance(root, dict) and token in root:
            root = root[token]
        elif isinstance(root, list) and token in map(str, range(len(root))):
            root = root[int(token)]
        else:
            return []
    return [root]


def _named(root: Any) -> dict[str, list[Any]]:
    """What `$id` and `$anchor` name, wherever they stand."""
    named: dict[str, list[Any]] = {}
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
            for keyword in ("$id", "$anchor", "$dynamicAnchor"):
                if isinstance(one.get(keyword), str):
                    named.setdefault(one[keyword].strip("#"), []).append(one)
    return named


def _token(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")
