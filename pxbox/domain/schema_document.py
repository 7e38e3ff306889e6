"""A schema as it arrives: read, bounded in size and depth, and named by its content (X4)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from math import isfinite

import msgspec

from pxbox.model.decoding import decode_json
from pxbox.model.errors import FieldError, TooDeep, UnsupportedText
from pxbox.model.schema_errors import InvalidSchema, SchemaTooDeep, SchemaTooLarge

MAX_SCHEMA_BYTES = 65_536
"""Of canonical JSON. Source: schemas/limits.json, `schemaBytes`."""
MAX_SCHEMA_DEPTH = 32
"""Levels of arrays and objects; `{}` has one. Source: schemas/limits.json, `schemaDepth`."""
_MAX_RAW_BYTES = 16 * MAX_SCHEMA_BYTES
_MAX_VALUES = MAX_SCHEMA_BYTES // 2 + 1
"""A value takes two bytes of JSON at least, itself and what parts it from the next."""

JsonSchema = dict[str, object] | bool


@dataclass(frozen=True, slots=True)
class Document:
    """A schema within the limits, not yet checked.

    `canonical` is its JSON without white space, its members in the order they were given (forms
    show fields in it), `hash` the sha256 of that in hex:
    two schemas of one hash are the same schema. `values` counts all values in it, `containers`
    its arrays and objects.
    """

    value: JsonSchema
    canonical: bytes
    hash: str
    values: int
    containers: int


def read_schema(raw: object) -> Document:
    """Read a schema from JSON bytes, or from what such bytes decode to.

    Raises SchemaTooLarge, SchemaTooDeep, InvalidSchema for what is neither an object nor a boolean,
    and what `decode_json` raises. Takes some 20 ms at most.
    """
    value = _decode(raw) if isinstance(raw, bytes) else raw
    if not isinstance(value, dict | bool):
        raise InvalidSchema(
            "a schema is a JSON object, or true or false",
            errors=[FieldError("", "must be an object or a boolean", "type")],
        )
    values, containers = _measure(value)
    canonical = _encode(value)
    if len(canonical) > MAX_SCHEMA_BYTES:
        raise _too_large(len(canonical))
    return Document(value, canonical, sha256(canonical).hexdigest(), values, containers)


def pointer_token(key: str | int) -> str:
    """Return `key` as a reference token with its slash. Source: RFC 6901, section 3."""
    return "/" + str(key).replace("~", "~0").replace("/", "~1")


def _decode(raw: bytes) -> object:
    if len(raw) > _MAX_RAW_BYTES:
        raise _too_large(len(raw))
    try:
        return decode_json(raw)
    except TooDeep:
        raise _too_deep() from None


def _measure(root: JsonSchema) -> tuple[int, int]:
    """Count the values and the containers; refuse what is too deep, too much or no JSON number.

    Level by level, not by recursion: what arrives decoded may be of any depth.
    """
    values, containers, depth = 1, 0, 0
    level: list[object] = [root]
    while level := [value for value in level if isinstance(value, dict | list)]:
        depth += 1
        if depth > MAX_SCHEMA_DEPTH:
            raise _too_deep()
        containers += len(level)
        inner: list[object] = []
        for value in level:
            inner.extend(value.values() if isinstance(value, dict) else value)
        values += len(inner)
        if values > _MAX_VALUES:
            raise _too_large(None)
        if not all(isfinite(value) for value in inner if isinstance(value, float)):
            raise InvalidSchema("a number of the schema is not a number of JSON")
        level = inner
    return values, containers


def _encode(value: JsonSchema) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        raise UnsupportedText("the schema holds a lone surrogate") from None


def _too_large(size_bytes: int | None) -> SchemaTooLarge:
    seen = "" if size_bytes is None else f", this one has {size_bytes:,}"
    return SchemaTooLarge(
        f"a schema has at most {MAX_SCHEMA_BYTES:,} bytes of JSON{seen}", limit=MAX_SCHEMA_BYTES
    )


def _too_deep() -> SchemaTooDeep:
    return SchemaTooDeep(
        f"a schema is nested at most {MAX_SCHEMA_DEPTH} levels deep", limit=MAX_SCHEMA_DEPTH
    )
