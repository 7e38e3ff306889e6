"""From bytes that anybody may have sent to a value, or to an error that says what to do (S9)."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pxbox.model import wire
from pxbox.model.decoding import (
    DECODED_BYTES,
    MAX_DEPTH,
    check_object,
    convert_input,
    decode_input,
    decode_json,
    decode_typed,
)
from pxbox.model.errors import (
    InvalidRequest,
    MalformedJson,
    NumberOutOfRange,
    PayloadTooLarge,
    PxError,
    TooDeep,
    UnsupportedText,
)

NESTED = MAX_DEPTH
INT64 = -(2**63)
UINT64 = 2**64 - 1


def arrays(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def objects(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"null", None),
        (b' {"a" : [1, 2.5, "x", true]} ', {"a": [1, 2.5, "x", True]}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b'"\\u00e9"', "é"),
        (b'"\\\\u0000"', "\\u0000"),
        (b'"\\\\\\\\u0000"', "\\\\u0000"),
        (b'"\\u0001"', "\x01"),
        (str(INT64).encode(), INT64),
        (str(UINT64).encode(), UINT64),
        (b'"99999999999999999999"', "99999999999999999999"),
        (b"99999999999999999999.5", 99999999999999999999.5),
        (b"1e308", 1e308),
        (b"1e-999", 0.0),
    ],
)
def test_what_can_be_kept_is_read(raw: bytes, value: object) -> None:
    assert decode_json(raw) == value


@pytest.mark.parametrize("nested", [arrays(NESTED), objects(NESTED)])
def test_the_deepest_nesting_allowed_is_read(nested: bytes) -> None:
    decode_json(nested)


def test_what_is_broad_is_not_deep() -> None:
    assert len(decode_json(b"[" + b",".join([b"[[]]"] * 500) + b"]")) == 500


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", MalformedJson),
        (b"   ", MalformedJson),
        (b"nul", MalformedJson),
        (b"NaN", MalformedJson),
        (b"[NaN]", MalformedJson),
        (b"Infinity", MalformedJson),
        (b"-Infinity", MalformedJson),
        (b"[1,]", MalformedJson),
        (b'{"a":1}}', MalformedJson),
        (b"01", MalformedJson),
        (b"'a'", MalformedJson),
        (b'{"a"', MalformedJson),
        (b"{1:2}", MalformedJson),
        (b'"a\tb"', MalformedJson),
        (b'"a\x00b"', MalformedJson),
        (b"\xef\xbb\xbf{}", MalformedJson),
        (b'"\xff"', MalformedJson),
        (b'"\xed\xa0\x80"', MalformedJson),
        (b'"\xc0\xaf"', MalformedJson),
        (b'"\xf4\x90\x80\x80"', MalformedJson),
        (b'"\\ud800"', UnsupportedText),
        (b'"\\uDFFF"', UnsupportedText),
        (b'"\\ud800\\u0041"', UnsupportedText),
        (b'{"\\udc00":1}', UnsupportedText),
        (b'"\\u0000"', UnsupportedText),
        (b'{"\\u0000":1}', UnsupportedText),
        (b'["a",{"b":"c\\u0000"}]', UnsupportedText),
        (b'"\\\\\\u0000"', UnsupportedText),
        (b'"\\\\u0000\\u0000"', UnsupportedText),
        (b'{"a":"\\u0000","a":1}', UnsupportedText),
        (str(UINT64 + 1).encode(), NumberOutOfRange),
        (str(INT64 - 1).encode(), NumberOutOfRange),
        (b'{"a":[123456789012345678901234567890]}', NumberOutOfRange),
        (b"1" * 5000, NumberOutOfRange),
        (b"1e309", NumberOutOfRange),
        (b"-1e309", NumberOutOfRange),
        (b"1e99999999999999999999", NumberOutOfRange),
        (arrays(NESTED + 1), TooDeep),
        (objects(NESTED + 1), TooDeep),
        (arrays(900), TooDeep),
        (b"[" * 200_000 + b"]" * 200_000, TooDeep),
        (objects(100_000), TooDeep),
    ],
)
def test_what_cannot_be_kept_is_refused(raw: bytes, error: type[PxError]) -> None:
    with pytest.raises(PxError) as refusal:
        decode_json(raw)
    assert type(refusal.value) is error
    assert refusal.value.detail


scalars = (
    st.none()
    | st.booleans()
    | st.integers(INT64, UINT64)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=30,
)


def storable(value: object) -> bool:
    """Whether `value` is one that decode_json passes, said in another way."""
    match value:
        case str():
            return "\0" not in value and not any("\ud800" <= c <= "\udfff" for c in value)
        case bool() | None:
            return True
        case int():
            return INT64 <= value <= UINT64
        case float():
            return math.isfinite(value)
        case list():
            return all(map(storable, value))
        case dict():
            return all(map(storable, [*value, *value.values()]))
    raise AssertionError(value)


@settings(deadline=None)
@given(values)
@example({"a": "\0"})
@example([UINT64 + 1])
@example("\ud800")
@example({"\\u0000": "\\\\u0000"})
def test_every_json_value_round_trips_or_is_refused(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, indent=1, ensure_ascii=False)):
        raw = text.encode("utf-8", "surrogatepass")
        if storable(value):
            assert decode_json(raw) == value
            assert decode_json(msgspec.json.encode(decode_json(raw))) == value
        else:
            with pytest.raises((UnsupportedText, NumberOutOfRange, MalformedJson)):
                decode_json(raw)


json_like = st.lists(
    st.sampled_from(
        [*b'{}[]":,\\1-.a \x00\xff', b"\\u0000", b"\\ud800", b"1e999", b"null", b"NaN", b"9" * 25]
    ),
    max_size=40,
).map(lambda parts: b"".join(bytes([part]) if isinstance(part, int) else part for part in parts))


@settings(deadline=None)
@given(st.binary(max_size=60) | json_like)
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        value = decode_json(raw)
    except PxError:
        return
    assert storable(value)


members = st.dictionaries(
    st.sampled_from(
        [
            "schema",
            "to",
            "entity",
            "id",
            "handle",
            "deadlineAt",
            "attentionAt",
            "claimTtl",
            "claimRequired",
            "meta",
            "kind",
            "aliases",
            "limit",
            "sortBy",
            "cursor",
            "flowId",
        ]
    ),
    values | st.datetimes().map(lambda time: f"{time.isoformat()}-23:59"),
).map(json.dumps)


@settings(deadline=None)
@given(members.map(str.encode) | json_like)
def test_any_bytes_are_an_input_or_refused(raw: bytes) -> None:
    for operation in (wire.CreateRequest, wire.ListInquiries, wire.CreateEntity, wire.GetRequest):
        try:
            decode_input(raw, operation)
        except PxError as error:
            pointers = [found.pointer for found in error.errors]
            if not all(pointer == "" or pointer.startswith("/") for pointer in pointers):
                raise AssertionError(pointers) from error


FILL = "x" * DECODED_BYTES
ID = "x" * 26


def body(**members: object) -> bytes:
    return msgspec.json.encode(members)


def test_a_large_member_is_left_unread_and_all_else_is_read() -> None:
    """X4: what is left is read by who uses it, elsewhere."""
    raw = body(id=ID, payload=[FILL, "\0"])
    assert set(check_object(raw, ("payload",))) == {"id", "payload"}
    read = decode_input(raw, wire.PostResponse, ("payload",))
    assert bytes(read.payload) == msgspec.json.encode([FILL, "\0"])


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (body(id=ID, payload=1, files=FILL), PayloadTooLarge),
        (body(id=FILL, payload=FILL), PayloadTooLarge),
        (b'{"payload":"%b","payload":1}' % FILL.encode(), PayloadTooLarge),
        (body(id="\0", payload=FILL), UnsupportedText),
        (b'{"id":"\\ud800","payload":"%b"}' % FILL.encode(), UnsupportedText),
        (b'{"id":%b,"payload":"%b"}' % (arrays(NESTED), FILL.encode()), TooDeep),
        (b'{"id":99999999999999999999,"payload":"%b"}' % FILL.encode(), NumberOutOfRange),
        (b'["%b"]' % FILL.encode(), InvalidRequest),
        (b'"%b"' % FILL.encode(), InvalidRequest),
        (b'{"payload":"%b"' % FILL.encode(), MalformedJson),
        (b'{"payload":"%b"}}' % FILL.encode(), MalformedJson),
        (b'{"payload":"%b",}' % FILL.encode(), MalformedJson),
        (b'{"id":1,"payload":"%b"}' % FILL.encode(), InvalidRequest),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_what_stands_beside_a_large_member_is_held_to_the_same_rules(
    raw: bytes, error: type[PxError]
) -> None:
    with pytest.raises(error):
        decode_input(raw, wire.PostResponse, ("payload",))


class Inner(wire.Input):
    count: int = 0
    names: list[str] = msgspec.field(default_factory=list)


class Outer(wire.Input):
    inner_list: list[Inner] = msgspec.field(default_factory=list)
    by_name: dict[str, list[int]] = msgspec.field(default_factory=dict)
    one: Inner | None = None


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        (b"[]", ""),
        (b'"x"', ""),
        (b'{"unknown":1}', ""),
        (b'{"innerList":1}', "/innerList"),
        (b'{"innerList":[{},{"count":"x"}]}', "/innerList/1/count"),
        (b'{"innerList":[{"names":["a","b",3]}]}', "/innerList/0/names/2"),
        (b'{"innerList":[{"other":1}]}', "/innerList/0"),
        (b'{"one":{"count":1.5}}', "/one/count"),
        # Which member it was is not known: the object that holds it is as near as it gets.
        (b'{"byName":{"a.b":["x"]}}', "/byName"),
        (b'{"byName":{"a":1}}', "/byName"),
        (b'{"odd - at `$.one`":1}', ""),
    ],
)
def test_what_is_wrong_is_located(raw: bytes, pointer: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        decode_input(raw, Outer)
    (error,) = refusal.value.errors
    assert error.pointer == pointer


def test_an_error_does_not_give_back_all_that_was_sent() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        decode_input(b'{"%s":1}' % (b"x" * 500_000), wire.GetRequest)
    assert len(refusal.value.detail) < 1_000


def test_a_part_of_what_was_read_is_held_to_its_type() -> None:
    assert decode_typed(b'{"count":3}', Inner).count == 3
    with pytest.raises(InvalidRequest):
        decode_typed(b'{"count":"3"}', Inner)


def test_texts_of_a_url_are_read_as_what_they_say() -> None:
    input = convert_input({"limit": "20", "sort_by": "created"}, _Query)
    assert (input.limit, input.sort_by) == (20, "created")
    with pytest.raises(InvalidRequest) as refusal:
        convert_input({"limit": "many"}, _Query)
    assert refusal.value.errors[0].pointer == "/limit"


def test_texts_of_a_url_hold_no_nul() -> None:
    with pytest.raises(UnsupportedText):
        convert_input({"sort_by": "a\0b"}, _Query)


class _Query(msgspec.Struct):
    limit: int = 50
    sort_by: str = ""


@pytest.mark.parametrize(
    "members",
    [{"unread": "null"}, {"unread": "Null"}, {"dueBefore": "0.5"}, {"dueBefore": "1795454834"}],
)
def test_a_text_of_a_url_is_taken_for_no_more_than_it_says(members: dict[str, str]) -> None:
    (name,) = members
    with pytest.raises(InvalidRequest) as refused:
        convert_input(members, wire.ListInquiries)
    assert [error.pointer for error in refused.value.errors] == [f"/{name}"]


def test_texts_of_a_url_that_say_null_where_texts_are_wanted_are_texts() -> None:
    assert convert_input({"q": "null", "tag": "1"}, wire.ListInquiries).q == "null"
