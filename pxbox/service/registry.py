"""Schemas by name: each version is kept for good, and `pxbox:name@version` refers to it."""

from __future__ import annotations

from typing import Any, cast

import msgspec
from msgspec import Raw

from pxbox.domain.schema_changes import narrowed
from pxbox.domain.schema_document import JsonSchema
from pxbox.model import wire
from pxbox.model.errors import Contended, FieldError, NotFound
from pxbox.postgres.registry import Version
from pxbox.service.core import Call, Outcome, Parts

_MOST_TRIES = 5


async def put(parts: Parts, call: Call) -> Outcome:
    """Make the next version; replies `SchemaPut`. The same schema once more is the version that is
    there. Raises a SchemaRefused."""
    input = call.input
    assert isinstance(input, wire.PutSchema)
    schema = await parts.schemas.admit(bytes(input.schema))
    for _ in range(_MOST_TRIES):
        latest = await parts.registry.version(input.name)
        if latest is not None and latest.hash == schema.hash:
            return Outcome(_put(input.name, latest, [], existing=True), existing=True)
        number = 1 if latest is None else latest.version + 1
        made_at = await parts.registry.put(input.name, number, schema.hash, call.caller.sub)
        if made_at is not None:
            made = Version(number, schema.hash, made_at, call.caller.sub, schema.canonical)
            changes = [] if latest is None else narrowed(_read(latest), _read(made))
            return Outcome(_put(input.name, made, changes, existing=False))
    raise Contended("others make versions of this schema; try again")


async def read(parts: Parts, call: Call) -> Outcome:
    """One version, or the latest; replies `SchemaVersion`."""
    input = call.input
    assert isinstance(input, wire.GetSchema)
    found = await parts.registry.version(input.name, input.version)
    if found is None:
        raise NotFound("no such schema, or no such version of it")
    return Outcome(wire.SchemaVersion(**_members(input.name, found)))


def _put(
    name: str, version: Version, changes: list[FieldError], *, existing: bool
) -> wire.SchemaPut:
    items = [wire.ErrorItem(pointer=c.pointer, message=c.message, keyword=c.keyword)
             for c in changes]  # fmt: skip
    return wire.SchemaPut(**_members(name, version), existing=existing, narrowed=items)


def _members(name: str, version: Version) -> dict[str, Any]:
    return {
        "name": name,
        "version": version.version,
        "ref": f"pxbox:{name}@{version.version}",
        "schema_hash": version.hash,
        "schema_payload": Raw(version.body),
        "created_at": version.created_at,
        "created_by": version.created_by,
    }


def _read(version: Version) -> JsonSchema:
    return cast(JsonSchema, msgspec.json.decode(version.body))
