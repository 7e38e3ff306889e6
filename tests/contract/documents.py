"""The contract's documents, read once for the tests of this folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

import schemas

Json = dict[str, Any]

# Any address does that relative references can be resolved against: nothing is fetched.
_BASE = "file:///v1/"
_ROOT = resources.files(schemas)


def read(name: str) -> Any:
    return json.loads(schemas.read(name))


def _stems(folder: Traversable) -> list[str]:
    files = folder.iterdir() if folder.is_dir() else iter(())
    return sorted(file.name.removesuffix(".json") for file in files)


SCHEMAS: dict[str, Json] = {name: read(f"v1/{name}.json") for name in _stems(_ROOT / "v1")}


def examples(kind: str) -> list[tuple[str, str]]:
    """(schema, example) of every example of `kind`, which is `valid` or `invalid`."""
    folder = _ROOT / "examples" / kind
    return [(schema, stem) for schema in _stems(folder) for stem in _stems(folder / schema)]


def example_bytes(kind: str, schema: str, stem: str) -> bytes:
    return schemas.read(f"examples/{kind}/{schema}/{stem}.json")


@cache
def registry() -> Registry[Any]:
    resources = (
        (f"{_BASE}{name}.json", DRAFT202012.create_resource(body)) for name, body in SCHEMAS.items()
    )
    return Registry[Any]().with_resources(resources)


@cache
def validator(schema: str) -> Draft202012Validator:
    """Validates by one schema of the contract, formats asserted, nothing fetched."""
    return Draft202012Validator(
        {"$ref": f"{_BASE}{schema}.json"},
        registry=registry(),
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


def subschemas(node: Any, pointer: str = "") -> Iterator[tuple[str, Json]]:
    """Every schema inside a schema, itself first, with its JSON Pointer."""
    yield pointer, node
    for name, child in node.get("properties", {}).items():
        yield from subschemas(child, f"{pointer}/properties/{name}")
    for keyword in ("items", "additionalProperties", "propertyNames", "not", "if", "then", "else"):
        if isinstance(node.get(keyword), dict):
            yield from subschemas(node[keyword], f"{pointer}/{keyword}")
    for keyword in ("allOf", "anyOf", "oneOf"):
        for index, child in enumerate(node.get(keyword, ())):
            yield from subschemas(child, f"{pointer}/{keyword}/{index}")


def objects(node: Any) -> Iterator[Json]:
    """Every JSON object inside a document, itself first."""
    if isinstance(node, dict):
        yield node
        for child in node.values():
            yield from objects(child)
    elif isinstance(node, list):
        for child in node:
            yield from objects(child)


def resolved(schema: Json) -> Json:
    """`schema` with what it refers to merged in; its own words win."""
    reference = schema.get("$ref")
    return {**resolved(SCHEMAS[reference.removesuffix(".json")]), **schema} if reference else schema


def members(schema: str) -> tuple[dict[str, Json], set[str]]:
    """The members of an object, those of its `allOf` parts too, and which are required."""
    body = SCHEMAS[schema]
    found: dict[str, Json] = {}
    required: set[str] = set()
    for part in (*map(resolved, body.get("allOf", ())), body):
        found |= part.get("properties", {})
        required |= set(part.get("required", ()))
    return found, required


def planned(schema: Json) -> bool:
    return schema.get("x-pxbox-status") == "planned"
