"""The one way to admit a schema and to check a value: here if that is cheap, else in a process."""

from __future__ import annotations

from msgspec import UNSET

from pxbox.domain.answer import Plan, check, plan_listing, plan_verdict
from pxbox.domain.schema import AdmittedSchema, Compiled, is_light
from pxbox.domain.schema_cache import SchemaCache
from pxbox.domain.schema_document import Document, read_schema
from pxbox.model.errors import FieldError
from pxbox.model.schema_errors import SchemaRefused, SchemaTooCostly
from pxbox.validation.pool import ValidationPool


class Validator:
    """Admits schemas, once per content, and checks values against them (X4).

    Whatever it is given, it never holds the event loop for long: what might is done by the pool.
    """

    def __init__(self, pool: ValidationPool, cache: SchemaCache | None = None) -> None:
        self._pool = pool
        self._cache = SchemaCache() if cache is None else cache

    async def admit(self, raw: object) -> AdmittedSchema:
        """Admit a schema, from JSON bytes or from what such bytes decode to.

        Raises a SchemaRefused, Overloaded, and what `decode_json` raises.
        """
        return (await self._known(read_schema(raw))).admitted

    async def check(
        self, schema_hash: str, canonical: bytes, payload: bytes, value: object
    ) -> list[FieldError]:
        """Return every error of a value against an admitted schema; none if it is valid.

        `canonical` and `schema_hash` are those of its AdmittedSchema, of this process or another.
        `payload` is JSON, `value` what msgspec decodes it to, UNSET where that was not done here.
        At most 100 errors, in a stable order; fewer than there are where listing them takes too
        much. Raises SchemaTooCostly where not even the verdict can be had, and Overloaded.
        """
        if value is UNSET:
            return await self._pool.check(canonical, payload)
        compiled = self._cache.get(schema_hash) or await self._known(read_schema(canonical))
        cost, validator = compiled.admitted.cost, compiled.validator
        if validator is not None and plan_verdict(cost, len(payload)) is Plan.INLINE:
            if plan_listing(cost, len(payload)) is Plan.INLINE:
                return check(validator, value)
            if validator.is_valid(value):
                return []
        return await self._pool.check(canonical, payload)

    async def _known(self, document: Document) -> Compiled:
        known = self._cache.get(document.hash)
        if known is not None:
            return known
        if is_light(document):
            return self._cache.admit(document)
        try:
            admitted = await self._pool.admit(document.canonical)
        except SchemaTooCostly:
            # It may have been the machine that was slow: the next try is a new one.
            raise
        except SchemaRefused as refusal:
            self._cache.refuse(document.hash, refusal)
            raise
        return self._cache.keep(document, admitted)
