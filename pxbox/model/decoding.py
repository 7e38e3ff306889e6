"""From bytes that anybody may have sent to a typed input, or an error that says what to do.

What passes here can be kept: it is JSON in UTF-8, not too deep, without NUL or lone surrogates
(S9), and its integers fit 64 bits.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from itertools import accumulate
from typing import Any, TypeVar

import msgspec
from msgspec import Raw

from pxbox.model.errors import (
    FieldError,
    InvalidRequest,
    MalformedJson,
    NumberOutOfRange,
    PayloadTooLarge,
    PxError,
    TooDeep,
    UnsupportedText,
)  # fmt: skip

T = TypeVar("T")

MAX_DEPTH = 64
DECODED_BYTES = 1024 * 1024
"""What is read here at once; of a longer document only the frame around its large members is."""
_INTEGERS = range(-(2**63), 2**64)
_DIGITS_AS_ZERO = bytes(0x30 if 0x30 <= byte <= 0x39 else 0x20 for byte in range(256))
_LONG_NUMBER = b"0" * 19
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_LONG_INTEGER = re.compile(rb"(?<![0-9.eE+-])-?[0-9]{19,}(?![0-9.eE])")
_QUOTED = re.compile(rb'"[^"]*"')
_NOT_NESTING = bytes(set(range(256)) - set(b'[]{}"'))
_SQUARE = bytes.maketrans(b"{}", b"[]")
_STEPS = bytes.maketrans(b"[]", b"\x01\xff")  # as signed bytes: one down, one up
_LEVELS_AT_ONCE = 3
# What an error repeats of what was sent is cut to this many characters.
_MOST_MESSAGE = 300
_decode_any = msgspec.json.Decoder().decode
_PATH = re.compile(r"(.*) - at `(?:key in )?\$([^`]*)`\Z", re.DOTALL)
# A member of an object of any keys is only `[...]` there: the pointer ends before it.
_DATE = re.compile(r"[0-9]{4}-")
_STEP = re.compile(r"\.([^.\[\]]+)|\[([0-9]+)\]")


def decode_json(raw: bytes) -> Any:
    """The value that `raw` says. Raises MalformedJson, TooDeep, UnsupportedText, NumberOutOfRange.

    A mebibyte of whatever takes some tens of milliseconds at most (X4): beyond decoding it takes
    few passes over the bytes, and expressions, in linear time, only where something looks
    suspicious.
    Source: RFC 8259; RFC 7493 (I-JSON) where it is silent.
    """
    try:
        value = _decode_any(raw)
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as error:
        raise _malformed(raw, error) from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        _check_depth(raw)
    if b"\\u0000" in raw and _NUL.search(raw):
        raise _nul()
    if _LONG_NUMBER in raw.translate(_DIGITS_AS_ZERO) and _has_huge_integer(raw):
        raise NumberOutOfRange("an integer does not fit 64 bits; send it as a string")
    return value


def decode_input(raw: bytes, type: type[T], large: Collection[str] = ()) -> T:
    """`raw` as an operation's input. Raises what `check_object` does."""
    check_object(raw, large)
    return decode_typed(raw, type)


def check_object(raw: bytes, large: Collection[str] = ()) -> Collection[str]:
    """Check that `raw` is an object that can be an operation's input; return its members' names.

    In one of more than DECODED_BYTES the members in `large` are left unread, as the `Raw` that
    their type is: whoever uses them reads them by themselves. Raises what `decode_json` does,
    InvalidRequest where it is no object, and PayloadTooLarge where what remains is too long.
    """
    if len(raw) <= DECODED_BYTES:
        members = decode_json(raw)
        if not isinstance(members, dict):
            raise _not_an_object()
        return members.keys()
    try:
        found = msgspec.json.decode(raw, type=dict[str, Raw])
    except msgspec.ValidationError:
        raise _not_an_object() from None
    except RecursionError:
        raise _too_deep() from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _malformed(raw, error) from None
    # By what is left, not by what was found: of a member that is repeated only the last one was.
    left = len(raw) - sum(len(bytes(found[name])) for name in large if name in found)
    if left > DECODED_BYTES:
        beside = f" beside {' and '.join(f'`{name}`' for name in large)}" if large else ""
        raise PayloadTooLarge(f"a document has at most {DECODED_BYTES:,} bytes{beside}")
    decode_json(msgspec.json.encode({k: v for k, v in found.items() if k not in large}))
    return found.keys()


def decode_typed(raw: bytes, type: type[T]) -> T:
    """A part of what `decode_json` has passed, as an input. Raises InvalidRequest."""
    try:
        return msgspec.json.decode(raw, type=type)
    except msgspec.ValidationError as error:
        raise invalid_input(error) from None


def convert_input(members: dict[str, str], type: type[T]) -> T:
    """Texts, as a URL has them, as an operation's input. Raises UnsupportedText, InvalidRequest."""
    for text in members.values():
        if isinstance(text, str) and "\0" in text:
            raise _nul()
    try:
        value = msgspec.convert(members, type, strict=False)
    except msgspec.ValidationError as error:
        raise invalid_input(error) from None
    if isinstance(value, msgspec.Struct):
        _refuse_leniency(members, value)
    return value


def _refuse_leniency(members: dict[str, str], value: msgspec.Struct) -> None:
    """Raise InvalidRequest where msgspec took a text for more than the contract does: `null` for
    nothing at all, and a number for the seconds since 1970."""
    for place in msgspec.structs.fields(value):
        text = members.get(place.encode_name)
        read = getattr(value, place.name)
        if text is None:
            continue
        if read is None:
            why = "leave it out to say nothing"
        elif isinstance(read, datetime) and not _DATE.match(text):
            why = "expected a time such as 2031-01-31T12:00:00Z"
        else:
            continue
        pointer, message = f"/{place.encode_name}", f"got {text[:64]!r}; {why}"
        raise InvalidRequest(f"{pointer}: {message}", errors=[FieldError(pointer, message, "type")])


def invalid_input(error: msgspec.ValidationError) -> InvalidRequest:
    """msgspec's error with its path as a JSON Pointer."""
    text = str(error)
    found = _PATH.match(text)
    pointer, message = "", text
    if found:
        message, path = found.groups()
        steps = (name or index for name, index in _STEP.findall(path.partition("[...]")[0]))
        pointer = "".join(f"/{step.replace('~', '~0').replace('/', '~1')}" for step in steps)
    if len(message) > _MOST_MESSAGE:
        message = f"{message[:_MOST_MESSAGE]}..."
    return InvalidRequest(
        f"{pointer or 'the document'}: {message}",
        errors=[FieldError(pointer, message, "type")],
    )


def _check_depth(raw: bytes) -> None:
    """Raise TooDeep where the arrays and objects of this JSON nest deeper than MAX_DEPTH."""
    if b"\\" in raw:
        raw = raw.replace(b"\\\\", b"").replace(b'\\"', b"")
    # What is inside quotes goes; two that meet open and close nothing, whichever they were.
    nesting = raw.translate(None, _NOT_NESTING).replace(b'""', b"")
    if b'"' in nesting:
        nesting = _QUOTED.sub(b"", nesting)
    nesting = nesting.translate(_SQUARE)
    for _ in range(_LEVELS_AT_ONCE):
        # Takes the innermost level away everywhere: most of what is there, in most documents.
        nesting = nesting.replace(b"[]", b"")
    steps = memoryview(nesting.translate(_STEPS)).cast("b")
    if max(accumulate(steps), default=0) > MAX_DEPTH - _LEVELS_AT_ONCE:
        raise _too_deep()


def _has_huge_integer(raw: bytes) -> bool:
    # Most such digits stand in strings or fit; only what is neither is worth taking strings out.
    return _huge_digits(raw) and _huge_digits(_STRING.sub(b'""', raw))


def _huge_digits(text: bytes) -> bool:
    found = (match.group() for match in _LONG_INTEGER.finditer(text))
    return any(len(digits) > 20 or int(digits) not in _INTEGERS for digits in found)


def _not_an_object() -> InvalidRequest:
    message = "must be a JSON object"
    return InvalidRequest(f"the document {message}", errors=[FieldError("", message, "type")])


def _nul() -> UnsupportedText:
    return UnsupportedText("NUL characters (\\u0000) cannot be kept; leave them out")


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
