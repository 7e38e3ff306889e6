"""`-F name=value` and what else is given on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.fields import answer_of
from pxbox.cli.form.sheet import Sheet
from pxbox.cli.given import read_json

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"}, "n": {"type": "integer"}, "yes": {"type": "boolean"},
        "level": {"oneOf": [{"const": 1, "title": "Low"}, {"const": 2, "title": "High"}]},
        "where": {"type": "object", "properties": {"city": {"type": "string"}}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "rows": {"type": "array", "items": {"type": "object", "properties": {
            "n": {"type": "integer"}}}},
        "maybe": {"type": ["string", "null"]}, "either": {"anyOf": [{"type": "integer"},
            {"type": "string"}]},
        "pet": {"oneOf": [{"properties": {"lives": {"type": "integer"}}},
                          {"properties": {"breed": {"type": "string"}}}]},
        "map": {"additionalProperties": {"type": "integer"}}, "any": {},
        "a.b": {"type": "integer"},
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        (["name=ana"], {"name": "ana"}),
        (["name=12"], {"name": "12"}),
        (["name=a=b"], {"name": "a=b"}),
        (["n=12"], {"n": 12}),
        (["yes=no"], {"yes": False}),
        (["level=High"], {"level": 2}),
        (["level=1"], {"level": 1}),
        (["where.city=Oslo", "name=x"], {"where": {"city": "Oslo"}, "name": "x"}),
        (["tags[]=a", "tags[]=b"], {"tags": ["a", "b"]}),
        (["rows[0].n=1", "rows[1].n=2"], {"rows": [{"n": 1}, {"n": 2}]}),
        (["maybe=null"], {"maybe": "null"}),
        (["maybe:=null"], {"maybe": None}),
        (["either=12"], {"either": 12}),
        (["either=x"], {"either": "x"}),
        (["pet.lives=9"], {"pet": {"lives": 9}}),
        (["map.red=1"], {"map": {"red": 1}}),
        (["any=x"], {"any": "x"}),
        (["any=[1]"], {"any": [1]}),
        (["unknown=1"], {"unknown": "1"}),
        (['where:={"city": "Oslo"}'], {"where": {"city": "Oslo"}}),
        (["a\\.b=1"], {"a.b": 1}),
    ],
)
def test_fields_are_read_by_the_types_of_the_schema(fields: list[str], answer: Any) -> None:
    assert answer_of(Sheet(SCHEMA), fields) == answer


def test_a_whole_answer_that_is_a_list_can_be_given_by_fields() -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    assert answer_of(Sheet(schema), ["[]=1", "[]=2"]) == [1, 2]


@pytest.mark.parametrize(
    ("fields", "exit", "why"),
    [
        (["name"], Exit.WRONG_CALL, "name=value"),
        (["n=many"], Exit.INVALID, "-F n: must be a whole number"),
        (["level=Middle"], Exit.INVALID, "one of 1, 2"),
        (["any:={"], Exit.WRONG_CALL, "not JSON"),
        (["name=x", "name.first=y"], Exit.WRONG_CALL, "inside"),
        (["rows[3].n=1"], Exit.WRONG_CALL, "no item 2"),
        (["tags[x]=1"], Exit.WRONG_CALL, "cannot be read"),
        (["name=@nowhere"], Exit.WRONG_CALL, "nowhere"),
    ],
)
def test_a_field_that_cannot_be_read_is_refused(fields: list[str], exit: Exit, why: str) -> None:
    with pytest.raises(CommandFailed, match=None) as refused:
        answer_of(Sheet(SCHEMA), fields)
    assert refused.value.exit is exit
    assert why in str(refused.value)


def test_a_refused_field_does_not_repeat_its_value() -> None:
    with pytest.raises(CommandFailed) as refused:
        answer_of(Sheet(SCHEMA), ["n=hunter2"])
    assert "hunter2" not in str(refused.value)


def test_a_field_can_be_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("two\nlines\n")
    assert answer_of(Sheet(SCHEMA), [f"name=@{tmp_path}/note"]) == {"name": "two\nlines"}


def test_json_is_given_as_it_is_or_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text('{"type": "string"}\n')
    for text in ('{"type": "string"}', f"@{path}", str(path)):
        assert read_json(text, "schema") == {"type": "string"}


@pytest.mark.parametrize("text", ["{", "@/nowhere", "nowhere.json", "", '"\\u0000"', "NaN"])
def test_what_is_no_json_is_a_wrong_call(text: str) -> None:
    with pytest.raises(CommandFailed) as refused:
        read_json(text, "schema")
    assert refused.value.exit is Exit.WRONG_CALL


@pytest.mark.parametrize(("field", "meant"), [("nane=x", "name"), ("where.cty=Oslo", "city")])
def test_a_slip_in_a_name_is_not_sent(field: str, meant: str) -> None:
    with pytest.raises(CommandFailed, match=f"Did you mean '{meant}'") as refused:
        answer_of(Sheet(SCHEMA), [field])
    assert refused.value.exit is Exit.INVALID
    name = field.partition("=")[0]
    assert answer_of(Sheet(SCHEMA), [f"{name}:=1"])
