"""The drafts of JSON Schema that the broker knows, and the validator that it builds for them.

Nothing here, and nothing built here, ever opens a connection or a file: the registries hold the
meta-schemas of the known drafts, and retrieval is off (X3).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import jsonschema_rs
from jsonschema_specifications import REGISTRY as SPECIFICATIONS
from referencing import Registry, Specification
from referencing.jsonschema import DRAFT7, DRAFT201909, DRAFT202012, Schema

from pxbox.domain.schema_document import JsonSchema
from pxbox.model.errors import FieldError
from pxbox.model.schema_errors import UnsupportedDialect


class Draft(StrEnum):
    D2020_12 = "2020-12"
    D2019_09 = "2019-09"
    D7 = "7"


META_SCHEMAS = {
    Draft.D2020_12: "https://json-schema.org/draft/2020-12/schema",
    Draft.D2019_09: "https://json-schema.org/draft/2019-09/schema",
    Draft.D7: "http://json-schema.org/draft-07/schema#",
}
SPECIFICATION: dict[Draft, Specification[Schema]] = {
    Draft.D2020_12: DRAFT202012,
    Draft.D2019_09: DRAFT201909,
    Draft.D7: DRAFT7,
}
_DRAFTS = {uri.removesuffix("#"): draft for draft, uri in META_SCHEMAS.items()}
_VALIDATORS: dict[Draft, type[jsonschema_rs.Validator]] = {
    Draft.D2020_12: jsonschema_rs.Draft202012Validator,
    Draft.D2019_09: jsonschema_rs.Draft201909Validator,
    Draft.D7: jsonschema_rs.Draft7Validator,
}

MAX_PATTERN_BYTES = 8 << 20
"""Of a compiled pattern; beyond, it is refused. `^\\p{L}{1,100}$` takes 4 MiB."""
PATTERN_CACHE_BYTES = 1 << 16
"""Of what a pattern may remember of its matching; beyond, it goes on without."""


def _meta_schemas() -> Iterable[str]:
    paths = ("/draft/2020-12/", "/draft/2019-09/", "/draft-07/")
    return [uri for uri in SPECIFICATIONS if any(path in uri for path in paths)]


REGISTRY: Registry[Schema] = (
    Registry().with_resources((uri, SPECIFICATIONS[uri]) for uri in _meta_schemas()).crawl()
)
_OFFLINE = jsonschema_rs.Registry([(uri, SPECIFICATIONS.contents(uri)) for uri in _meta_schemas()])


def is_known_uri(uri: str) -> bool:
    """Say whether `uri` is one of the meta-schemas that every document may refer to."""
    return uri.removesuffix("#") in REGISTRY


def draft_of(schema: JsonSchema) -> Draft:
    """Return the draft that `$schema` names; 2020-12 where it is silent.

    Raises UnsupportedDialect, naming what is supported.
    """
    uri = schema.get("$schema") if isinstance(schema, dict) else None
    # Of another type: not a dialect but a mistake, for which the meta-schema has the words.
    return named_draft(uri, "/$schema") if isinstance(uri, str) else Draft.D2020_12


def named_draft(uri: str, pointer: str) -> Draft:
    """Return the draft of this `$schema`; `pointer` says where it stands.

    Raises UnsupportedDialect.
    """
    draft = _DRAFTS.get(uri.removesuffix("#"))
    if draft is None:
        raise UnsupportedDialect(
            "the schema is written in a dialect that is not supported",
            errors=[FieldError(pointer, f"must be one of {', '.join(_DRAFTS)}", "$schema")],
            supported=list(META_SCHEMAS.values()),
        )
    return draft


def build_validator(
    schema: JsonSchema,
    draft: Draft,
    *,
    pattern_bytes: int = MAX_PATTERN_BYTES,
    formats: bool = True,
) -> jsonschema_rs.Validator:
    """Build the validator of `schema`: offline, formats asserted, patterns in linear time.

    `pattern_bytes` bounds each compiled pattern. Raises jsonschema_rs.ValidationError. Neither
    time nor memory is bounded here: callers see to that by what they let in.
    """
    return _VALIDATORS[draft](
        schema,
        validate_formats=formats,
        pattern_options=jsonschema_rs.RegexOptions(
            size_limit=pattern_bytes, dfa_size_limit=PATTERN_CACHE_BYTES
        ),
        registry=_OFFLINE,
        offline=True,
    )


META_VALIDATORS = {
    draft: build_validator({"$ref": uri}, draft, formats=False)
    for draft, uri in META_SCHEMAS.items()
}
