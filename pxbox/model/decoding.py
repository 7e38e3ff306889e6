"""From bytes that anybody may have sent to a typed input, or an error that says what to do.

What passes here can be kept: it is JSON in UTF-8, not too deep, without NUL or lone surrogates
(S9), and its integers fit 64 bits.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec

from pxbox.model.errors import (
    FieldError,
    InvalidRequest,
    MalformedJson,
    NumberOutOfRange,
    PxError,
    TooDeep,
    UnsupportedText,
)  # fmt: skip

T = TypeVar("T")

MAX_DEPTH = 64
_INTEGERS = range(-(2**63), 2**64)
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_decode_any = msgspec.json.Decoder().decode
_PATH = re.compile(r" - at `(key in )?\$(.*)`\Z", re.DOTALL)
_STEP = re.compile(r"\.([^.\[\]]+)|\[([0-9]+|\.\.\.)\]")


def decode_json(raw: bytes) -> Any:
    """The value that `raw` says. Raises MalformedJson, TooDeep, UnsupportedText, NumberOutOfRange.

    Source: RFC 8259; RFC 7493 (I-JSON) where it is silent.
    """
    try:
        value = _decode_any(raw)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise _malformed(raw, error) from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        check_depth(value)
    if b"\\u0000" in raw and _has_nul(value):
        raise UnsupportedText("NUL characters (\\u0000) cannot be kept; leave them out")
    if _LONG_NUMBER.search(raw) and _has_huge_integer(value):
        raise NumberOutOfRange("an integer does not fit 64 bits; send it as a string")
    return value


def decode_input(raw: bytes, type: type[T]) -> T:
    """`raw` as an operation's input. Raises what `decode_json` does, and InvalidRequest."""
    decode_json(raw)
    return decode_typed(raw, type)


def decode_typed(raw: bytes, type: type[T]) -> T:
    """A part of what `decode_json` has passed, as an input. Raises InvalidRequest."""
    try:
        return msgspec.json.decode(raw, type=type)
    except msgspec.ValidationError as error:
        raise invalid_input(error) from None


def convert_input(members: dict[str, Any], type: type[T]) -> T:
    """Texts, as a URL has them, as an operation's input. Raises InvalidRequest."""
    try:
        return msgspec.convert(members, type, strict=False)
    except msgspec.ValidationError as error:
        raise invalid_input(error) from None


def invalid_input(error: msgspec.ValidationError) -> InvalidRequest:
    """msgspec's error with its path as a JSON Pointer."""
    text = str(error)
    found = _PATH.search(text)
    pointer, message = "", text
    if found:
        message = text[: found.start()]
        steps = (name or index for name, index in _STEP.findall(found.group(2)))
        pointer = "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
    return InvalidRequest(
        f"{pointer or 'the document'}: {message}",
        errors=[FieldError(pointer, message, "type")],
    )


def check_depth(value: object) -> None:
    """Raise TooDeep where arrays and objects nest deeper than MAX_DEPTH."""
    level: list[object] = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return
    raise _too_deep()


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return [child for child in value.values() if isinstance(child, dict | list)]
    if isinstance(value, list):
        return [child for child in value if isinstance(child, dict | list)]
    return []


def _has_nul(value: object) -> bool:
    return any(isinstance(leaf, str) and "\0" in leaf for leaf in _leaves(value))


def _has_huge_integer(value: object) -> bool:
    return any(
        isinstance(leaf, int) and not isinstance(leaf, bool) and leaf not in _INTEGERS
        for leaf in _leaves(value)
    )


def _leaves(value: object) -> list[object]:
    """Every scalar in `value`, keys included; no recursion, whatever the depth."""
    found: list[object] = []
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as members:
                found.extend(members)
                waiting.extend(members.values())
            case list() as items:
                waiting.extend(items)
            case scalar:
                found.append(scalar)
    return found


def _too_deep() -> TooDeep:
    return TooDeep(f"nested deeper than {MAX_DEPTH} levels; flatten the document")


def _malformed(raw: bytes, error: Exception) -> PxError:
    if "out of range" in str(error):
        return NumberOutOfRange("a number does not fit a 64-bit float; send it as a string")
    if isinstance(error, msgspec.DecodeError) and _SURROGATE.search(raw):
        return UnsupportedText("a lone surrogate (\\ud800 to \\udfff) cannot be kept")
    if isinstance(error, UnicodeDecodeError):
        return MalformedJson("the document is not UTF-8")
    return MalformedJson(f"the document is not JSON: {error}")
