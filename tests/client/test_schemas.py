"""What is asked for as a type."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

import msgspec
import pydantic
import pytest

from pxbox.client import errors
from pxbox.client.schemas import shape_of, to_json


class Address(msgspec.Struct):
    street: str
    zip_code: Annotated[str, msgspec.Meta(pattern="^[0-9]{4}$")]


@dataclass
class Person:
    name: str
    address: Address


class Order(pydantic.BaseModel):
    item: str = pydantic.Field(alias="Item", min_length=1)
    count: int = 1

    @pydantic.field_validator("count")
    @classmethod
    def even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("an even number")
        return value


class Node(msgspec.Struct):
    children: list[Node] = []


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


def test_a_struct_is_an_object_with_its_title() -> None:
    schema = shape_of(Address).schema
    assert schema["title"] == "Address"
    assert schema["type"] == "object"
    assert schema["required"] == ["street", "zip_code"]
    assert "$ref" not in schema
    assert "$defs" not in schema


def test_what_a_type_refers_to_stays_defined() -> None:
    schema = shape_of(Person).schema
    assert schema["type"] == "object"
    assert set(schema["$defs"]) == {"Address"}
    assert set(shape_of(Node).schema["$defs"]) == {"Node"}


@pytest.mark.parametrize(
    ("asked", "payload", "answer"),
    [
        (Address, b'{"street": "a", "zip_code": "0001"}', Address("a", "0001")),
        (
            Person,
            b'{"name": "x", "address": {"street": "a", "zip_code": "0001"}}',
            Person("x", Address("a", "0001")),
        ),
        (Order, b'{"Item": "nut", "count": 2}', Order(Item="nut", count=2)),
        (Size, b'"large"', Size.LARGE),
        (list[int], b"[1, 2]", [1, 2]),
        (bool, b"true", True),
        ({"type": "string"}, b'"x"', "x"),
    ],
)
def test_answers_are_values_of_what_was_asked_for(asked: Any, payload: bytes, answer: Any) -> None:
    assert shape_of(asked).read(payload) == answer
    assert msgspec.json.decode(to_json(answer)) == msgspec.json.decode(payload)


def test_a_check_that_no_schema_says_fails_as_a_validation() -> None:
    with pytest.raises(errors.ValidationFailed, match="an even number"):
        shape_of(Order).read(b'{"Item": "nut", "count": 3}')


def test_what_has_no_json_form_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="object has no JSON form"):
        to_json(object())
