"""What is asked for a schema, in which order, and what comes of the replies."""

from __future__ import annotations

from typing import Any

import pytest

from pxbox.cli.form.marks import Known, to_mend
from pxbox.cli.form.question import SKIPPED, Pick, PickMany, Text, YesNo
from pxbox.cli.form.sheet import Sheet
from tests.cli.form.filling import Said, fill, fill_again, refusal

TEXT: dict[str, Any] = {"type": "string"}
NUMBER: dict[str, Any] = {"type": "integer"}


def members(properties: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required), **more}


MAIL_OR_PHONE = {
    "oneOf": [
        members({"mail": TEXT}, "mail", title="By mail"),
        members({"phone": TEXT}, "phone", title="By phone"),
    ]
}
PET = {
    "oneOf": [
        members({"kind": {"const": "cat"}, "lives": NUMBER}, "kind", "lives"),
        members({"kind": {"const": "dog"}, "breed": TEXT}, "kind"),
    ]
}
TREE = {
    "$defs": {"node": members({"name": TEXT, "next": {"$ref": "#/$defs/node"}}, "name")},
    "$ref": "#/$defs/node",
}
CASES: list[tuple[str, Any, Said, Any]] = [
    ("text", TEXT, {"": "ana"}, "ana"),
    ("the empty text", TEXT, {"": '""'}, ""),
    ("a number", {"type": "number"}, {"": "1.5"}, 1.5),
    ("a boolean", {"type": "boolean"}, {"": False}, False),
    ("an enum of several types", {"enum": ["a", 1, None]}, {"": "1"}, 1),
    ("enum names", {"enum": [1, 2], "enumNames": ["One", "Two"]}, {"": "Two"}, 2),
    ("titled constants", {"oneOf": [{"const": 1, "title": "One"}]}, {"": "One"}, 1),
    ("an enum of text", {"type": "string", "enum": ["a", "b"]}, {"": "b"}, "b"),
    ("members in the order of the schema", members({"b": TEXT, "a": TEXT}, "a", "b"),
     {"/b": "1", "/a": "2"}, {"b": "1", "a": "2"}),
    ("optional members may be skipped", members({"a": TEXT, "b": NUMBER}), {"/b": "1"}, {"b": 1}),
    ("a required member that no property describes", members({}, "a"), {"/a": "x"}, {"a": "x"}),
    ("a nested object", members({"a": members({"b": TEXT}, "b")}, "a"), {"/a/b": "x"},
     {"a": {"b": "x"}}),
    ("an optional object that is not wanted", members({"a": members({"b": TEXT}, "b")}), {}, {}),
    ("an optional object that is", members({"a": members({"b": TEXT}, "b")}),
     {"/a?": True, "/a/b": "x"}, {"a": {"b": "x"}}),
    ("a list", {"type": "array", "items": TEXT}, {"?": [True, True, False], "/0": "a", "/1": "b"},
     ["a", "b"]),
    ("a required list without items", members({"a": {"type": "array", "items": TEXT}}, "a"), {},
     {"a": []}),
    ("an optional one", members({"a": {"type": "array", "items": TEXT}}), {}, {}),
    ("as many items as there must be, as few as there may", {"type": "array", "items": TEXT,
     "minItems": 1, "maxItems": 2}, {"/0": "a", "?": True, "/1": "b"}, ["a", "b"]),
    ("a tuple", {"type": "array", "prefixItems": [TEXT, NUMBER], "items": False, "minItems": 2},
     {"/0": "a", "/1": "1"}, ["a", 1]),
    ("a set of options", {"type": "array", "items": {"enum": ["a", "b", "c"]},
     "uniqueItems": True}, {"": "a c"}, ["a", "c"]),
    ("a branch", MAIL_OR_PHONE, {"": "By phone", "/phone": "1"}, {"phone": "1"}),
    ("a branch by what tells it apart", PET, {"": "kind: cat", "/lives": "9"},
     {"kind": "cat", "lives": 9}),
    ("a branch of another type", {"anyOf": [{"type": "null"}, members({"a": TEXT}, "a")]},
     {"": "a", "/a": "x"}, {"a": "x"}),
    ("null among the types", members({"a": {"type": ["string", "null"]}}, "a"),
     {"/a": "nothing (null)"}, {"a": None}),
    ("one of several types", {"type": ["string", "integer"]}, {"": ["a whole number", "1"]}, 1),
    ("one of two members, which is asked first", {**members({"a": TEXT, "b": TEXT}),
     "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"": "b", "/b": "x"}, {"b": "x"}),
    ("a reference", {"$defs": {"t": NUMBER}, "$ref": "#/$defs/t"}, {"": "1"}, 1),
    ("a schema within itself", TREE, {"/name": "a", "/next?": True, "/next/name": "b"},
     {"name": "a", "next": {"name": "b"}}),
    ("allOf", {"allOf": [members({"a": TEXT}), {"required": ["a"]}]}, {"/a": "x"}, {"a": "x"}),
    ("a map", {"type": "object", "additionalProperties": NUMBER},
     {"?": [True, False], "": "red", "/red": "1"}, {"red": 1}),
    ("anything", {}, {"": '{"a": [1]}'}, {"a": [1]}),
    ("anything that is no JSON is text", True, {"": "ana"}, "ana"),
    ("an object that nothing is said of", {"type": "object"}, {"": '{"a": 1}'}, {"a": 1}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "said", "answer"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_an_answer_is_asked_for(schema: Any, said: Said, answer: Any) -> None:
    filled = fill(schema, said)
    assert filled.value == answer
    assert Sheet(schema).errors(answer) == []


CONDITION = members(
    {"why": TEXT, "kind": {"enum": ["a", "b"]}},
    "kind",
    **{
        "if": {"properties": {"kind": {"const": "b"}}},
        "then": {"required": ["why"], "properties": {"more": NUMBER}},
    },
)


def test_what_a_condition_brings_in_is_asked_after_what_it_looks_at() -> None:
    filled = fill(CONDITION, {"/kind": "b", "/why": "so"})
    assert filled.asked == ["/kind", "/why", "/more"]
    assert filled.question("/why").about.required


def test_what_a_condition_leaves_out_is_not_asked() -> None:
    filled = fill(CONDITION, {"/kind": "a"})
    assert filled.asked == ["/kind", "/why"]
    assert not filled.question("/why").about.required
    assert filled.value == {"kind": "a"}


def test_what_a_member_needs_beside_it_is_required_once_that_is_given() -> None:
    schema = members({"bill": TEXT, "card": TEXT}, dependentRequired={"card": ["bill"]})
    assert fill(schema, {"/card": "1", "/bill": "x"}).value == {"card": "1", "bill": "x"}
    assert fill(schema).value == {}


def test_the_branch_that_goes_with_what_was_said_is_not_asked_for() -> None:
    schema = {**members({"kind": {"enum": ["cat", "dog"]}}, "kind"), **PET}
    filled = fill(schema, {"/kind": "cat", "/lives": "9"})
    assert filled.asked == ["/kind", "/lives"]


@pytest.mark.parametrize("value", [True, "I agree", 1])
def test_a_constant_is_confirmed_and_never_filled_in(value: Any) -> None:
    required = fill(
        members({"a": {"const": value}}, "a"), {"/a": "yes" if value is True else str(value)}
    )
    question = required.question("/a")
    assert isinstance(question, Pick)
    assert question.start is None
    assert fill(members({"a": {"const": value}})).value == {}


def test_a_default_is_what_the_line_starts_with_and_can_be_cleared() -> None:
    filled = fill(members({"a": {**TEXT, "default": "x"}}))
    question = filled.question("/a")
    assert isinstance(question, Text)
    assert (question.start, question.about.required) == ("x", False)


def test_a_boolean_without_a_default_starts_at_neither() -> None:
    question = fill(members({"a": {"type": "boolean"}})).question("/a")
    assert isinstance(question, YesNo)
    assert question.start is None


@pytest.mark.parametrize("mark", [{"format": "password"}, {"writeOnly": True}])
def test_a_secret_is_hidden_and_starts_empty(mark: dict[str, Any]) -> None:
    schema = members({"a": {**TEXT, **mark}})
    question = fill(schema, {"/a": "y"}, Known({"a": "x"})).question("/a")
    assert isinstance(question, Text)
    assert question.secret
    assert question.start == ""


def test_what_was_prefilled_is_where_each_question_starts() -> None:
    schema = members({
        "a": TEXT, "n": NUMBER, "b": {"type": "boolean"}, "e": {"enum": ["x", "y"]},
        "s": {"type": "array", "items": {"enum": ["p", "q"]}, "uniqueItems": True},
        "o": members({"i": TEXT}), "w": MAIL_OR_PHONE,
        "l": {"type": "array", "items": TEXT},
    })  # fmt: skip
    value = {
        "a": "1", "n": 2, "b": False, "e": "y", "s": ["q"], "o": {"i": "3"},
        "w": {"phone": "4"}, "l": ["5", "6"],
    }  # fmt: skip
    assert fill(schema, known=Known(value)).value == value


def test_what_only_the_asker_writes_is_kept_and_not_asked() -> None:
    schema = members({"id": {**NUMBER, "readOnly": True}, "a": TEXT}, "id")
    filled = fill(schema, known=Known({"id": 7}))
    assert filled.asked == ["/a"]
    assert filled.value == {"id": 7}


def test_items_that_are_there_can_be_changed_and_removed() -> None:
    schema = {"type": "array", "items": TEXT}
    known = Known(["a", "b", "c"])
    said = {"/0": "remove", "/1": ["change"], "/2": "keep"}
    questions = fill(schema, {**said, "/0": ["remove", "B"]}, known)
    assert questions.value == ["B", "c"]


def test_only_what_failed_is_asked_again() -> None:
    schema = members(
        {
            "a": TEXT,
            "o": members({"i": NUMBER, "j": TEXT}),
            "l": {"type": "array", "items": NUMBER},
        },
        "a",
    )
    value = {"a": "x", "o": {"i": -1, "j": "y"}, "l": [1, "two", 3]}
    known = to_mend(value, Sheet({**schema, "properties": {**schema["properties"], "o": members(
        {"i": {"minimum": 0}})}}).errors(value))  # fmt: skip
    filled = fill(schema, {"/o/i": "1", "/l/1": "2"}, known)
    assert filled.asked == ["/o/i", "/l/1"]
    assert filled.value == {"a": "x", "o": {"i": 1, "j": "y"}, "l": [1, 2, 3]}


def test_of_what_is_missing_only_that_is_asked() -> None:
    schema = members({"a": TEXT, "b": TEXT}, "a", "b")
    known = to_mend({"a": "x"}, Sheet(schema).errors({"a": "x"}))
    filled = fill(schema, {"/b": "y"}, known)
    assert filled.asked == ["/b"]
    assert filled.value == {"a": "x", "b": "y"}


def test_what_a_changed_answer_brings_in_is_asked_for() -> None:
    first = fill(CONDITION, {"/kind": "a"})
    changed = Known(first.value, frozenset({"/kind"}))
    second = fill_again(first.walk, {"/kind": "b", "/more": "1"}, changed)
    assert (second.asked, second.value) == (["/kind", "/more"], {"kind": "b", "more": 1})
    errors = first.walk.sheet.errors(second.value)
    third = fill_again(first.walk, {"/why": "so"}, to_mend(second.value, errors))
    assert (third.asked, third.value) == (["/why"], {"kind": "b", "more": 1, "why": "so"})


def test_what_a_changed_answer_takes_away_is_dropped() -> None:
    first = fill(CONDITION, {"/kind": "b", "/why": "so", "/more": "1"})
    changed = Known(first.value, frozenset({"/kind"}))
    second = fill_again(first.walk, {"/kind": "a"}, changed)
    assert second.value == {"kind": "a", "why": "so"}


def test_what_was_optional_and_skipped_is_not_asked_when_something_else_is_missing() -> None:
    schema = members({"a": TEXT, "b": TEXT, "c": TEXT}, "a")
    errors = Sheet(schema).errors({})
    assert fill(schema, {"/a": "x"}, to_mend({}, errors)).asked == ["/a"]


def test_an_error_of_the_whole_asks_for_all_of_it_again() -> None:
    schema = {**members({"a": TEXT, "b": TEXT}), "maxProperties": 1}
    value = {"a": "x", "b": "y"}
    filled = fill(schema, known=to_mend(value, Sheet(schema).errors(value)))
    assert filled.asked == ["/a", "/b"]


REFUSED: list[tuple[Any, str, str]] = [
    (TEXT, "", "is required"),
    ({**TEXT, "minLength": 3}, "ab", "at least 3"),
    ({**TEXT, "pattern": "^[0-9]+$"}, "x", "pattern"),
    ({**TEXT, "format": "date"}, "soon", "date"),
    ({**NUMBER, "minimum": 0}, "-1", "at least 0"),
    (NUMBER, "1.5", "integer"),
    (NUMBER, "x", "whole number"),
    (NUMBER, "9" * 30, "64 bits"),
    ({"type": "number"}, "NaN", "number"),
    ({"type": "object"}, "x", "JSON"),
    ({"type": "object"}, "[" * 100_000, "deep"),
]


@pytest.mark.parametrize(("schema", "typed", "why"), REFUSED)
def test_a_wrong_line_is_refused_at_once(schema: Any, typed: str, why: str) -> None:
    whole = members({"a": schema})
    assert why in refusal(fill(whole).question("/a"), typed)


def test_a_set_of_options_is_judged_as_a_whole() -> None:
    schema = {"type": "array", "items": {"enum": ["a", "b"]}, "uniqueItems": True, "minItems": 1}
    question = fill(schema, {"": "a"}).question("")
    assert isinstance(question, PickMany)
    with pytest.raises(Exception, match="at least 1"):
        question.read([])


@pytest.mark.parametrize("draft", ["http://json-schema.org/draft-07/schema#",
                                   "https://json-schema.org/draft/2019-09/schema"])  # fmt: skip
def test_older_drafts_are_asked_for_too(draft: str) -> None:
    schema = {
        "$schema": draft,
        "definitions": {"n": {**NUMBER, "maximum": 5}},
        "type": "array", "items": [TEXT, {"$ref": "#/definitions/n"}], "minItems": 2,
        "additionalItems": False,
    }  # fmt: skip
    filled = fill(schema, {"/0": "a", "/1": "1"})
    assert filled.value == ["a", 1]
    assert "at most 5" in refusal(filled.question("/1"), "6")


def test_a_reference_that_is_relative_to_an_inner_id_is_judged_all_the_same() -> None:
    schema = {
        "$id": "https://example.org/form",
        "$defs": {"inner": {"$id": "inner", "$defs": {"n": NUMBER}, "$ref": "#/$defs/n"}},
        **members({"a": {"$ref": "inner"}}, "a"),
    }
    filled = fill(schema, {"/a": "1"})
    assert filled.value == {"a": 1}


def test_skipping_is_told_from_null() -> None:
    assert fill(members({"a": {"enum": [None]}}), {"/a": "null"}).value == {"a": None}
    assert Known({"a": None}).at("/a") is None
    assert Known({}).at("/a") is SKIPPED
