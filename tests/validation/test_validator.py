"""Admission and checking as the service has them: here where that is cheap, else in a process."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pxbox.domain.schema import AdmittedSchema
from pxbox.model.errors import FieldError
from pxbox.model.schema_errors import (
    InvalidSchema,
    SchemaTooCostly,
    SchemaTooLarge,
    UnresolvableRef,
    UnsupportedDialect,
)
from pxbox.validation.pool import ValidationPool
from pxbox.validation.validator import Validator
from tests.validation.workers import workers

FORM = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
TREE = {"properties": {"name": {"type": "string"}, "children": {"items": {"$ref": "#"}}}}
LARGE_FORM = {"properties": {f"p{i}": {"type": "string"} for i in range(900)}}


async def check(validator: Validator, schema: AdmittedSchema, value: Any) -> list[FieldError]:
    payload = msgspec.json.encode(value)
    return await validator.check(schema.hash, schema.canonical, payload, value)


async def test_ordinary_form_needs_no_process(pool: ValidationPool) -> None:
    validator = Validator(pool)
    schema = await validator.admit(msgspec.json.encode(FORM))
    assert await check(validator, schema, {"name": "Ann"}) == []
    assert await check(validator, schema, {}) == [FieldError("", '"name" is required', "required")]
    assert workers() == []


async def test_recursive_schema_is_checked_in_a_process(pool: ValidationPool) -> None:
    validator = Validator(pool)
    schema = await validator.admit(TREE)
    assert workers() == []
    assert await check(validator, schema, {"children": [{"name": 5}]}) == [
        FieldError("/children/0/name", "must be of type string", "type")
    ]
    assert len(workers()) == 1


async def test_large_schema_is_admitted_in_a_process_and_checked_here(
    pool: ValidationPool,
) -> None:
    validator = Validator(pool)
    schema = await validator.admit(LARGE_FORM)
    [worker] = workers()
    worker.kill()
    worker.wait()
    assert await check(validator, schema, {"p1": "a"}) == []
    assert workers() == []


async def test_large_value_is_checked_in_a_process(pool: ValidationPool) -> None:
    validator = Validator(pool)
    schema = await validator.admit({"items": {"type": "integer"}})
    assert await check(validator, schema, [1] * 100) == []
    assert workers() == []
    assert await check(validator, schema, [1] * 200_000) == []
    assert len(workers()) == 1


async def test_errors_are_listed_in_a_process_where_they_may_be_many(pool: ValidationPool) -> None:
    validator = Validator(pool)
    schema = await validator.admit({"items": {"type": "integer"}})
    assert await check(validator, schema, [1] * 20_000) == []
    assert workers() == []
    assert len(await check(validator, schema, ["a"] * 10_000)) == 100
    assert len(workers()) == 1


@pytest.mark.parametrize("schema", [FORM, TREE, LARGE_FORM, {"pattern": "^\\p{L}{1,40}$"}, True])
async def test_answer_is_checked_by_a_broker_that_did_not_admit_the_schema(
    pool: ValidationPool, schema: Any
) -> None:
    admitted = await Validator(pool).admit(schema)
    for value in ({"name": "Ann"}, "é", {"p1": 5}, {"name": 5}):
        here = await check(Validator(pool), admitted, value)
        assert here == await check(Validator(pool), admitted, value)
        assert here == await pool.check(admitted.canonical, msgspec.json.encode(value))


async def test_schema_is_admitted_once(pool: ValidationPool) -> None:
    validator = Validator(pool)
    first = await validator.admit(LARGE_FORM)
    [worker] = workers()
    worker.kill()
    worker.wait()
    assert await validator.admit(msgspec.json.encode(LARGE_FORM)) == first
    assert workers() == []


@pytest.mark.parametrize(
    ("schema", "error"),
    [
        ({"$ref": "#/gone"}, UnresolvableRef),
        ({"type": "text"}, InvalidSchema),
        ({**LARGE_FORM, "$ref": "#/gone"}, UnresolvableRef),
        ({"$schema": "urn:other"}, UnsupportedDialect),
        ({"enum": list(range(100_000))}, SchemaTooLarge),
    ],
)
async def test_schema_is_refused_once(
    pool: ValidationPool, schema: Any, error: type[Exception]
) -> None:
    validator = Validator(pool)
    with pytest.raises(error) as first:
        await validator.admit(schema)
    for worker in workers():
        worker.kill()
        worker.wait()
    with pytest.raises(error) as second:
        await validator.admit(schema)
    assert str(first.value) == str(second.value)
    assert workers() == []


async def test_schema_that_was_too_slow_is_tried_anew(pool: ValidationPool) -> None:
    validator = Validator(pool)
    slow = {"allOf": [{"pattern": f"\\p{{L}}{{1,{i}}}"} for i in range(10, 190)]}
    for _ in range(2):
        with pytest.raises(SchemaTooCostly):
            await validator.admit(slow)
        assert workers() == []
