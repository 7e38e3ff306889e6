"""A schema from an example: what is concluded, and that the example itself satisfies it."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.domain.example import infer
from pxbox.domain.schema import admit, compile_schema
from pxbox.domain.schema_document import read_schema

KINDS = [{"kind": kind} for kind in ("new", "old", "new", "old")]


@pytest.mark.parametrize(
    ("example", "schema"),
    [
        (None, {}),
        (True, {"type": "boolean"}),
        (3, {"type": "integer"}),
        (3.0, {"type": "number"}),
        ("text", {"type": "string"}),
        ("a longer text - with marks: of all sorts.", {"type": "string"}),
        ("2026-03-02", {"type": "string", "format": "date"}),
        ("2026-03-02T09:15:00Z", {"type": "string", "format": "date-time"}),
        ("2026-02-30", {"type": "string"}),
        ("09:15:00Z", {"type": "string", "format": "time"}),
        ("ada@example.org", {"type": "string", "format": "email"}),
        ("https://example.org/a?b=c", {"type": "string", "format": "uri"}),
        ("note: call back", {"type": "string"}),
        ("ratio:2", {"type": "string"}),
        ("8b1d7c9e-2a34-4f56-8d90-1e2f3a4b5c6d", {"type": "string", "format": "uuid"}),
        ("192.0.2.1", {"type": "string", "format": "ipv4"}),
        ("2001:db8::1", {"type": "string", "format": "ipv6"}),
        ({}, {"type": "object", "properties": {}}),
        ([], {"type": "array"}),
        ([1, 2.5], {"type": "array", "items": {"type": "number"}}),
        ([1, "a"], {"type": "array", "items": {"type": ["integer", "string"]}}),
        ([1, None], {"type": "array", "items": {"type": ["integer", "null"]}}),
        (["2026-03-02", "soon"], {"type": "array", "items": {"type": "string"}}),
        (["a", "b"] * 2, {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}}),
        (["a", "b", "c", "d"], {"type": "array", "items": {"type": "string"}}),
        (["a", "b", "b"], {"type": "array", "items": {"type": "string"}}),
        (
            [{"a": 1, "b": "x"}, {"a": 2}],
            {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"a": {"type": "integer"}, "b": {"type": "string"}},
                    "required": ["a"],
                },
            },
        ),
        (
            [[{"tags": []}], [{"tags": ["x"]}]],
            {
                "type": "array",
                "items": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"tags": {"type": "array", "items": {"type": "string"}}},
                        "required": ["tags"],
                    },
                },
            },
        ),
    ],
)  # fmt: skip
def test_what_is_concluded_from_an_example(example: object, schema: object) -> None:
    assert infer(example) == schema


def test_words_that_repeat_are_a_choice() -> None:
    items = infer(KINDS)["items"]  # type: ignore[index]
    assert items["properties"]["kind"] == {"type": "string", "enum": ["new", "old"]}  # type: ignore[index]


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
    | st.sampled_from(["2026-03-02", "ada@example.org", "https://example.org/", "::1", "a", "b"]),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=30,
)  # fmt: skip


@given(values)
def test_an_example_satisfies_the_schema_that_was_concluded_from_it(example: Any) -> None:
    compiled = compile_schema(read_schema(infer(example)))
    assert compiled.validator is not None
    assert compiled.validator.is_valid(example)


@pytest.mark.parametrize(
    "example",
    [
        ["x:y"] * 10_000,
        [f"{n}-1-1" for n in range(6_000)],
        {f"a{n}": f"{n}:1" for n in range(4_000)},
        {f"a{n}": "1-2:3@4.5" for n in range(2_900)},
        [{f"m{n}": n} for n in range(4_000)],
        ["a." * 30_000],
    ],
    ids=["one text", "near dates", "members", "all marks", "objects", "long"],
)
def test_no_example_holds_the_event_loop_for_long(example: Any) -> None:
    """X4."""
    assert len(msgspec.json.encode(example)) <= 66_000
    began = time.process_time()
    infer(example)
    assert time.process_time() - began < 0.1


def test_what_is_concluded_is_admitted() -> None:
    admit(infer({"who": {"name": "Ada", "kinds": KINDS}, "when": "2026-03-02"}))
