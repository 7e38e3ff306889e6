"""Which schemas a request can be made with, and what the others are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.domain.dialect import META_SCHEMAS, Draft
from pxbox.domain.schema import MAX_TITLE, admit
from pxbox.domain.schema_document import MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH
from pxbox.model.errors import FieldError, MalformedJson, PxError, UnsupportedText
from pxbox.model.schema_errors import (
    InvalidSchema,
    SchemaRefused,
    SchemaTooCostly,
    SchemaTooDeep,
    SchemaTooLarge,
    UnresolvableRef,
    UnsupportedDialect,
    UnsupportedPattern,
)

D7 = META_SCHEMAS[Draft.D7]
D2019 = META_SCHEMAS[Draft.D2019_09]
D2020 = META_SCHEMAS[Draft.D2020_12]


def nested(levels: int, wrap: Callable[[Any], Any], leaf: Any) -> Any:
    for _ in range(levels):
        leaf = wrap(leaf)
    return leaf


def chained(links: int, link: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """A schema that leads from one definition to the next, as each `link` says."""
    definitions = {f"d{i}": link(f"#/$defs/d{i + 1}") for i in range(links)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{links}": {"type": "string"}}}


def refusal(schema: Any) -> SchemaRefused:
    with pytest.raises(SchemaRefused) as caught:
        admit(schema)
    return caught.value


@pytest.mark.parametrize(
    ("schema", "draft"),
    [
        ({}, Draft.D2020_12),
        (True, Draft.D2020_12),
        (False, Draft.D2020_12),
        ({"$schema": D2020}, Draft.D2020_12),
        ({"$schema": D2020 + "#"}, Draft.D2020_12),
        ({"$schema": D2019}, Draft.D2019_09),
        ({"$schema": D7}, Draft.D7),
        ({"$schema": D7.removesuffix("#")}, Draft.D7),
        ({"$schema": D7, "items": [{"type": "string"}], "additionalItems": False}, Draft.D7),
        ({"$schema": D7, "definitions": {"a": {}}, "$ref": "#/definitions/a"}, Draft.D7),
        ({"$schema": D7, "dependencies": {"a": {}, "b": ["c"]}}, Draft.D7),
        ({"$schema": D2019, "$recursiveAnchor": True, "items": {"$recursiveRef": "#"}},
         Draft.D2019_09),
        ({"properties": {"next": {"$ref": "#"}}}, Draft.D2020_12),
        ({"$dynamicAnchor": "node", "items": {"$dynamicRef": "#node"}}, Draft.D2020_12),
        ({"$ref": D2020}, Draft.D2020_12),
        ({"$ref": "https://a.example/b", "$defs": {"b": {"$id": "https://a.example/b"}}},
         Draft.D2020_12),
        ({"$ref": "#here", "$defs": {"b": {"$anchor": "here"}}}, Draft.D2020_12),
        ({"$ref": "#/unknown/0", "unknown": [{"type": "string"}]}, Draft.D2020_12),
        ({"format": "of-our-own", "unknown": 1, "default": 5, "examples": []}, Draft.D2020_12),
        ({"pattern": "^\\p{L}{1,40}$"}, Draft.D2020_12),
        ({"minimum": 10**400}, Draft.D2020_12),
        (nested(MAX_SCHEMA_DEPTH - 1, lambda inner: {"not": inner}, {}), Draft.D2020_12),
    ],
)  # fmt: skip
def test_schema_is_admitted_in_its_draft(schema: Any, draft: Draft) -> None:
    assert admit(schema).draft is draft


def test_bytes_and_what_they_decode_to_are_the_same_schema() -> None:
    text = b' {"type" : "object", "title": "Trip", "properties": {"b": {}, "a": {}}} '
    admitted = admit(text)
    assert admitted == admit(json.loads(text))
    assert admitted.canonical == (b'{"type":"object","title":"Trip","properties":{"b":{},"a":{}}}')
    assert admitted.title == "Trip"
    assert admit(admitted.canonical) == admitted


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(), min_size=2))
def test_order_of_keys_is_kept_and_tells_schemas_apart(properties: dict[str, int]) -> None:
    schema = {"default": properties}
    turned = {"default": dict(reversed(properties.items()))}
    assert json.loads(admit(turned).canonical)["default"].keys() == properties.keys()
    assert list(json.loads(admit(turned).canonical)["default"]) == list(turned["default"])
    assert admit(schema).hash != admit(turned).hash
    assert admit(schema).hash != admit({"default": {**properties, "g": 1}}).hash


@pytest.mark.parametrize(("title", "kept"), [("x" * 500, "x" * MAX_TITLE), ("", "")])
def test_title_is_kept_but_for_its_end(title: str, kept: str) -> None:
    assert admit({"title": title}).title == kept
    assert admit({}).title is None
    assert admit(True).title is None


@pytest.mark.parametrize(
    ("schema", "pointer", "keyword", "words"),
    [
        (5, "", "type", "object or a boolean"),
        ([], "", "type", "object or a boolean"),
        (None, "", "type", "object or a boolean"),
        ({"type": "text"}, "/type", "anyOf", '"array", "boolean", "integer"'),
        ({"minimum": "5"}, "/minimum", "type", "must be of type number"),
        ({"properties": {"a/b": {"required": "a"}}}, "/properties/a~1b/required", "type", "array"),
        ({"$schema": D7, "multipleOf": 0}, "/multipleOf", "exclusiveMinimum", "greater than 0"),
        ({"$schema": 7}, "/$schema", "type", "string"),
        ({"pattern": "[a"}, "/pattern", "pattern", "regular expression"),
        ({"pattern": "(?i)a"}, "/pattern", "pattern", "regular expression"),
        ({"patternProperties": {"a~(": {}}}, "/patternProperties/a~0(", "patternProperties",
         "regular expression"),
        ({"$defs": {"unused": {"pattern": "*"}}}, "/$defs/unused/pattern", "pattern", "regular"),
        ({"$ref": "#"}, "", "$ref", "never end"),
        ({"allOf": [{"$ref": "#"}]}, "", "$ref", "never end"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
         "/$defs/a", "$ref", "never end"),
        ({"$schema": D2019, "anyOf": [{"$recursiveRef": "#"}]}, "", "$ref", "never end"),
        ({"$dynamicAnchor": "a", "not": {"$dynamicRef": "#a"}}, "", "$ref", "never end"),
        ({"$ref": "#/x", "x": 5}, "/$ref", "$ref", "not a schema"),
        ({"$ref": "#/x", "x": {"type": "text"}}, "/$ref", "$ref", "not a schema"),
        ({"$id": "http://["}, "/$id", "$id", "URI"),
        ({"not": {"$id": "http://["}}, "/not/$id", "$id", "URI"),
        ({"$id": "urn:a", "not": {"$id": "urn:a"}}, "/not", "$id", "second time"),
        ({"$anchor": "a", "not": {"$dynamicAnchor": "a"}}, "/not", "$id", "second time"),
        ({"not": {"$id": D2020}}, "/not", "$id", "meta-schema"),
        ({"not": {"$schema": D7}}, "/not/$schema", "$schema", "whole document"),
    ],
)  # fmt: skip
def test_invalid_schema_is_refused_where_it_is_wrong(
    schema: Any, pointer: str, keyword: str, words: str
) -> None:
    refused = refusal(schema)
    assert isinstance(refused, InvalidSchema)
    [error] = refused.errors
    assert (error.pointer, error.keyword) == (pointer, keyword)
    assert words in error.message


def test_every_mistake_against_the_meta_schema_is_listed() -> None:
    refused = refusal({"type": "text", "minimum": "5", "properties": {"a": {"items": 3}}})
    assert [error.pointer for error in refused.errors] == [
        "/minimum",
        "/properties/a/items",
        "/type",
    ]


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("a(?=b)", "looks around"),
        ("a(?!b)", "looks around"),
        ("(?<=a)b", "looks around"),
        ("(?<!a)b", "looks around"),
        ("(a)\\1", "refers back"),
        ("(?<one>a)\\k<one>", "refers back"),
        ("(a{1000}){1000}", "more than 8 MiB"),
        ("\\p{Klingon}", "not known"),
    ],
)
def test_pattern_outside_linear_time_is_refused_with_the_reason(pattern: str, reason: str) -> None:
    refused = refusal({"properties": {"code": {"pattern": pattern}}})
    assert isinstance(refused, UnsupportedPattern)
    [error] = refused.errors
    assert error.pointer == "/properties/code/pattern"
    assert reason in error.message
    assert reason in refused.detail


@pytest.mark.parametrize("pattern", ["[(?=a)]", "\\(?=", "[\\](?!x]", "\\\\1"])
def test_what_only_looks_like_an_operator_is_admitted(pattern: str) -> None:
    assert admit({"pattern": pattern})


@pytest.mark.parametrize(
    ("schema", "pointer", "uri"),
    [
        ({"$ref": "https://elsewhere.example/a"}, "/$ref", "https://elsewhere.example/a"),
        ({"$ref": "file:///etc/passwd"}, "/$ref", "file:///etc/passwd"),
        ({"items": {"$ref": "other.json"}}, "/items/$ref", "other.json"),
        ({"$ref": "#/$defs/gone"}, "/$ref", "#/$defs/gone"),
        ({"$ref": "#gone"}, "/$ref", "#gone"),
        ({"$ref": "#/allOf/x", "allOf": [{}]}, "/$ref", "#/allOf/x"),
        ({"$ref": "#/x/y", "x": 5}, "/$ref", "#/x/y"),
        ({"$ref": "http://[", "$defs": {}}, "/$ref", "http://["),
        ({"$dynamicRef": "#gone"}, "/$dynamicRef", "#gone"),
        ({"$ref": "http://json-schema.org/draft-04/schema#"}, "/$ref", "draft-04"),
        ({"$schema": D7, "dependencies": {"a": {}, "b": ["c"]}, "not": {"$ref": "urn:x"}},
         "/not/$ref", "urn:x"),
    ],
)  # fmt: skip
def test_reference_that_leads_nowhere_is_refused_by_name(
    schema: Any, pointer: str, uri: str
) -> None:
    refused = refusal(schema)
    assert isinstance(refused, UnresolvableRef)
    [error] = refused.errors
    assert error.pointer == pointer
    assert uri in error.message


@pytest.mark.parametrize(
    "uri",
    ["http://json-schema.org/draft-04/schema#", "https://json-schema.org/draft/next/schema", "x"],
)
def test_other_dialect_is_refused_with_what_is_supported(uri: str) -> None:
    refused = refusal({"$schema": uri})
    assert isinstance(refused, UnsupportedDialect)
    assert refused.members["supported"] == [D2020, D2019, D7]
    [error] = refused.errors
    assert error.pointer == "/$schema"
    embedded = refusal({"$defs": {"a": {"$schema": uri}}})
    assert isinstance(embedded, UnsupportedDialect)
    assert embedded.errors[0].pointer == "/$defs/a/$schema"


def test_schema_of_the_largest_size_is_admitted_and_one_byte_more_is_not() -> None:
    room = MAX_SCHEMA_BYTES - len(b'{"title":""}')
    assert len(admit({"title": "x" * room}).canonical) == MAX_SCHEMA_BYTES
    refused = refusal({"title": "x" * (room + 1)})
    assert isinstance(refused, SchemaTooLarge)
    assert refused.members["limit"] == MAX_SCHEMA_BYTES


@pytest.mark.parametrize(
    "raw", [b'{"enum":[' + b"0," * 40_000 + b"0]}", b" " * 2_000_000 + b"{}", {"enum": [0] * 10**6}]
)
def test_schema_of_too_much_is_refused_before_it_is_looked_at(raw: Any) -> None:
    assert isinstance(refusal(raw), SchemaTooLarge)


@pytest.mark.parametrize(
    "raw",
    [
        nested(MAX_SCHEMA_DEPTH, lambda inner: {"not": inner}, {}),
        {"default": nested(MAX_SCHEMA_DEPTH, lambda inner: [inner], 0)},
        {"default": nested(100_000, lambda inner: [inner], 0)},
        b'{"default":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
    ids=["schemas", "a value", "a value without end", "text without end"],
)
def test_schema_that_is_too_deep_is_refused(raw: Any) -> None:
    assert isinstance(refusal(raw), SchemaTooDeep)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", MalformedJson),
        (b"{", MalformedJson),
        (b'{"a":NaN}', MalformedJson),
        (b'{"a":"\\u0000"}', UnsupportedText),
        ({"a": "\ud800"}, UnsupportedText),
        ({"a": float("nan")}, InvalidSchema),
        ({"a": [float("inf")]}, InvalidSchema),
    ],
)
def test_what_is_not_json_that_can_be_kept_is_refused(raw: Any, error: type[PxError]) -> None:
    with pytest.raises(error):
        admit(raw)


@pytest.mark.parametrize(
    "schema",
    [
        chained(27, lambda ref: {"allOf": [{"$ref": ref}, {"$ref": ref}]}),
        chained(27, lambda ref: {"anyOf": [{"$ref": ref}, {"$ref": ref}]}),
        chained(27, lambda ref: {"if": {"$ref": ref}, "then": {"$ref": ref}}),
        chained(27, lambda ref: {"$ref": ref, "not": {"$ref": ref}}),
        chained(27, lambda ref: {"allOf": [{"items": {"$ref": ref}}, {"items": {"$ref": ref}}]}),
        chained(27, lambda ref: {"contains": {"$ref": ref}, "items": {"$ref": ref}}),
        chained(27, lambda ref: {"patternProperties": {"a": {"$ref": ref}, "b": {"$ref": ref}}}),
        chained(27, lambda ref: {"allOf": [{"properties": {"a": {"$ref": ref}}},
                                           {"properties": {"a": {"$ref": ref}}}]}),
        chained(27, lambda ref: {"dependentSchemas": {"a": {"$ref": ref}, "b": {"$ref": ref}}}),
        {**chained(27, lambda ref: {"allOf": [{"$ref": ref}, {"$ref": ref}]}),
         "properties": {"a": {"$ref": "#"}}},
    ],
)  # fmt: skip
def test_references_that_multiply_are_refused_before_anything_is_checked(schema: Any) -> None:
    refused = refusal(schema)
    assert isinstance(refused, SchemaTooCostly)
    [error] = refused.errors
    assert error.pointer.startswith("/$defs/d")


@pytest.mark.parametrize(
    "schema",
    [
        chained(500, lambda ref: {"$ref": ref}),
        chained(500, lambda ref: {"properties": {"a": {"$ref": ref}}}),
        chained(12, lambda ref: {"allOf": [{"$ref": ref}, {"$ref": ref}]}),
        # Both may not be there at once, so nothing multiplies.
        {"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}}},
    ],
)
def test_references_that_do_not_multiply_are_admitted(schema: Any) -> None:
    assert admit(schema)


def test_errors_of_a_refusal_are_at_most_a_hundred() -> None:
    refused = refusal({"allOf": [{"type": "text"} for _ in range(500)]})
    assert len(refused.errors) == 100
    assert refused.errors[0].pointer == "/allOf/0/type"
    assert refused.errors[-1].pointer == "/allOf/99/type"
    assert all(isinstance(error, FieldError) for error in refused.errors)
