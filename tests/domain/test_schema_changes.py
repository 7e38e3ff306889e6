"""What a new version of a schema takes away, place by place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.domain.schema import compile_schema
from pxbox.domain.schema_changes import MOST_CHANGES, narrowed
from pxbox.domain.schema_document import read_schema


def places(before: Any, after: Any) -> list[str]:
    return [change.pointer for change in narrowed(before, after)]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"type": "integer"}, {"type": "number"}),
        ({"type": "string"}, {"type": ["string", "null"]}),
        ({"type": "string"}, {}),
        ({"type": "string", "title": "A"}, {"type": "string", "title": "B"}),
        ({"minLength": 2}, {"minLength": 1}),
        ({"maximum": 2}, {"maximum": 3}),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}),
        ({"const": "a"}, {"enum": ["a", "b"]}),
        ({"required": ["a", "b"]}, {"required": ["a"]}),
        ({"additionalProperties": False}, {"properties": {"a": {"type": "string"}}}),
        ({"properties": {"a": {"pattern": "x"}}}, {"properties": {"a": True}}),
        (False, {"type": "string"}),
        ({"allOf": [{"type": "string"}]}, {}),
    ],
)
def test_what_lets_more_through_narrows_nothing(before: Any, after: Any) -> None:
    assert places(before, after) == []


@pytest.mark.parametrize(
    ("before", "after", "where"),
    [
        ({"type": "number"}, {"type": "integer"}, "/type"),
        ({}, {"type": "integer"}, "/type"),
        (True, False, ""),
        ({"type": ["string", "null"]}, {"type": "string"}, "/type"),
        ({"maxLength": 3}, {"maxLength": 2}, "/maxLength"),
        ({}, {"minItems": 1}, "/minItems"),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, "/enum"),
        ({"type": "string"}, {"type": "string", "enum": ["a"]}, "/enum"),
        ({}, {"const": 1}, "/const"),
        ({"pattern": "a"}, {"pattern": "b"}, "/pattern"),
        ({}, {"format": "date"}, "/format"),
        ({}, {"uniqueItems": True}, "/uniqueItems"),
        ({"required": ["a"]}, {"required": ["a", "b"]}, "/required"),
        ({}, {"additionalProperties": False}, "/additionalProperties"),
        ({"properties": {"a": True}}, {"additionalProperties": False}, "/additionalProperties"),
        ({}, {"properties": {"a/b": {"type": "null"}}}, "/properties/a~1b/type"),
        (
            {"properties": {"a": {"items": {"type": ["string", "null"]}}}},
            {"properties": {"a": {"items": {"type": "string"}}}},
            "/properties/a/items/type",
        ),
        ({"$defs": {"a": True}}, {"$defs": {"a": {"type": "null"}}}, "/$defs/a/type"),
        ({"anyOf": [True]}, {"anyOf": [{"type": "null"}]}, "/anyOf"),
        ({"$ref": "#/a"}, {"$ref": "#/b"}, "/$ref"),
    ],
)
def test_what_lets_less_through_is_told_with_its_place(before: Any, after: Any, where: str) -> None:
    assert where in places(before, after)


def test_no_more_than_a_hundred_changes_are_told() -> None:
    names = [f"a{n}" for n in range(500)]
    assert len(narrowed({}, {"required": names})) == MOST_CHANGES


leaves = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["string", "integer", "number", "null", ["string", "null"]]),
        "enum": st.sampled_from([["a"], ["a", 1], [1, None]]),
        "minimum": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "const": st.sampled_from(["a", 1]),
    },
) | st.booleans()  # fmt: skip
schemas = leaves | st.fixed_dictionaries(
    {},
    optional={
        "properties": st.dictionaries(st.sampled_from("abc"), leaves, max_size=2),
        "required": st.lists(st.sampled_from("abc"), unique=True),
        "additionalProperties": leaves,
        "items": leaves,
        "anyOf": st.lists(leaves, min_size=1, max_size=2),
    },
)
scalars = st.sampled_from(["", "a", "abcd", 0, 1, 5, None, 1.5])
values = scalars | st.dictionaries(st.sampled_from("abcd"), scalars) | st.lists(scalars, max_size=2)


@given(schemas, schemas, values)
def test_what_is_not_told_still_validates(before: Any, after: Any, value: Any) -> None:
    """Where nothing is told, whatever the version before let through still passes."""
    if not narrowed(before, after) and valid(before, value):
        assert valid(after, value)


def valid(schema: Any, value: Any) -> bool:
    compiled = compile_schema(read_schema(schema))
    assert compiled.validator is not None
    return compiled.validator.is_valid(value)
