"""The admission of schemas: what a request may be made with, checked once per content (X4).

A schema from outside may make its own admission slow. `is_light` says at little cost which ones
cannot; the others are for a process that can be killed, and so is everything checked with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from jsonschema_rs import ValidationError, Validator
from msgspec import Struct

from pxbox.domain.answer import list_errors
from pxbox.domain.dialect import (
    META_VALIDATORS,
    PATTERN_CACHE_BYTES,
    Draft,
    build_validator,
    draft_of,
)
from pxbox.domain.patterns import (
    SMALL_PATTERN_BYTES,
    NotLinear,
    NotRegular,
    check_pattern,
    small_pattern_bytes,
)
from pxbox.domain.schema_cost import Cost, reckon
from pxbox.domain.schema_document import Document, JsonSchema, pointer_token, read_schema
from pxbox.domain.schema_graph import Graph, Node, build_graph
from pxbox.model.errors import FieldError
from pxbox.model.schema_errors import InvalidSchema, UnsupportedPattern

MAX_TITLE = 200
MAX_DESCRIPTION = 1_000
_LIGHT_CONTAINERS = 400
_LIGHT_VALUES = 3_000
_QUICK_VALUES = 12_000
_QUICK_CONTAINERS_UNEVALUATED = 100
_QUICK_PATTERNS = 32
_QUICK_PATTERN_TEXT = 2_048
_QUICK_IDENTIFIERS = 32
_QUICK_IDENTIFIER_TEXT = 4_096
_WEIGHT_PER_SCHEMA = 4_096
_WEIGHT_PER_VALUE = 700
_WEIGHT_PER_BYTE = 20


class AdmittedSchema(Struct, frozen=True):
    """A schema that requests may be made with.

    `hash` is the sha256 of `canonical` in hex, `canonical` its JSON without
    white space. `title` is
    the schema's own, cut to MAX_TITLE characters; so is `description`, to MAX_DESCRIPTION.
    """

    hash: str
    canonical: bytes
    draft: Draft
    title: str | None
    cost: Cost
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Compiled:
    """An admitted schema with its validator; None where only a worker process may build it.

    `weight_bytes` is what this may take of memory, an estimate on the safe side.
    """

    admitted: AdmittedSchema
    validator: Validator | None
    weight_bytes: int


def admit(raw: object) -> AdmittedSchema:
    """Check a schema from JSON bytes, or from what such bytes decode to, from end to end.

    Raises a SchemaRefused, and what `decode_json` raises. Neither time nor memory is bounded for a
    schema that is not light.
    """
    return compile_schema(read_schema(raw)).admitted


def compile_schema(document: Document) -> Compiled:
    """Do as `admit` does, and return the validator too."""
    schema = document.value
    draft = draft_of(schema)
    if not meets_meta_schema(document):
        raise InvalidSchema(
            f"the schema is not valid by the meta-schema of draft {draft}",
            errors=list_errors(META_VALIDATORS[draft], schema),
        )
    graph = build_graph(schema, draft)
    _check_patterns(graph)
    cost = reckon(graph)
    try:
        validator = build_validator(schema, draft)
    except ValidationError as error:
        raise _not_compiled(error) from None
    title = _annotation(schema, "title", MAX_TITLE)
    description = _annotation(schema, "description", MAX_DESCRIPTION)
    admitted = AdmittedSchema(document.hash, document.canonical, draft, title, cost, description)
    return Compiled(admitted, validator, weigh(document))


def meets_meta_schema(document: Document) -> bool:
    """Say whether the schema is valid by the meta-schema of its draft.

    Raises UnsupportedDialect.
    """
    return META_VALIDATORS[draft_of(document.value)].is_valid(document.value)


def is_light(document: Document) -> bool:
    """Say whether admitting this schema takes some 20 ms at most.

    A light schema may still be costly to check with: that is what its cost is for. Raises
    UnsupportedDialect.
    """
    return (
        document.containers <= _LIGHT_CONTAINERS
        and document.values <= _LIGHT_VALUES
        and compiles_quickly(document)
        # What is wrong is told at length, and that is not light.
        and meets_meta_schema(document)
    )


def compiles_quickly(document: Document) -> bool:
    """Say whether the validator of this schema is built within some 20 ms."""
    if document.values > _QUICK_VALUES:
        return False
    scan = _scan(document.value)
    return (
        (not scan.unevaluated or document.containers <= _QUICK_CONTAINERS_UNEVALUATED)
        # To know what is evaluated, the validator compiles what is applied in place again, once
        # for each way there.
        and not (scan.unevaluated and scan.references)
        and len(scan.patterns) <= _QUICK_PATTERNS
        and sum(map(len, scan.patterns)) <= _QUICK_PATTERN_TEXT
        and len(scan.identifiers) <= _QUICK_IDENTIFIERS
        and sum(map(len, scan.identifiers)) <= _QUICK_IDENTIFIER_TEXT
        and all(small_pattern_bytes(pattern) for pattern in scan.patterns)
    )


def weigh(document: Document) -> int:
    """Return what the validator of a schema that compiles quickly may take, in bytes."""
    patterns = len(_scan(document.value).patterns)
    return (
        _WEIGHT_PER_SCHEMA
        + document.values * _WEIGHT_PER_VALUE
        + len(document.canonical) * _WEIGHT_PER_BYTE
        + patterns * (SMALL_PATTERN_BYTES + PATTERN_CACHE_BYTES)
    )


@dataclass(slots=True)
class _Scan:
    patterns: set[str]
    identifiers: list[str]
    unevaluated: bool = False
    references: bool = False


def _scan(schema: JsonSchema) -> _Scan:
    """Collect what may be dear, wherever it stands: a reference may make a schema of anything."""
    scan = _Scan(set(), [])
    waiting: list[object] = [schema]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
            for keyword, inner in value.items():
                if keyword == "pattern" and isinstance(inner, str):
                    scan.patterns.add(inner)
                elif keyword == "patternProperties" and isinstance(inner, dict):
                    scan.patterns.update(inner)
                elif keyword == "$id" and isinstance(inner, str):
                    scan.identifiers.append(inner)
                elif keyword.startswith("unevaluated"):
                    scan.unevaluated = True
                elif keyword.startswith("$") and keyword.endswith("ef"):
                    scan.references = True
    return scan


def _check_patterns(graph: Graph) -> None:
    """Refuse the first pattern that is not one, or cannot be matched in linear time."""
    for node in graph.nodes:
        for pattern, pointer, keyword in _patterns(node):
            try:
                check_pattern(pattern)
            except NotRegular:
                raise InvalidSchema(
                    "a pattern of the schema is not a regular expression",
                    errors=[FieldError(pointer, "is not a regular expression (ECMA-262)", keyword)],
                ) from None
            except NotLinear as error:
                raise UnsupportedPattern(
                    f"a pattern of the schema {error.reason}",
                    errors=[FieldError(pointer, error.reason, keyword)],
                ) from None


def _patterns(node: Node) -> Iterator[tuple[str, str, str]]:
    pattern = node.schema.get("pattern")
    if isinstance(pattern, str):
        yield pattern, node.pointer + "/pattern", "pattern"
    by_pattern = node.schema.get("patternProperties")
    if isinstance(by_pattern, dict):
        for pattern in by_pattern:
            pointer = node.pointer + "/patternProperties" + pointer_token(pattern)
            yield pattern, pointer, "patternProperties"


def _not_compiled(error: ValidationError) -> InvalidSchema:
    """Explain what the meta-schema lets pass: what a reference makes a schema of, for one."""
    pointer = "".join(map(pointer_token, error.instance_path))
    return InvalidSchema(
        "the schema cannot be used",
        errors=[FieldError(pointer, error.message[:300], error.kind.name)],
    )


def _annotation(schema: JsonSchema, keyword: str, most: int) -> str | None:
    text = schema.get(keyword) if isinstance(schema, dict) else None
    return text[:most] if isinstance(text, str) else None
