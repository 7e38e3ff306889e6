"""Hints for forms: what is known, and what a schema has a place for."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest

from pxbox.domain.ui_hints import MOST_WARNINGS, WIDGETS, WORDS, unmatched
from pxbox.model.document import read_document
from tests.contract.documents import SCHEMAS, example_bytes, examples

FORM = {
    "type": "object",
    "properties": {
        "dish": {"enum": ["soup", "pie"]},
        "guests": {"type": "array", "items": {"$ref": "#/$defs/guest"}},
        "items": {"type": "string"},
    },
    "$defs": {
        "guest": {
            "allOf": [{"properties": {"name": True}}],
            "anyOf": [{"properties": {"age": True}}, {"$ref": "#/$defs/guest"}],
        }
    },
}


def warned(hints: Any, schema: Any = FORM) -> list[tuple[str, str]]:
    found = unmatched(read_document(json.dumps(hints).encode()), msgspec.json.encode(schema))
    return [(one.pointer, one.keyword) for one in found]


@pytest.mark.parametrize(
    "hints",
    [
        None,
        {},
        {"ui:order": ["guests", "*"], "ui:title": "Lunch"},
        {"dish": {"ui:widget": "radio", "ui:enumNames": ["Soup", "Pie"]}},
        {"guests": {"items": {"name": {"ui:help": "First name"}, "age": {"ui:widget": "updown"}}}},
        {"items": {"ui:rows": 3, "ui:readonly": True, "ui:autofocus": False}},
    ],
)
def test_hints_that_match_are_not_spoken_of(hints: Any) -> None:
    assert warned(hints) == []


@pytest.mark.parametrize(
    ("hints", "warning"),
    [
        ([], ("", "type")),
        ("x", ("", "type")),
        ({"dihs": {}}, ("/dihs", "match")),
        ({"a/b": {}}, ("/a~1b", "match")),
        ({"ui:ordre": []}, ("/ui:ordre", "hint")),
        ({"ui:order": ["dish", "dihs"]}, ("/ui:order/1", "match")),
        ({"ui:order": "dish"}, ("/ui:order", "type")),
        ({"dish": {"ui:widget": "wheel"}}, ("/dish/ui:widget", "type")),
        ({"dish": {"ui:widget": []}}, ("/dish/ui:widget", "type")),
        ({"dish": {"ui:rows": True}}, ("/dish/ui:rows", "type")),
        ({"dish": {"items": {}}}, ("/dish/items", "match")),
        ({"dish": 3}, ("/dish", "type")),
        ({"guests": {"name": {}}}, ("/guests/name", "match")),
        ({"guests": {"items": {"nmae": {}}}}, ("/guests/items/nmae", "match")),
    ],
)
def test_hints_that_mean_nothing_are_named(hints: Any, warning: tuple[str, str]) -> None:
    assert warned(hints) == [warning]


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {"$ref": "https://elsewhere.example/"},
        {"$ref": "#anchor"},
        {"$dynamicRef": "#a"},
        {"additionalProperties": {"type": "string"}},
        {"patternProperties": {"^x": True}},
        {"allOf": [{"$ref": "#/nowhere"}]},
    ],
)
def test_nothing_is_said_where_nothing_is_certain(schema: Any) -> None:
    assert warned({"a": {"b": {}}}, schema) == []


def test_the_words_are_those_of_the_contract() -> None:
    members = SCHEMAS["UiHints"]["properties"]
    assert members.keys() - {"items"} == WORDS
    assert set(members["ui:widget"]["enum"]) == WIDGETS


@pytest.mark.parametrize("stem", [stem for name, stem in examples("invalid") if name == "UiHints"])
def test_what_the_contract_calls_invalid_is_warned_of(stem: str) -> None:
    hints = json.loads(example_bytes("invalid", "UiHints", stem))
    members = {"properties": {"dish": True, "note": True}}
    assert [keyword for _, keyword in warned(hints, members)] == ["type"]


@pytest.mark.parametrize(
    ("hints", "schema"),
    [
        ({f"a{n}": {} for n in range(5_000)}, {"allOf": [{"properties": {}}] * 2_000}),
        ({"ui:order": ["a"] * 10_000}, {"allOf": [{"title": f"{n}"} for n in range(2_000)]}),
        ({f"a{n}": {"b": {}} for n in range(3_000)}, {"properties": {"a1": {"$ref": "#"}}}),
        ({f"a{n}": {} for n in range(5_000)}, {"additionalProperties": {"anyOf": [{}] * 9_000}}),
    ],
)
def test_no_hints_hold_the_event_loop_for_long(hints: Any, schema: Any) -> None:
    """X4."""
    document, text = read_document(msgspec.json.encode(hints)), msgspec.json.encode(schema)
    began = time.process_time()
    assert len(unmatched(document, text)) <= MOST_WARNINGS
    assert time.process_time() - began < 0.1


def test_long_hints_are_not_read() -> None:
    assert warned({"ui:title": "x" * 70_000}) == [("", "size")]
