"""Schemas and values at random, through the broker and through Python's jsonschema."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pxbox.domain.dialect import Draft
from pxbox.model.errors import PxError
from pxbox.model.schema_errors import SchemaRefused
from tests.conformance.differences import DISAGREEMENTS, Disagreement
from tests.conformance.oracle import broker_accepts, broker_compiles, oracle_accepts
from tests.conformance.strategies import schemas, values

GENERATED = settings(
    max_examples=100,
    deadline=None,
    # Schemas are large examples, and a tenth of them refer to themselves without end.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@pytest.mark.parametrize("draft", Draft)
@GENERATED
@given(data=st.data())
def test_broker_and_oracle_agree(draft: Draft, data: st.DataObject) -> None:
    schema = data.draw(schemas(draft))
    try:
        compiled = broker_compiles(schema, draft)
    except SchemaRefused:
        assume(False)
    for value in data.draw(st.lists(values(), min_size=1, max_size=4)):
        expected = oracle_accepts(schema, value, draft)
        assert broker_accepts(compiled, value) is expected, (schema, value)


@pytest.mark.parametrize("known", DISAGREEMENTS, ids=lambda known: known.reason[:40])
def test_known_disagreement_is_still_one(known: Disagreement) -> None:
    oracle: bool | None
    try:
        oracle = oracle_accepts(known.schema, known.value, known.draft)
    except Exception:
        oracle = None
    broker = broker_accepts(broker_compiles(known.schema, known.draft), known.value)
    assert (broker, oracle) == (known.broker, known.oracle)
    assert broker != oracle


KEYWORDS = st.sampled_from([
    "$ref", "$id", "$schema", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$defs",
    "definitions", "properties", "items", "allOf", "anyOf", "not", "type", "enum", "required",
    "pattern", "patternProperties", "dependencies", "unevaluatedProperties", "multipleOf", "x",
])  # fmt: skip
TEXTS = st.sampled_from([
    "", "#", "#/", "#/x", "#/allOf/0", "#/allOf/x", "#a", "a", "http://[", "http://a/b#c", "urn:x",
    "%", "#/%zz", "(", "(?=a)", "[a", "string", "https://json-schema.org/draft/2020-12/schema",
    "http://json-schema.org/draft-07/schema#",
])  # fmt: skip


def anything() -> st.SearchStrategy[Any]:
    leaves = st.one_of(TEXTS, st.booleans(), st.integers(-1, 2), st.none(), st.floats())
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS, inner, max_size=4),
        max_leaves=10,
    )


@settings(max_examples=300, deadline=None)
@given(schema=anything())
def test_whatever_comes_as_a_schema_is_admitted_or_refused(schema: Any) -> None:
    for draft in Draft:
        with suppress(PxError):
            broker_accepts(broker_compiles(schema, draft), {"x": [1, "a", None]})
