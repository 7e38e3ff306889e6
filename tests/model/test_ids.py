"""Identifiers: ULIDs and UUIDs."""

from __future__ import annotations

import time
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pxbox.model.ids import as_uuid, is_ulid, new_ulid, new_uuid

CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def number(ulid: str) -> int:
    value = 0
    for digit in ulid:
        value = value * 32 + CROCKFORD.index(digit)
    return value


def test_a_ulid_holds_the_time_and_sorts_by_it() -> None:
    before = time.time_ns() // 1_000_000
    ulid = new_ulid()
    after = time.time_ns() // 1_000_000
    assert len(ulid) == 26
    assert before <= number(ulid) >> 80 <= after
    assert is_ulid(ulid)


def test_ulids_of_one_millisecond_differ() -> None:
    assert len({new_ulid() for _ in range(10_000)}) == 10_000


@settings(deadline=None)
@given(st.text(CROCKFORD, min_size=26, max_size=26))
def test_every_number_of_128_bits_is_a_ulid(text: str) -> None:
    assert is_ulid(text) == (number(text) < 2**128)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "01ARZ3NDEKTSV4RRFFQ69G5FA",
        "01ARZ3NDEKTSV4RRFFQ69G5FAVX",
        "01arz3ndektsv4rrffq69g5fav",
        "01ARZ3NDEKTSV4RRFFQ69G5FAI",
        "01ARZ3NDEKTSV4RRFFQ69G5FAU",
        "81ARZ3NDEKTSV4RRFFQ69G5FAV",
        "01ARZ3NDEKTSV4RRFFQ69G5FAV\n",
        " 01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "01ARZ3NDEKTSV4RRFFQ69G5FA١",
    ],
)
def test_what_is_no_ulid_is_told(text: str) -> None:
    assert not is_ulid(text)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_a_uuid_in_canonical_form_or_none(text: str) -> None:
    found = as_uuid(text)
    assert found is None or found == str(uuid.UUID(text))


def test_a_uuid_is_given_in_its_canonical_form() -> None:
    known = new_uuid()
    for form in (known, known.upper(), known.replace("-", "")):
        assert as_uuid(form) == known
    for other in (f"{{{known}}}", f"urn:uuid:{known}", known[:-1], f"{known}\n", ""):
        assert as_uuid(other) is None
