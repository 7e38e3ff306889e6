"""What an asker may give for a schema, and the schema that it stands for."""

from __future__ import annotations

from pxbox.domain.example import infer
from pxbox.domain.schema_document import MAX_SCHEMA_BYTES, read_schema
from pxbox.model.decoding import decode_json
from pxbox.model.schema_errors import SchemaTooLarge
from pxbox.model.wire import SchemaKind
from pxbox.service.core import Parts


async def schema_of(parts: Parts, kind: SchemaKind, raw: bytes) -> bytes:
    """Return the JSON Schema that `raw`, of this kind, stands for.

    Raises a SchemaRefused, and RefUnavailable where what it refers to cannot be had now.
    """
    match kind:
        case "jsonschema":
            return raw
        case "jsonexample":
            return _inferred(raw)
        case "ref":
            return await parts.library.bundle(raw)


def _inferred(raw: bytes) -> bytes:
    if len(raw) > MAX_SCHEMA_BYTES:
        raise SchemaTooLarge(
            f"an example has at most {MAX_SCHEMA_BYTES:,} bytes of JSON", limit=MAX_SCHEMA_BYTES
        )
    return read_schema(infer(decode_json(raw))).canonical
