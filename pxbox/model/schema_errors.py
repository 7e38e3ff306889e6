"""Why a schema is not admitted, or an answer not checked: one class per meaning."""

from __future__ import annotations

from pxbox.model.errors import PxError


class SchemaRefused(PxError):
    """A schema that requests cannot use; every other class here says why."""


class InvalidSchema(SchemaRefused):
    """Not valid by the meta-schema of its draft, or it refers to itself without end."""

    code = "invalid_schema"


class UnsupportedPattern(SchemaRefused):
    """A pattern outside the linear-time dialect: look-around, a back-reference, or too large."""

    code = "unsupported_pattern"


class UnsupportedDialect(SchemaRefused):
    """`$schema` names no draft that the broker knows."""

    code = "unsupported_dialect"


class SchemaTooLarge(SchemaRefused):
    """Its canonical JSON is larger than the broker keeps."""

    code = "schema_too_large"


class SchemaTooDeep(SchemaRefused):
    """Nested deeper than the broker reads."""

    code = "schema_too_deep"


class SchemaTooCostly(SchemaRefused):
    """Checking with it takes more time or memory than the broker gives (X4)."""

    code = "schema_too_costly"


class UnresolvableRef(SchemaRefused):
    """A reference leads nowhere inside the document, and the broker fetches nothing (X3)."""

    code = "unresolvable_ref"
