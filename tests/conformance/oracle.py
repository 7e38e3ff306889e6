"""Python's jsonschema, asked as plainly as can be: no formats, nothing fetched."""

from __future__ import annotations

from typing import Any

import jsonschema

from pxbox.domain.answer import check
from pxbox.domain.dialect import META_SCHEMAS, REGISTRY, Draft
from pxbox.domain.schema import Compiled, compile_schema
from pxbox.domain.schema_document import read_schema

_ORACLES = {
    Draft.D2020_12: jsonschema.Draft202012Validator,
    Draft.D2019_09: jsonschema.Draft201909Validator,
    Draft.D7: jsonschema.Draft7Validator,
}


def oracle_accepts(schema: Any, value: Any, draft: Draft) -> bool:
    return _ORACLES[draft](schema, registry=REGISTRY).is_valid(value)


def broker_compiles(schema: Any, draft: Draft) -> Compiled:
    """Admit a schema of this draft. Raises SchemaRefused."""
    if isinstance(schema, dict):
        schema = {"$schema": META_SCHEMAS[draft], **schema}
    return compile_schema(read_schema(schema))


def broker_accepts(compiled: Compiled, value: Any) -> bool:
    assert compiled.validator is not None
    return not check(compiled.validator, value)
