"""Check a schema, or data against one, and create nothing."""

from __future__ import annotations

from msgspec import UNSET, Raw

from pxbox.model import wire
from pxbox.model.decoding import decode_json
from pxbox.service.core import Call, Outcome, Parts
from pxbox.service.schema_kinds import schema_of


async def validate(parts: Parts, call: Call) -> Outcome:
    """Replies `Validated`. Raises what admitting the schema raises: that is its verdict on it."""
    input = call.input
    assert isinstance(input, wire.Validate)
    schema = await parts.schemas.judge(
        await schema_of(parts, input.schema_kind, bytes(input.schema))
    )
    errors: list[wire.ErrorItem] = []
    if isinstance(input.data, Raw):
        data = bytes(input.data)
        found = await parts.schemas.check_against(schema, data, decode_json(data))
        errors = [wire.ErrorItem(pointer=e.pointer, message=e.message, keyword=e.keyword)
                  for e in found]  # fmt: skip
    return Outcome(
        wire.Validated(
            valid=not errors,
            schema_hash=schema.hash,
            draft=schema.draft,
            errors=errors,
            schema_payload=UNSET if input.schema_kind == "jsonschema" else Raw(schema.canonical),
        )
    )
