"""Schemas are admitted once, refusals included, and what is known of them is bounded."""

from __future__ import annotations

from typing import Any

import pytest

from pxbox.domain.schema import admit
from pxbox.domain.schema_cache import SchemaCache
from pxbox.domain.schema_document import Document, read_schema
from pxbox.model.schema_errors import InvalidSchema, UnresolvableRef


def document(number: int, **more: Any) -> Document:
    return read_schema({"title": f"Form {number}", **more})


def test_schema_is_compiled_once_per_content() -> None:
    cache = SchemaCache()
    first = cache.admit(document(1))
    assert cache.admit(document(1)) is first
    assert cache.get(document(1).hash) is first
    assert cache.get(document(2).hash) is None


def test_refusal_is_remembered_and_raised_anew() -> None:
    cache = SchemaCache()
    refused = document(1, **{"$ref": "#/gone"})
    with pytest.raises(UnresolvableRef) as first:
        cache.admit(refused)
    with pytest.raises(UnresolvableRef) as second:
        cache.get(refused.hash)
    with pytest.raises(UnresolvableRef) as third:
        cache.admit(refused)
    assert len({id(caught.value) for caught in (first, second, third)}) == 3
    assert first.value.errors == second.value.errors == third.value.errors != []
    assert first.value.detail == second.value.detail
    assert first.value.members == second.value.members


def test_least_recently_used_goes_first() -> None:
    cache = SchemaCache(max_entries=2)
    kept = cache.admit(document(1))
    cache.admit(document(2))
    cache.get(document(1).hash)
    cache.admit(document(3))
    assert cache.get(document(1).hash) is kept
    assert cache.get(document(2).hash) is None
    assert cache.get(document(3).hash) is not None


def test_weight_is_bounded_too() -> None:
    documents = [document(number, pattern="^a+$") for number in range(10, 20)]
    weight = SchemaCache().admit(documents[0]).weight_bytes
    cache = SchemaCache(max_weight_bytes=3 * weight)
    for each in documents:
        cache.admit(each)
    assert [each for each in documents if cache.get(each.hash)] == documents[-3:]


def test_weight_of_what_went_is_free_again() -> None:
    light, heavy = document(1), document(2, enum=list(range(2_000)))
    cache = SchemaCache(max_weight_bytes=SchemaCache().admit(heavy).weight_bytes)
    for _ in range(5):
        cache.admit(light)
        cache.admit(heavy)
    assert cache.get(heavy.hash) is not None


def test_refusals_are_forgotten_like_anything_else() -> None:
    cache = SchemaCache(max_entries=1)
    refused = document(1, type="text")
    cache.refuse(refused.hash, InvalidSchema("no"))
    cache.admit(document(2))
    assert cache.get(refused.hash) is None


def test_schema_admitted_elsewhere_gets_its_validator_here_if_that_is_quick() -> None:
    cache = SchemaCache()
    quick = document(1, minimum=3)
    kept = cache.keep(quick, admit(quick.canonical))
    assert kept.validator is not None
    assert kept.validator.is_valid(3)
    assert not kept.validator.is_valid(2)
    slow = document(2, pattern="\\p{L}{20}")
    assert cache.keep(slow, admit(slow.canonical)).validator is None
    assert cache.get(slow.hash) is not None
