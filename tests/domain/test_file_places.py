"""Which strings of an answer are files."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest

from pxbox.domain.file_places import referred_files
from pxbox.model.errors import InvalidAnswer

FILE = {"type": "string", "format": "pxbox-file"}


def found(schema: Any, value: Any) -> dict[str, str]:
    return dict(referred_files(msgspec.json.encode(schema), value))


@pytest.mark.parametrize(
    ("schema", "value", "places"),
    [
        (FILE, "x", {"": "x"}),
        (FILE, 1, {}),
        ({"type": "string"}, "x", {}),
        (True, "x", {}),
        ({"properties": {"a": FILE}}, {"a": "x", "b": "y"}, {"/a": "x"}),
        ({"properties": {"a/b~": FILE}}, {"a/b~": "x"}, {"/a~1b~0": "x"}),
        ({"items": FILE}, ["x", "y"], {"/0": "x", "/1": "y"}),
        ({"prefixItems": [{}, FILE]}, ["x", "y", "z"], {"/1": "y"}),
        ({"items": [{}, FILE]}, ["x", "y", "z"], {"/1": "y"}),
        ({"additionalProperties": {"items": FILE}}, {"a": ["x"]}, {"/a/0": "x"}),
        ({"patternProperties": {"^f": FILE}}, {"f": "x"}, {"/f": "x"}),
        ({"allOf": [{"properties": {"a": FILE}}]}, {"a": "x"}, {"/a": "x"}),
        ({"anyOf": [{"type": "null"}, FILE]}, "x", {"": "x"}),
        ({"if": {}, "then": {"properties": {"a": FILE}}}, {"a": "x"}, {"/a": "x"}),
        ({"$defs": {"f": FILE}, "items": {"$ref": "#/$defs/f"}}, ["x"], {"/0": "x"}),
        ({"$defs": {"f": {"$anchor": "f", **FILE}}, "$ref": "#f"}, "x", {"": "x"}),
        ({"$defs": {"f": {"$id": "urn:f", **FILE}}, "$ref": "urn:f"}, "x", {"": "x"}),
        ({"properties": {"file": FILE, "next": {"$ref": "#"}}},
         {"file": "x", "next": {"next": {"file": "y"}}}, {"/file": "x", "/next/next/file": "y"}),
    ],
)  # fmt: skip
def test_places_are_those_of_the_format(schema: Any, value: Any, places: dict[str, str]) -> None:
    assert found(schema, value) == places


def test_schemas_that_refer_to_themselves_come_to_an_end() -> None:
    schema = {"$defs": {"f": FILE}, "allOf": [{"$ref": "#"}, {"$ref": "#/$defs/f"}]}
    assert found(schema, "x") == {"": "x"}


def test_what_leads_to_no_file_is_not_walked_and_what_is_too_much_is_refused() -> None:
    schema = {"properties": {"a": FILE, "many": {"items": {"properties": {"b": {}}}}}}
    assert found(schema, {"a": "x", "many": [{"b": 1}] * 100_000}) == {"/a": "x"}
    started = time.perf_counter()
    with pytest.raises(InvalidAnswer):
        found({"items": FILE}, ["x"] * 100_000)
    assert time.perf_counter() - started < 5
