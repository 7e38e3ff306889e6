"""Worker processes: what they find out, what ends them, and that another one takes over."""

from __future__ import annotations

import sys
from typing import Any

import msgspec
import psutil
import pytest
import trio

from pxbox.domain.answer_messages import UNLISTED
from pxbox.domain.schema import admit
from pxbox.model.errors import FieldError, InternalError, Overloaded
from pxbox.model.schema_errors import SchemaRefused, SchemaTooCostly
from pxbox.validation import pool as pool_module
from pxbox.validation.pool import ValidationPool, open_validation_pool
from tests.validation.workers import workers

NUMBER = admit({"type": "integer"}).canonical
# Each character may be where the match began: a thousand states, a million times.
SLOW = admit({"pattern": "[ab]*a[ab]{1000}c"}).canonical
SLOW_TEXT = msgspec.json.encode("".join("ab"[i * i % 7 % 2] for i in range(1_000_000)))
# Some MiB when compiled.
LARGE = {"pattern": "^\\p{L}{1,150}$"}


def json(value: Any) -> bytes:
    return msgspec.json.encode(value)


async def works(pool: ValidationPool) -> bool:
    return await pool.check(NUMBER, b"5") == [] and len(await pool.check(NUMBER, b'"a"')) == 1


async def test_value_is_judged_in_a_process_that_stays(pool: ValidationPool) -> None:
    assert await pool.check(NUMBER, b"5") == []
    [first] = workers()
    assert await pool.check(NUMBER, b'"a"') == [FieldError("", "must be of type integer", "type")]
    assert [worker.pid for worker in workers()] == [first.pid]


async def test_schema_is_admitted_in_a_process_as_it_is_here(pool: ValidationPool) -> None:
    for schema in (True, {"title": "A"}, {"items": {"$ref": "#"}}, {"pattern": "\\p{L}{40}"}):
        admitted = admit(schema)
        assert await pool.admit(admitted.canonical) == admitted


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "text", "minimum": "a"},
        {"pattern": "a(?=b)"},
        {"$schema": "http://json-schema.org/draft-04/schema#"},
        {"$ref": "https://elsewhere.example"},
        {"$ref": "#"},
        {"$defs": {f"d{i}": {"allOf": [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(27)}
         | {"d27": {}}},
    ],
)  # fmt: skip
async def test_refusal_comes_back_whole(pool: ValidationPool, schema: Any) -> None:
    with pytest.raises(SchemaRefused) as here:
        admit(schema)
    with pytest.raises(SchemaRefused) as there:
        await pool.admit(json(schema))
    assert type(there.value) is type(here.value)
    assert there.value.detail == here.value.detail
    assert there.value.errors == here.value.errors != []
    assert there.value.members == here.value.members


async def test_what_takes_too_long_is_ended_and_others_go_on(pool: ValidationPool) -> None:
    assert await works(pool)
    [slow] = workers()
    with pytest.raises(SchemaTooCostly):
        await pool.check(SLOW, SLOW_TEXT)
    assert not slow.is_running()
    assert await works(pool)


async def test_verdict_stands_where_listing_every_error_takes_too_much(
    pool: ValidationPool,
) -> None:
    schema = admit({"items": {"enum": [f"option {i}" for i in range(3_000)]}})
    found = await pool.check(schema.canonical, json([1] * 500_000))
    [error] = found
    assert error in (UNLISTED, FieldError("/0", error.message, "enum"))
    assert await works(pool)


async def test_process_that_has_grown_is_replaced(pool: ValidationPool) -> None:
    assert await works(pool)
    [before] = workers()
    for number in range(16):
        await pool.check(admit({"title": str(number), **LARGE}).canonical, b"5")
    assert await works(pool)
    assert before.pid not in {worker.pid for worker in workers()}


async def test_caller_that_gives_up_takes_the_process_along(pool: ValidationPool) -> None:
    assert await works(pool)
    [busy] = workers()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(pool.check, SLOW, SLOW_TEXT)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert not busy.is_running()
    assert await works(pool)


async def test_process_that_died_meanwhile_is_replaced(pool: ValidationPool) -> None:
    assert await works(pool)
    [idle] = workers()
    idle.kill()
    while idle.is_running() and idle.status() != psutil.STATUS_ZOMBIE:
        await trio.lowlevel.checkpoint()
    assert await works(pool)


async def test_there_are_two_processes_at_most(pool: ValidationPool) -> None:
    most = 0

    async def judge() -> None:
        nonlocal most
        for _ in range(5):
            assert await works(pool)
            most = max(most, len(workers()))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(judge)
    assert most == 2


async def test_too_many_waiting_are_turned_away_at_once(pool: ValidationPool) -> None:
    assert await works(pool)
    async with trio.open_nursery() as nursery:
        for _ in range(2 + 64):
            nursery.start_soon(pool.check, SLOW, SLOW_TEXT)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Overloaded):
            await pool.check(NUMBER, b"5")
        nursery.cancel_scope.cancel()
    assert await works(pool)


async def test_nobody_waits_for_long(pool: ValidationPool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await works(pool)
    monkeypatch.setattr(pool_module, "_QUEUE_SECONDS", 0.01)
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(pool.check, SLOW, SLOW_TEXT)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Overloaded):
            await pool.check(NUMBER, b"5")
        nursery.cancel_scope.cancel()


async def test_process_that_does_not_start_is_a_fault_of_the_broker(
    pool: ValidationPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "_COMMAND", (sys.executable, "-c", "pass"))
    with pytest.raises(InternalError):
        await pool.check(NUMBER, b"5")


async def test_process_is_given_no_secrets(
    pool: ValidationPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PXBOX_SECRET", "do not tell")
    assert await works(pool)
    [worker] = workers()
    assert "PXBOX_SECRET" not in worker.environ()


async def test_processes_end_with_the_pool() -> None:
    async with open_validation_pool() as pool:
        assert await works(pool)
        [worker] = workers()
    assert not worker.is_running()
    assert workers() == []
