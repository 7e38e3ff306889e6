"""Schemas: checked, kept under a name."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Raw, UnsetType

from pxbox.model.wire.base import ErrorItem, Input, Reply, SchemaKind


class Validate(Input):
    """Check a schema, or `data` against it. Nothing is created."""

    schema: Raw
    schema_kind: SchemaKind = "jsonschema"
    data: Raw | UnsetType = UNSET


SchemaName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}\Z")]


class PutSchema(Input):
    """Make the next version of a named schema, complete in itself."""

    name: SchemaName
    schema: Raw


class GetSchema(Input):
    """`version`: the latest where it is left out."""

    name: str
    version: Annotated[int, Meta(ge=1)] | None = None


class Validated(Reply):
    """The schema is admissible; `valid` speaks of `data`, and is true where none was given.

    `schema_payload` as in RequestCreated.
    """

    valid: bool
    schema_hash: str
    draft: str
    errors: list[ErrorItem]
    schema_payload: Raw | UnsetType = UNSET


class SchemaVersion(Reply):
    """A version of a named schema; it never changes. `ref` refers to it."""

    name: str
    version: int
    ref: str
    schema_hash: str
    schema_payload: Raw
    created_at: datetime
    created_by: str


class SchemaPut(SchemaVersion):
    """`existing`: the latest version is this schema already. `narrowed`: where it may refuse what
    the version before let through."""

    existing: bool
    narrowed: list[ErrorItem]
