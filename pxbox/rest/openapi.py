"""The served API documents: `schemas/openapi.json` and `asyncapi.json`, each made whole.

The sources refer to files beside them; who fetches a document over HTTP has no such files.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

import schemas

DOCUMENTS = ("openapi.json", "asyncapi.json")

_SCHEMA_PREFIX = "v1/"
_EXAMPLE_PREFIX = "examples/"


@cache
def bundled(name: str) -> bytes:
    """The document `name` (one of `DOCUMENTS`) as JSON in which every reference stays inside.

    Schemas of `v1/` become `#/components/schemas/<name>`, examples stand where they were referred
    to. Raises ValueError for another name.
    """
    if name not in DOCUMENTS:
        raise ValueError(f"no such API document: {name}")
    return msgspec.json.encode(_bundle(name))


def _bundle(name: str) -> dict[str, Any]:
    wanted: list[str] = []
    document: dict[str, Any] = _inlined(_load(name), wanted)
    found: dict[str, Any] = {}
    while wanted:
        schema = wanted.pop()
        if schema not in found:
            found[schema] = _component(schema, wanted)
    document["components"]["schemas"] = dict(sorted(found.items()))
    return document


def _load(name: str) -> Any:
    return msgspec.json.decode(schemas.read(name))


def _component(schema: str, wanted: list[str]) -> dict[str, Any]:
    body = _load(f"{_SCHEMA_PREFIX}{schema}.json")
    # The enclosing document names the dialect, once for all.
    del body["$schema"]
    inlined: dict[str, Any] = _inlined(body, wanted)
    return inlined


def _inlined(node: Any, wanted: list[str]) -> Any:
    """`node` with references to files replaced; names of schemas met are added to `wanted`."""
    if isinstance(node, list):
        return [_inlined(item, wanted) for item in node]
    if not isinstance(node, dict):
        return node
    if "externalValue" in node:
        return {"value": _load(node["externalValue"])}
    reference = node.get("$ref")
    if isinstance(reference, str) and reference.startswith(_EXAMPLE_PREFIX):
        return _load(reference)
    inlined = {key: _inlined(value, wanted) for key, value in node.items()}
    if isinstance(reference, str) and not reference.startswith("#"):
        schema = reference.removeprefix(_SCHEMA_PREFIX).removesuffix(".json")
        wanted.append(schema)
        inlined["$ref"] = f"#/components/schemas/{schema}"
    return inlined
