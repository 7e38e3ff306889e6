"""What a schema is reckoned to cost, and where it is checked because of that (X4)."""

from __future__ import annotations

from typing import Any

import pytest

from pxbox.domain.answer import Plan, plan_listing, plan_verdict
from pxbox.domain.dialect import META_SCHEMAS, Draft
from pxbox.domain.schema import admit, compiles_quickly, is_light
from pxbox.domain.schema_cost import UNBOUNDED, Cost
from pxbox.domain.schema_document import read_schema
from pxbox.model.schema_errors import UnsupportedDialect

FORM = {
    "type": "object",
    "required": ["name", "mail", "lines"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 80},
        "mail": {"type": "string", "format": "email"},
        "code": {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"},
        "land": {"enum": [f"L{i}" for i in range(250)]},
        "lines": {
            "type": "array",
            "maxItems": 20,
            "items": {
                "type": "object",
                "required": ["sku", "count"],
                "properties": {
                    "sku": {"type": "string"},
                    "count": {"type": "integer", "minimum": 1},
                    "price": {"type": "number", "multipleOf": 0.01},
                },
            },
        },
        "home": {"$ref": "#/$defs/address"},
        "work": {"$ref": "#/$defs/address"},
    },
    "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}}}},
}


def cost(schema: Any) -> Cost:
    return admit(schema).cost


def light(schema: Any) -> bool:
    return is_light(read_schema(schema))


def test_ordinary_form_is_admitted_and_checked_in_the_broker() -> None:
    assert light(FORM)
    assert plan_verdict(cost(FORM), 2_000) is Plan.INLINE
    assert plan_listing(cost(FORM), 200) is Plan.INLINE


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"next": {"$ref": "#"}}},
        {"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"items": {"$ref": "#"}}}},
        {"$dynamicAnchor": "node", "items": {"$dynamicRef": "#node"}},
        {"$schema": META_SCHEMAS[Draft.D2019_09], "items": {"$recursiveRef": "#"}},
        {"$ref": META_SCHEMAS[Draft.D2020_12]},
        {"properties": {"schema": {"$ref": META_SCHEMAS[Draft.D7]}}},
        {"pattern": "^\\p{L}{1,40}$"},
        {"patternProperties": {"^\\p{L}{1,40}$": True}},
    ],
)
def test_what_has_no_bound_is_never_checked_in_the_broker(schema: Any) -> None:
    assert cost(schema) == UNBOUNDED
    assert plan_verdict(cost(schema), 0) is Plan.PROCESS
    assert plan_listing(cost(schema), 0) is Plan.PROCESS


@pytest.mark.parametrize(
    ("schema", "payload_bytes", "plan"),
    [
        (True, 1 << 20, Plan.PROCESS),
        (True, 1 << 19, Plan.INLINE),
        ({"items": {"type": "integer"}}, 100_000, Plan.INLINE),
        ({"items": {"type": "integer"}}, 1 << 20, Plan.PROCESS),
        ({"uniqueItems": True}, 1 << 20, Plan.PROCESS),
        ({"items": {"multipleOf": 0.01}}, 100, Plan.INLINE),
        ({"items": {"multipleOf": 0.01}}, 10_000, Plan.PROCESS),
        ({"pattern": "^[a-z]+$"}, 10_000, Plan.INLINE),
        ({"pattern": "^[a-z]+$"}, 1 << 20, Plan.PROCESS),
        ({"pattern": "[ab]*a[ab]{500}c"}, 10_000, Plan.PROCESS),
        ({"enum": list(range(5_000))}, 10_000, Plan.INLINE),
        ({"items": {"enum": list(range(5_000))}}, 10_000, Plan.PROCESS),
        ({"required": [f"p{i}" for i in range(3_000)]}, 1_000, Plan.INLINE),
        ({"items": {"required": [f"p{i}" for i in range(3_000)]}}, 1_000, Plan.PROCESS),
        ({"items": {"anyOf": [{"const": i} for i in range(2_000)]}}, 1_000, Plan.PROCESS),
        ({"patternProperties": {f"^p{i}": True for i in range(1_000)}}, 1_000, Plan.PROCESS),
    ],
)
def test_verdict_is_given_where_schema_and_size_of_the_value_say(
    schema: Any, payload_bytes: int, plan: Plan
) -> None:
    assert plan_verdict(cost(schema), payload_bytes) is plan


def test_listing_errors_costs_more_than_the_verdict() -> None:
    of_items = cost({"items": {"type": "integer"}})
    assert plan_verdict(of_items, 50_000) is Plan.INLINE
    assert plan_listing(of_items, 50_000) is Plan.PROCESS


def test_unevaluated_keywords_cost_what_they_look_through() -> None:
    alternatives = {"anyOf": [{"anyOf": [{"anyOf": [{"minProperties": 1}]}]}]}
    plain, looking = cost(alternatives), cost({**alternatives, "unevaluatedProperties": False})
    assert looking.verdict.fixed > 3 * plain.verdict.fixed


@pytest.mark.parametrize(
    ("schema", "is_so"),
    [
        (FORM, True),
        ({"properties": {f"p{i}": {"type": "string"} for i in range(350)}}, True),
        ({"properties": {f"p{i}": {"type": "string"} for i in range(500)}}, False),
        ({"enum": list(range(2_900))}, True),
        ({"enum": list(range(4_000))}, False),
        ({"pattern": "a{900}"}, True),
        ({"pattern": "\\p{L}{10}"}, False),
        ({"pattern": "a" * 1_500}, False),
        ({"anyOf": [{"pattern": f"^a{{{i}}}$"} for i in range(32)]}, True),
        ({"anyOf": [{"pattern": f"^a{{{i}}}$"} for i in range(33)]}, False),
        ({"default": {"pattern": "\\p{L}{10}"}}, False),
        ({"$defs": {f"d{i}": {"$id": f"urn:d{i}"} for i in range(32)}}, True),
        ({"$defs": {f"d{i}": {"$id": f"urn:d{i}"} for i in range(33)}}, False),
        ({"$id": "urn:" + "a" * 5_000}, False),
        ({"allOf": [{"properties": {"a": True}}], "unevaluatedProperties": False}, True),
        ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {}}, "unevaluatedProperties": False},
         False),
        ({"unevaluatedItems": False, "allOf": [{} for _ in range(100)]}, False),
        ({"type": "text"}, False),
    ],
)  # fmt: skip
def test_only_light_schemas_are_admitted_in_the_broker(schema: Any, is_so: bool) -> None:
    assert light(schema) is is_so


def test_other_dialect_has_no_weight() -> None:
    with pytest.raises(UnsupportedDialect):
        light({"$schema": "http://json-schema.org/draft-04/schema#"})


def test_large_schema_of_plain_keywords_is_still_compiled_in_the_broker() -> None:
    document = read_schema({"properties": {f"p{i}": {"type": "string"} for i in range(1_500)}})
    assert not is_light(document)
    assert compiles_quickly(document)
