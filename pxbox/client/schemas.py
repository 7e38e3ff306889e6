"""What is asked for as a type: its JSON Schema, and answers as values of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar, cast

import msgspec

from pxbox.client.errors import ValidationFailed

T = TypeVar("T")


class Shape(Generic[T]):
    """The schema to send, and how its answers are read."""

    def __init__(self, schema: Any, read: Callable[[bytes], T]) -> None:
        self.schema = schema
        self._read = read

    def read(self, payload: bytes) -> T:
        """An answer as a value. Raises ValidationFailed where the type holds more than its schema
        says, such as a check of pydantic's."""
        try:
            return self._read(payload)
        except ValueError as error:
            raise ValidationFailed(f"the answer is not what the type takes: {error}") from error


def shape_of(schema: type[Any] | Mapping[str, Any] | bool) -> Shape[Any]:
    """How to ask for this: a JSON Schema, or a msgspec Struct, a dataclass or a pydantic model.

    Other types that msgspec knows do too, such as `list[Address]` or an Enum.
    """
    if isinstance(schema, Mapping | bool):
        return Shape(schema, msgspec.json.decode)
    if hasattr(schema, "model_json_schema") and hasattr(schema, "model_validate_json"):
        model = cast("Any", schema)
        return Shape(_titled(model.model_json_schema(), schema), model.model_validate_json)
    decoder = msgspec.json.Decoder(schema)
    return Shape(_titled(_inlined(msgspec.json.schema(schema)), schema), decoder.decode)


def _titled(schema: dict[str, Any], type: object) -> dict[str, Any]:
    name = getattr(type, "__name__", None)
    named = dataclasses.is_dataclass(type) or hasattr(type, "__struct_fields__")
    return {"title": name, **schema} if name and named and "title" not in schema else schema


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """msgspec's schema with its one outermost reference put in place, as forms like it.

    The definition stays where something else, such as the type itself, refers to it.
    """
    reference = schema.get("$ref", "")
    name = reference.removeprefix("#/$defs/")
    definitions = schema.get("$defs", {})
    if name == reference or name not in definitions:
        return schema
    outermost = {**definitions[name], **{k: v for k, v in schema.items() if k[0] != "$"}}
    others = {key: value for key, value in definitions.items() if key != name}
    if f'"{reference}"' in msgspec.json.encode([outermost, others]).decode():
        others = definitions
    return {**outermost, "$defs": others} if others else outermost


def to_json(value: Any) -> msgspec.Raw:
    """A value as JSON: whatever msgspec encodes, and pydantic models. Raises TypeError."""
    return msgspec.Raw(msgspec.json.encode(value, enc_hook=_encode))


def _encode(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{type(value).__name__} has no JSON form")
