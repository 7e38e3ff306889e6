"""The answer as it is shown before it is sent."""

from __future__ import annotations

from typing import Any

from pxbox.cli.form.places import MASK
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.review import called, lines

SECRET = {"type": "string", "writeOnly": True}
SCHEMA = {
    "properties": {
        "size": {"title": "Your size", "oneOf": [{"const": 1, "title": "Small"}]},
        "to": {"anyOf": [{"type": "null", "title": "Nowhere"}, {"$ref": "#/$defs/place"}]},
        "pin": SECRET,
        "keys": {"type": "array", "items": {"properties": {"key": SECRET, "name": {}}}},
        "extra": {"oneOf": [{"properties": {"code": SECRET}}, {"type": "string"}]},
        "tags": {"type": "array", "items": {"enum": ["x"], "enumNames": ["Ex"]}},
    },
    "if": {"required": ["pin"]},
    "then": {"properties": {"again": {"format": "password"}}},
    "$defs": {"place": {"title": "Place", "properties": {"city": {"title": "City"}}}},
}


def test_values_are_shown_by_the_titles_that_they_were_asked_by() -> None:
    answer = {"size": 1, "to": {"city": "Oslo"}, "tags": ["x"], "other": {"a/b": [1, {"c": None}]}}
    assert lines(Sheet(SCHEMA), answer) == [
        ("Your size", "Small"),
        ("to › City", "Oslo"),
        ("tags", "Ex"),
        ("other › a/b 1", "1"),
        ("other › a/b 2 › c", "null"),
    ]


def test_secrets_are_masked_wherever_they_are() -> None:
    answer: dict[str, Any] = {
        "pin": "hunter2", "again": "hunter2", "keys": [{"key": "hunter2", "name": "n"}],
        "extra": {"code": "hunter2"},
    }  # fmt: skip
    shown = lines(Sheet(SCHEMA), answer)
    assert "hunter2" not in str(shown)
    assert [text for _, text in shown] == [MASK, MASK, MASK, "n", MASK]


def test_nothing_that_a_terminal_would_obey_is_shown() -> None:
    shown = lines(Sheet(SCHEMA), {"other\x1b[2J": "a\x1b]0;b\x07", "long": "x" * 1000})
    assert "\x1b" not in str(shown)
    assert len(shown[1][1]) == 200


def test_a_place_that_is_wrong_is_called_by_its_titles() -> None:
    sheet, answer = Sheet(SCHEMA), {"to": {}, "keys": [{}, {"key": 1}]}
    assert called(sheet, answer, "") == "answer"
    assert called(sheet, answer, "/to/city") == "to › City"
    assert called(sheet, answer, "/keys/1/key") == "keys 2 › key"


def test_a_whole_answer_that_is_no_object_is_shown_too() -> None:
    assert lines(Sheet({"type": "string"}), "a") == [("answer", "a")]
    assert lines(Sheet({}), []) == [("answer", "[]")]
