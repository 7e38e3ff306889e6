"""A value as it is kept: one spelling, one hash."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxbox.model.document import read_document

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text('aé\U0001f600\\"\n'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("ab"), inner),
)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b' { "b" : 1 , "a" : [ 1.50, "\\u00e9" ] } ', '{"b":1,"a":[1.5,"é"]}'.encode()),
        (b'{"a":1,"a":2}', b'{"a":2}'),
        (b"1e2", b"100.0"),
    ],
)
def test_it_is_kept_in_one_spelling(raw: bytes, text: bytes) -> None:
    assert read_document(raw).text == text


def test_the_hash_is_the_same_for_all_spellings_and_another_for_another_value() -> None:
    hashes = [read_document(raw).hash for raw in (b'{"a":1,"b":2}', b'{ "b":2,"a":1 }', b'{"a":1}')]
    assert hashes[0] == hashes[1] != hashes[2]


@given(JSON)
def test_what_is_kept_is_read_as_itself(value: object) -> None:
    first = read_document(msgspec.json.encode(value))
    assert first.value == value
    assert read_document(first.text) == first
