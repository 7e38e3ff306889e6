"""What a responder is told about an answer: where, what, in which order, and no more than that."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.domain.answer import MAX_ERRORS, check, first_error
from pxbox.domain.answer_messages import MAX_MESSAGE
from pxbox.domain.dialect import META_SCHEMAS, Draft
from pxbox.domain.schema import compile_schema
from pxbox.domain.schema_document import read_schema
from pxbox.model.errors import FieldError

D7 = META_SCHEMAS[Draft.D7]


def errors(schema: Any, value: object) -> list[FieldError]:
    validator = compile_schema(read_schema(schema)).validator
    assert validator is not None
    found = check(validator, value)
    assert bool(found) is not validator.is_valid(value)
    if found:
        assert first_error(validator, value).pointer in {error.pointer for error in found}
    return found


@pytest.mark.parametrize(
    ("schema", "value", "pointer", "keyword", "message"),
    [
        ({"type": "integer"}, "a", "", "type", "must be of type integer"),
        ({"type": ["string", "null", "array"]}, 1, "", "type",
         "must be of type array, null or string"),
        ({"const": {"a": 1}}, 1, "", "const", 'must be {"a":1}'),
        ({"enum": ["a"]}, 1, "", "enum", 'must be "a"'),
        ({"enum": ["a", 2, None]}, 1, "", "enum", 'must be one of "a", 2 or null'),
        ({"enum": list(range(10, 20))}, 1, "", "enum",
         "must be one of 10, 11, 12, 13, 14 or 5 more"),
        ({"minimum": 3}, 1, "", "minimum", "must be at least 3"),
        ({"maximum": 3.5}, 4, "", "maximum", "must be at most 3.5"),
        ({"exclusiveMinimum": 3}, 3, "", "exclusiveMinimum", "must be greater than 3"),
        ({"exclusiveMaximum": 3}, 3, "", "exclusiveMaximum", "must be less than 3"),
        ({"multipleOf": 0.01}, 0.005, "", "multipleOf", "must be a multiple of 0.01"),
        ({"minLength": 1}, "", "", "minLength", "must have at least 1 character"),
        ({"maxLength": 2}, "abc", "", "maxLength", "must have at most 2 characters"),
        ({"pattern": "^[a-z]+$"}, "A", "", "pattern", "must match the pattern ^[a-z]+$"),
        ({"format": "date"}, "2030-02-30", "", "format", "must be a valid date"),
        ({"minItems": 2}, [1], "", "minItems", "must have at least 2 items"),
        ({"maxItems": 1}, [1, 2], "", "maxItems", "must have at most 1 item"),
        ({"uniqueItems": True}, [1, 1], "", "uniqueItems", "must not have the same item twice"),
        ({"contains": {"type": "string"}}, [1], "", "contains",
         "has too few items of the kind that the schema asks for"),
        ({"contains": {"type": "string"}, "minContains": 2}, ["a"], "", "minContains",
         "has too few items of the kind that the schema asks for"),
        ({"contains": {"type": "string"}, "maxContains": 1}, ["a", "b"], "", "maxContains",
         "has too many items of the kind that the schema counts"),
        ({"minProperties": 1}, {}, "", "minProperties", "must have at least 1 property"),
        ({"maxProperties": 0}, {"a": 1}, "", "maxProperties", "must have at most 0 properties"),
        ({"required": ["a"]}, {}, "", "required", '"a" is required'),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "", "dependentRequired",
         '"b" is required beside what is there'),
        ({"$schema": D7, "dependencies": {"a": ["b"]}}, {"a": 1}, "", "dependencies",
         '"b" is required beside what is there'),
        ({"additionalProperties": False}, {"a": 1}, "", "additionalProperties",
         "must have no properties"),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"b": 1, "c": 2}, "",
         "additionalProperties", 'must not have "b", "c"'),
        ({"properties": {"a": False}}, {"a": 1}, "/a", "properties", "must not be here"),
        ({"items": {"type": "string"}}, ["a", 1], "/1", "type", "must be of type string"),
        ({"prefixItems": [{}], "items": False}, [1, 2], "/1", "items", "must not be here"),
        ({"$schema": D7, "items": [True], "additionalItems": False}, [1, 2], "",
         "additionalItems", "must have at most 1 item"),
        ({"unevaluatedProperties": False}, {"a": 1}, "", "unevaluatedProperties",
         'must not have "a"'),
        ({"unevaluatedItems": False}, [1, 2], "", "unevaluatedItems",
         "has 2 items that the schema does not provide for"),
        ({"propertyNames": {"maxLength": 1}}, {"abc": 1}, "", "propertyNames",
         'has the name "abc", which must have at most 1 character'),
        ({"not": {"type": "string"}}, "a", "", "not", "is what the schema excludes by not"),
        ({"anyOf": [{"type": "string"}, {"required": ["a"]}]}, {}, "", "anyOf",
         'must satisfy one of 2 alternatives: must be of type string; "a" is required'),
        ({"oneOf": [{"properties": {"a": {"const": i}}} for i in range(5)]}, {"a": 9}, "", "oneOf",
         "must satisfy one of 5 alternatives: /a must be 0; /a must be 1; /a must be 2; ..."),
        ({"oneOf": [{"minimum": 1}, {"minimum": 2}]}, 3, "", "oneOf",
         "must satisfy only one of 2 alternatives, but fits several"),
        ({"anyOf": [{"anyOf": [{"type": "string"}]}]}, 1, "", "anyOf",
         "must satisfy one of 1 alternative: must satisfy alternatives of its own"),
        ({"if": {"type": "object"}, "then": {"required": ["a"]}}, {}, "", "required",
         '"a" is required'),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "null"}}}, 1, "", "type",
         "must be of type null"),
        ({"$schema": D7, "contentEncoding": "base64"}, "%", "", "contentEncoding",
         'must be encoded as "base64"'),
        ({"$schema": D7, "contentMediaType": "application/json"}, "{", "", "contentMediaType",
         'must hold "application/json"'),
        (False, 1, "", "", "must not be here"),
    ],
)  # fmt: skip
def test_error_says_where_and_what(
    schema: Any, value: object, pointer: str, keyword: str, message: str
) -> None:
    assert errors(schema, value) == [FieldError(pointer, message, keyword)]


def test_pointer_is_escaped_as_its_rfc_says() -> None:
    schema = {"properties": {"a/b": {"properties": {"m~n": {"items": {"type": "null"}}}}}}
    found = errors(schema, {"a/b": {"m~n": [None, 1]}, "": 1})
    assert [error.pointer for error in found] == ["/a~1b/m~0n/1"]


def test_every_error_is_told() -> None:
    schema = {
        "required": ["c", "a", "b"],
        "properties": {"x": {"type": "string", "minimum": 3}, "y": {"items": {"minLength": 1}}},
        "additionalProperties": False,
    }
    value = {"x": 1, "y": ["", "a", ""], "z": 1, "q": 2}
    assert [(error.pointer, error.keyword) for error in errors(schema, value)] == [
        ("", "additionalProperties"),
        ("", "required"),
        ("", "required"),
        ("", "required"),
        ("/x", "minimum"),
        ("/x", "type"),
        ("/y/0", "minLength"),
        ("/y/2", "minLength"),
    ]


def test_items_come_in_the_order_of_the_array() -> None:
    found = errors({"items": {"type": "string"}}, list(range(12)))
    assert [error.pointer for error in found] == [f"/{i}" for i in range(12)]


@given(st.randoms(use_true_random=False))
def test_order_of_errors_is_that_of_places_not_of_members(shuffle: random.Random) -> None:
    names = [f"p{i}" for i in range(6)]
    schema = {"properties": {name: {"type": "string", "const": "a"} for name in names}}
    shuffled = shuffle.sample(names, len(names))
    found = errors(schema, dict.fromkeys(shuffled, 1))
    assert found == errors(schema, dict.fromkeys(names, 1))
    assert len(found) == 12


def test_at_most_a_hundred_errors_are_listed_the_first_ones() -> None:
    found = errors({"items": {"type": "string"}}, [1] * 1_000)
    assert [error.pointer for error in found] == [f"/{i}" for i in range(MAX_ERRORS)]


def test_error_that_several_ways_lead_to_is_told_once() -> None:
    link = {"allOf": [{"$ref": "#/$defs/b"}] * 10}
    schema = {"allOf": [link] * 10, "$defs": {"b": {"type": "string"}}}
    assert errors(schema, 1) == [FieldError("", "must be of type string", "type")]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": "x" * 5_000}, 1),
        ({"enum": ["x" * 5_000, "y" * 5_000]}, 1),
        ({"pattern": "a" * 900}, "b"),
        ({"required": ["x" * 5_000]}, {}),
        ({"properties": {"a": {}}, "additionalProperties": False}, {"x" * 5_000: 1}),
        ({"propertyNames": {"maxLength": 1}}, {"x" * 5_000: 1}),
        ({"anyOf": [{"const": "x" * 5_000}, {"enum": ["y" * 5_000]}]}, 1),
        ({"multipleOf": 10**4_000}, 1),
        ({"format": "date"}, "x" * 100_000),
    ],
)
def test_messages_are_short_whatever_the_schema_and_the_value(schema: Any, value: object) -> None:
    for error in errors(schema, value):
        assert len(error.message) <= MAX_MESSAGE


SECRET = "correct horse battery staple"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "null"},
        {"const": "a"},
        {"enum": ["a"]},
        {"pattern": "^a$"},
        {"format": "email"},
        {"maxLength": 2},
        {"not": {}},
        {"anyOf": [{"type": "null"}, {"maxLength": 1}]},
        {"oneOf": [{"type": "null"}, {"format": "date"}]},
        {"if": {"minLength": 1}, "then": {"type": "number"}},
    ],
)
def test_what_was_answered_is_not_repeated(schema: Any) -> None:
    found = errors({"properties": {"a": schema}}, {"a": SECRET})
    assert found
    assert SECRET not in str(found)


FORMATS = [
    ("date", "2030-12-31", "2030-12-32"),
    ("date-time", "2030-12-31T23:59:59Z", "2030-12-31 23:59"),
    ("time", "23:59:59Z", "24:00:00Z"),
    ("duration", "P1DT2H", "1 day"),
    ("email", "ann@example.org", "ann"),
    ("idn-email", "änn@example.org", "änn"),
    ("hostname", "a.example.org", "-a-"),
    ("idn-hostname", "bücher.example", "〮bücher"),
    ("ipv4", "127.0.0.1", "127.0.0.256"),
    ("ipv6", "::1", "::g"),
    ("uri", "https://example.org/a?b#c", "//no scheme"),
    ("uri-reference", "/a/b", "\\a"),
    ("iri", "https://example.org/ä", "ä"),
    ("iri-reference", "/ä", "\\ä"),
    ("uri-template", "/a/{b}", "/a/{b"),
    ("uuid", "00112233-4455-6677-8899-aabbccddeeff", "0011"),
    ("json-pointer", "/a/0", "a"),
    ("relative-json-pointer", "1/a", "/a"),
    ("regex", "^a$", "["),
]
SINCE_2019_09 = {"duration", "uuid"}


@pytest.mark.parametrize(
    ("draft", "format", "good", "bad"),
    [
        (draft, *row)
        for draft in Draft
        for row in FORMATS
        if draft is not Draft.D7 or row[0] not in SINCE_2019_09
    ],
)
def test_formats_are_asserted_in_every_draft(
    draft: Draft, format: str, good: str, bad: str
) -> None:
    schema = {"$schema": META_SCHEMAS[draft], "format": format}
    assert errors(schema, good) == []
    assert errors(schema, 5) == []
    assert [error.keyword for error in errors(schema, bad)] == ["format"]


@pytest.mark.parametrize("value", [2**64, -(10**400), 1.7e308, 5e-324, 10**400])
def test_numbers_of_any_size_are_judged(value: object) -> None:
    schema = {"type": "number", "minimum": -(10**500), "multipleOf": 1, "maximum": 1}
    assert {error.keyword for error in errors(schema, value)} <= {"maximum", "multipleOf"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text("ab\0é"),
        lambda inner: st.lists(inner) | st.dictionaries(st.text("a/~é"), inner),
        max_leaves=20,
    )
)
def test_value_is_judged_as_its_json_is(value: object) -> None:
    read = msgspec.json.decode(msgspec.json.encode(value))
    schema = {"not": {"const": read}, "additionalProperties": {"type": "string"}}
    assert errors({"const": read}, value) == []
    assert "not" in {error.keyword for error in errors(schema, value)}
