"""Gives the broker's validator everything that is meant to hold it up, and reports how it went.

Run as a process of its own, `python -m tests.validation.hostile`, so that a test can end it. Prints
one JSON object: the outcome of each attempt, and the longest time that the event loop was held, in
CPU time of its thread, which other load on the machine does not add to.
"""

from __future__ import annotations

import gc
import math
import random
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import msgspec
import trio

from pxbox.domain.dialect import META_SCHEMAS, Draft
from pxbox.model.errors import PxError
from pxbox.validation.pool import open_validation_pool
from pxbox.validation.validator import Validator

MIB = 1 << 20
D7, D2020 = META_SCHEMAS[Draft.D7], META_SCHEMAS[Draft.D2020_12]


def chained(links: int, link: Callable[[str], Any], last: Any = None) -> dict[str, Any]:
    definitions = {f"d{i}": link(f"#/$defs/d{i + 1}") for i in range(links)}
    return {"$ref": "#/$defs/d0", "$defs": {**definitions, f"d{links}": last or {"type": "string"}}}


def nested(levels: int, wrap: Callable[[Any], Any], leaf: Any) -> Any:
    for _ in range(levels):
        leaf = wrap(leaf)
    return leaf


def filled(item: Callable[[int], Any], size_bytes: int = MIB) -> list[Any]:
    """An array of about this size in JSON."""
    each = len(msgspec.json.encode(item(10**6))) + 1
    return [item(i) for i in range(size_bytes // each)]


def noise(size: int) -> str:
    choose = random.Random(1)
    return "".join(choose.choices("ab", k=size))


DEEP = nested(60, lambda inner: [inner], 1)
TREE = {"type": ["object", "array", "string"], "items": {"$ref": "#"},
        "additionalProperties": {"$ref": "#"}}  # fmt: skip

ATTEMPTS: dict[str, tuple[Any, Any]] = {
    # Patterns.
    "pattern that backtracks": ({"pattern": "^(a+)+$"}, "a" * MIB + "!"),
    "pattern with many states": ({"pattern": "[ab]*a[ab]{900}c"}, noise(MIB)),
    "pattern with states to remember": ({"pattern": "[ab]*a[ab]{15}c"}, noise(MIB)),
    "pattern that repeats repeats": ({"pattern": "((a{100}){100}){100}"}, "a"),
    "pattern of all letters": ({"pattern": "^\\p{L}{1,190}$"}, "é" * 100),
    "many patterns of all letters": (
        {"allOf": [{"pattern": f"\\p{{L}}{{1,{i}}}"} for i in range(10, 190)]}, "é"),
    "patterns as many as there is room": (
        {"anyOf": [{"pattern": f"a{{{i}}}"} for i in range(900)]}, "b" * 100_000),
    "long pattern": ({"pattern": "a?" * 30_000}, "a"),
    "long pattern of alternatives": ({"pattern": "|".join(f"w{i}" for i in range(8_000))}, "w1"),
    "patterns for names": (
        {"patternProperties": {f"^[ab]*{i}$": True for i in range(1_500)}},
        {f"{noise(8)}{i}": 1 for i in range(40_000)}),
    "look-around": ({"pattern": "(?=(a+)+$)"}, "a" * 100),
    # References.
    "doubled references": (
        chained(27, lambda ref: {"allOf": [{"$ref": ref}, {"$ref": ref}]}), "a"),
    "doubled references just below the limit": (
        chained(15, lambda ref: {"anyOf": [{"$ref": ref}, {"$ref": ref}]}), 5),
    "doubled references down into the value": (
        chained(14, lambda ref: {"allOf": [{"items": {"$ref": ref}}, {"items": {"$ref": ref}}]}),
        nested(14, lambda inner: [inner], 5)),
    "doubled references in a recursion": (
        {"allOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}]}, DEEP),
    "a reference to itself": ({"allOf": [{"$ref": "#"}]}, 5),
    "a chain of references": (chained(1_500, lambda ref: {"$ref": ref}), 5),
    "a chain of alternatives": (chained(1_200, lambda ref: {"anyOf": [{"$ref": ref}]}), 5),
    "a chain of references that recurs": (
        chained(400, lambda ref: {"anyOf": [{"$ref": ref}]}, {"items": {"$ref": "#"}}), DEEP),
    "references by name": (
        {"$defs": {f"d{i}": {"$anchor": f"a{i}"} for i in range(1_300)},
         "allOf": [{"$ref": f"#a{i}"} for i in range(1_300)]}, 5),
    "dynamic references": (
        {"$defs": {f"d{i}": {"$id": f"x{i}", "$dynamicAnchor": "a"} for i in range(700)},
         "allOf": [{"$dynamicRef": "x1#a"} for _ in range(700)]}, 5),
    "the meta-schema": ({"$ref": D2020}, nested(30, lambda inner: {"allOf": [inner]}, {})),
    "long identifiers": (
        {"$id": "http://a/" + "b/" * 10_000,
         "$defs": {f"d{i}": {"$id": f"{i}/"} for i in range(900)}}, 5),
    # What is evaluated.
    "unevaluated below unevaluated": (
        nested(14, lambda s: {"anyOf": [s], "unevaluatedProperties": {"type": "integer"}},
               {"minProperties": 1}), {"a": 1, "b": 2}),
    "unevaluated beside doubled references": (
        chained(14, lambda ref: {"allOf": [{"$ref": ref}, {"$ref": ref}],
                                 "unevaluatedProperties": False}), {"a": 1}),
    "a chain of unevaluated": (
        chained(700, lambda ref: {"$ref": ref, "unevaluatedProperties": False}), {"a": 1}),
    # Many subschemas, many values.
    "five thousand definitions": ({"$defs": {f"d{i}": {} for i in range(5_000)}}, 5),
    "twenty thousand subschemas": ({"allOf": [{} for _ in range(20_000)]}, filled(lambda _: 1)),
    "ten thousand booleans": ({"allOf": [True] * 10_000}, 5),
    "a giant enumeration": (
        {"items": {"enum": [f"option {i}" for i in range(4_000)]}}, filled(lambda _: "option")),
    "an enumeration of objects": (
        {"items": {"enum": [{"a": i} for i in range(6_000)]}}, filled(lambda _: {"a": -1})),
    "many required": (
        {"items": {"required": [f"p{i}" for i in range(5_000)]}}, filled(lambda _: {})),
    "many dependents": (
        {"items": {"dependentRequired": {f"p{i}": ["q"] for i in range(3_000)}}},
        filled(lambda _: {})),
    "many alternatives": (
        {"items": {"anyOf": [{"const": i} for i in range(3_000)]}}, filled(lambda _: -1)),
    "many alternatives of a large value": (
        {"anyOf": [{"minProperties": i + 1} for i in range(2_000)]},
        {"a": filled(lambda i: i)} ),
    "one of many": (
        {"items": {"oneOf": [{"minimum": i} for i in range(2_000)]}}, filled(lambda i: i)),
    "contains in contains": (
        {"items": {"contains": {"contains": {"type": "string"}}}}, filled(lambda _: [[1]])),
    "unique objects": ({"uniqueItems": True}, filled(lambda i: {"a": i})),
    "unique mixed items": (
        {"uniqueItems": True}, filled(lambda i: [i, {"a": i}, str(i), i + 0.5][i % 4])),
    "unique arrays in unique arrays": (
        {"uniqueItems": True, "items": {"uniqueItems": True}},
        filled(lambda i: list(range(i, i + 200)))),
    "long division": ({"items": {"multipleOf": 1e-300}}, filled(lambda _: 1e300)),
    "an error for each item": ({"items": {"type": "string"}}, filled(lambda _: 1)),
    "an error for each name": (
        {"propertyNames": {"maxLength": 1}}, {f"name {i}": 1 for i in range(80_000)}),
    "an error for each property that is not there": (
        {"required": [f"p{i}" for i in range(7_000)]}, {"a": filled(lambda i: i)}),
    "a format to be compiled": ({"format": "regex"}, "(" * 500_000 + ")" * 500_000),
    "formats of long texts": (
        {"anyOf": [{"format": f} for f in ("idn-email", "idn-hostname", "iri", "uri-template")]},
        "ü@" * 300_000),
    "a document in a text": ({"$schema": D7, "contentMediaType": "application/json"}, "[" * MIB),
    "a deep value": (TREE, DEEP),
    "a wide value": (TREE, filled(lambda i: {"a": [str(i)]})),
    "a large value of a plain schema": ({"type": "array"}, filled(lambda i: i)),
    # Schemas that are none.
    "mistakes in a schema": ({"allOf": [{"type": "text"} for _ in range(3_000)]}, None),
    "mistakes in a schema, nested": (
        {"$schema": D7, "items": nested(13, lambda s: {"items": [s, s]} if s == 5 else
                                        {"items": [s]}, 5)}, None),
    "nothing but mistakes": ({"allOf": [[] for _ in range(15_000)]}, None),
    "too deep": (nested(200, lambda inner: {"not": inner}, {}), None),
    "too large": ({"enum": list(range(100_000))}, None),
}  # fmt: skip


def small(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: small(inner) for key, inner in list(value.items())[:100]}
    if isinstance(value, list):
        return [small(inner) for inner in value[:100]]
    return value[:1_000] if isinstance(value, str) else value


class LongestTurn(trio.abc.Instrument):
    """The longest time between two checkpoints of any task, in CPU seconds of the thread."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.attempt = self.slowest = ""
        self._began = 0.0

    async def begin(self) -> None:
        gc.collect()
        trio.lowlevel.add_instrument(self)
        # What led here does not count.
        self._began = math.inf
        await trio.lowlevel.checkpoint()

    async def end(self) -> None:
        await trio.lowlevel.checkpoint()
        trio.lowlevel.remove_instrument(self)

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._began = time.thread_time()

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        took = time.thread_time() - self._began
        if took > self.seconds:
            self.seconds, self.slowest = took, self.attempt


async def attempt(validator: Validator, turns: LongestTurn, schema: Any, value: Any) -> list[str]:
    """Return what comes of the schema with this value, then with little of it."""
    raw = msgspec.json.encode(schema)
    await turns.begin()
    try:
        admitted = await validator.admit(raw)
    except PxError as error:
        return [error.code]
    finally:
        await turns.end()
    outcomes = []
    for each in (value, small(value)):
        payload = msgspec.json.encode(each)
        decoded = msgspec.json.decode(payload)
        await turns.begin()
        try:
            errors = await validator.check(admitted.hash, admitted.canonical, payload, decoded)
            outcomes.append("invalid" if errors else "valid")
        except PxError as error:
            outcomes.append(error.code)
        finally:
            await turns.end()
    return outcomes


async def main() -> dict[str, Any]:
    turns = LongestTurn()
    outcomes = {}
    async with open_validation_pool() as pool:
        validator = Validator(pool)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for turns.attempt, (schema, value) in ATTEMPTS.items():
            outcomes[turns.attempt] = await attempt(validator, turns, schema, value)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"outcomes": outcomes, "seconds": turns.seconds, "slowest": turns.slowest,
            "grownKiB": grown}  # fmt: skip


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(trio.run(main)))
