"""What is wrong with a value, in words for whoever filled it in.

The words come from the schema, never from the value: what was answered is not repeated in errors,
so it cannot reach a log by way of them (X5), and cannot be large.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from jsonschema_rs import ValidationError
from jsonschema_rs import ValidationErrorKind as Kind

from pxbox.domain.schema_document import pointer_token
from pxbox.model.errors import FieldError

MAX_MESSAGE = 300
MAX_POINTER = 2048
_MAX_TEXT = 80
_MAX_NAMED = 5
_MAX_ALTERNATIVES = 3

UNLISTED = FieldError("", "does not satisfy the schema, in too many ways to list them", "")
"""What stands for all errors where listing them takes more than the broker gives."""


def field_error(error: ValidationError) -> FieldError:
    """Say where and what, from one error of the validator.

    Where the pointer would be very long, it is that of what holds the place.
    """
    pointer = ""
    for token in map(pointer_token, error.instance_path):
        if len(pointer) + len(token) > MAX_POINTER:
            break
        pointer += token
    return FieldError(pointer, _cut(message(error), MAX_MESSAGE), keyword_of(error))


def keyword_of(error: ValidationError) -> str:
    """Return the keyword of the schema that is not satisfied.

    The validator's own name is coarser: `required` for a `dependentRequired`, say.
    """
    if isinstance(error.kind, Kind.FalseSchema):
        words = [part for part in error.schema_path if part in _FORBIDDING]
        return str(words[-1]) if words else ""
    if isinstance(error.kind, Kind.PropertyNames):
        return "propertyNames"
    words = [part for part in error.schema_path if isinstance(part, str)]
    return words[-1] if words else error.kind.name


def message(error: ValidationError) -> str:
    say = _WORDS.get(type(error.kind))
    return "does not satisfy the schema" if say is None else say(error, error.kind)


def _types(_: ValidationError, kind: Any) -> str:
    return f"must be of type {_either(sorted(kind.types))}"


def _required(error: ValidationError, kind: Any) -> str:
    name = _quoted(kind.property)
    if error.schema_path and error.schema_path[-1] == "required":
        return f"{name} is required"
    return f"{name} is required beside what is there"


def _unexpected(_: ValidationError, kind: Any) -> str:
    names = [_quoted(name) for name in kind.unexpected[:_MAX_NAMED]]
    more = len(kind.unexpected) - len(names)
    return f"must not have {', '.join(names)}" + (f" and {more} more" if more > 0 else "")


def _unexpected_items(_: ValidationError, kind: Any) -> str:
    return f"has {_count(len(kind.unexpected), 'item')} that the schema does not provide for"


def _enum(_: ValidationError, kind: Any) -> str:
    shown = [_value(option) for option in kind.options[:_MAX_NAMED]]
    more = len(kind.options) - len(shown)
    if more > 0:
        return f"must be one of {', '.join(shown)} or {more} more"
    return f"must be {'one of ' if len(shown) > 1 else ''}{_either(shown)}"


def _contains(error: ValidationError, _: Any) -> str:
    if keyword_of(error) == "maxContains":
        return "has too many items of the kind that the schema counts"
    return "has too few items of the kind that the schema asks for"


def _any_of(error: ValidationError, kind: Any) -> str:
    alternatives = _alternatives(error, kind.context)
    return f"must satisfy one of {_count(len(kind.context), 'alternative')}{alternatives}"


def _one_of_several(_: ValidationError, kind: Any) -> str:
    return f"must satisfy only one of {_count(len(kind.context), 'alternative')}, but fits several"


def _property_name(_: ValidationError, kind: Any) -> str:
    inner: ValidationError = kind.error
    # The one word of a value that is repeated: which name is meant could not be told otherwise.
    return f"has the name {_value(inner.instance)}, which {message(inner)}"


def _false(error: ValidationError, _: Any) -> str:
    if keyword_of(error) == "additionalProperties":
        return "must have no properties"
    return "must not be here"


_WORDS: dict[type[Kind], Callable[[ValidationError, Any], str]] = {
    Kind.Type: _types,
    Kind.Required: _required,
    Kind.AdditionalProperties: _unexpected,
    Kind.UnevaluatedProperties: _unexpected,
    Kind.UnevaluatedItems: _unexpected_items,
    Kind.AdditionalItems: lambda _, kind: f"must have at most {_count(kind.limit, 'item')}",
    Kind.Enum: _enum,
    Kind.Constant: lambda _, kind: f"must be {_value(kind.expected_value)}",
    Kind.Minimum: lambda _, kind: f"must be at least {_value(kind.limit)}",
    Kind.Maximum: lambda _, kind: f"must be at most {_value(kind.limit)}",
    Kind.ExclusiveMinimum: lambda _, kind: f"must be greater than {_value(kind.limit)}",
    Kind.ExclusiveMaximum: lambda _, kind: f"must be less than {_value(kind.limit)}",
    Kind.MultipleOf: lambda _, kind: f"must be a multiple of {_value(kind.multiple_of)}",
    Kind.MinLength: lambda _, kind: f"must have at least {_count(kind.limit, 'character')}",
    Kind.MaxLength: lambda _, kind: f"must have at most {_count(kind.limit, 'character')}",
    Kind.MinItems: lambda _, kind: f"must have at least {_count(kind.limit, 'item')}",
    Kind.MaxItems: lambda _, kind: f"must have at most {_count(kind.limit, 'item')}",
    Kind.MinProperties: lambda _, kind: f"must have at least {_count(kind.limit, 'property')}",
    Kind.MaxProperties: lambda _, kind: f"must have at most {_count(kind.limit, 'property')}",
    Kind.UniqueItems: lambda _, __: "must not have the same item twice",
    Kind.Pattern: lambda _, kind: f"must match the pattern {_cut(kind.pattern, _MAX_TEXT)}",
    Kind.Format: lambda _, kind: f"must be a valid {_cut(kind.format, _MAX_TEXT)}",
    Kind.ContentEncoding: lambda _, kind: f"must be encoded as {_value(kind.content_encoding)}",
    Kind.ContentMediaType: lambda _, kind: f"must hold {_value(kind.content_media_type)}",
    Kind.Contains: _contains,
    Kind.AnyOf: _any_of,
    Kind.OneOfNotValid: _any_of,
    Kind.OneOfMultipleValid: _one_of_several,
    Kind.Not: lambda _, __: "is what the schema excludes by not",
    Kind.PropertyNames: _property_name,
    Kind.FalseSchema: _false,
}
_FORBIDDING = frozenset({
    "additionalProperties", "unevaluatedProperties", "properties", "patternProperties",
    "propertyNames", "items", "prefixItems", "additionalItems", "unevaluatedItems", "contains",
    "allOf", "anyOf", "oneOf", "then", "else", "dependentSchemas", "dependencies",
})  # fmt: skip


def _alternatives(error: ValidationError, context: list[list[ValidationError]]) -> str:
    """Return what the first alternatives miss, or nothing where that says nothing."""
    shown = []
    for missed in context[:_MAX_ALTERNATIVES]:
        if not missed:
            return ""
        first = min(missed, key=lambda each: len(each.instance_path))
        inside = first.instance_path[len(error.instance_path) :]
        where = "".join(map(pointer_token, inside))
        nested = isinstance(first.kind, Kind.AnyOf | Kind.OneOfNotValid)
        what = "must satisfy alternatives of its own" if nested else message(first)
        shown.append(_cut(f"{where} {what}".strip(), _MAX_TEXT))
    more = "; ..." if len(context) > len(shown) else ""
    return f": {'; '.join(shown)}{more}"


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _count(number: int, noun: str) -> str:
    plural = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number} {noun if number == 1 else plural}"


def _quoted(name: str) -> str:
    return _value(name)


def _value(value: object) -> str:
    return _cut(msgspec.json.encode(value).decode(), _MAX_TEXT)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
