"""What `pxbox show` says of an answer's parts."""

from __future__ import annotations

from typing import Any

import pytest

from pxbox.cli.exits import CommandFailed
from pxbox.cli.fields import parse_key
from pxbox.cli.outline import MOST_LINES, outline

TEXT: dict[str, Any] = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "lines"),
    [
        ({"type": "boolean"}, [("(whole)", "yes or no")]),
        ({"enum": ["a", "b"]}, [("(whole)", "one of a, b")]),
        (True, [("(whole)", "anything")]),
        (
            {"properties": {"day": {**TEXT, "format": "date"}, "a.b": TEXT}, "required": ["day"]},
            [("day", "text (date), required"), ("a\\.b", "text")],
        ),
        (
            {"properties": {"pin": {**TEXT, "writeOnly": True}}},
            [("pin", "text (secret)")],
        ),
        (
            {"properties": {"at": {"type": "object", "required": ["city"],
                                   "properties": {"city": TEXT}}}},
            [("at", "an object"), ("at.city", "text, required")],
        ),
        (
            {"type": "array", "items": {"properties": {"n": {"type": "integer"}}}},
            [("(whole)", "a list, each an object"), ("[].n", "a whole number")],
        ),
        (
            {"oneOf": [{"title": "card", "properties": {"no": TEXT}, "required": ["no"]},
                       {"title": "cash", "properties": {"sum": {"type": "number"}}}]},
            [("(whole)", "either card or cash"), ("no", "text, required, for card"),
             ("sum", "a number, for cash")],
        ),
    ],
)  # fmt: skip
def test_each_part_has_its_name_and_kind(schema: Any, lines: list[tuple[str, str]]) -> None:
    assert outline(schema) == lines


def test_the_names_are_those_that_fields_take() -> None:
    odd = {"properties": {"a.b[0]=c\\d": {"properties": {"x": TEXT}}}}
    (_, (name, _)) = outline(odd)
    try:
        assert parse_key(name) == ["a.b[0]=c\\d", "x"]
    except CommandFailed as failed:
        pytest.fail(str(failed))


@pytest.mark.parametrize(
    "schema",
    [
        {"oneOf": [{"$ref": "#"}] * 32},
        {"type": "array", "items": {"$ref": "#"}},
        {"properties": {f"p{n}": {"$ref": "#"} for n in range(100)}},
        {"anyOf": [{"oneOf": [{"$ref": "#"}] * 30}] * 30},
    ],
)
def test_what_is_made_of_itself_comes_to_an_end(schema: dict[str, Any]) -> None:
    assert len(outline(schema)) <= MOST_LINES + 2
