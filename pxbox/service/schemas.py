"""Schemas as the broker uses them: admitted once per content hash, kept, answers held to them.

What is quick is done here; what could hold the event loop goes to a process that can be killed
(X4).
"""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256

from pxbox.domain.answer import Plan, list_errors, plan_listing, plan_verdict
from pxbox.domain.schema import AdmittedSchema, Compiled, is_light
from pxbox.domain.schema_cache import SchemaCache
from pxbox.domain.schema_document import Document, read_schema
from pxbox.model.errors import FieldError
from pxbox.model.schema_errors import SchemaRefused, SchemaTooCostly
from pxbox.postgres.views import Views
from pxbox.validation.pool import ValidationPool

_MOST_KEPT = 10_000


class Schemas:
    """Admission and validation. Raises Unavailable where the database is needed and away,
    Overloaded where too much waits to be checked."""

    def __init__(self, views: Views, pool: ValidationPool) -> None:
        self._views = views
        self._pool = pool
        self._cache = SchemaCache()
        # The hashes of schemas, by the digests of the texts they were read from.
        self._read: OrderedDict[bytes, str] = OrderedDict()
        # Hashes that are known to be in the database; a lost one costs an insert of nothing.
        self._kept: OrderedDict[str, None] = OrderedDict()

    async def judge(self, raw: bytes) -> AdmittedSchema:
        """Admit a schema without keeping it. Raises a SchemaRefused."""
        # A program asks by the same text again and again: it is read once.
        digest = sha256(raw).digest()
        known = self._cache.get(self._read.get(digest, ""))
        if known is not None:
            return known.admitted
        document = read_schema(raw)
        self._read[digest] = document.hash
        if len(self._read) > _MOST_KEPT:
            self._read.popitem(last=False)
        return (await self._admitted(document)).admitted

    async def admit(self, raw: bytes) -> AdmittedSchema:
        """Admit a schema and keep it, so that requests can be pinned to it."""
        schema = await self.judge(raw)
        if schema.hash not in self._kept:
            await self._views.keep_schema(schema.hash, schema.draft, schema.canonical)
            self._kept[schema.hash] = None
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return schema

    async def check(self, schema_hash: str, payload: bytes, value: object) -> list[FieldError]:
        """Every error of `value`, whose JSON is `payload`, by a kept schema; none if it is valid.

        Raises SchemaTooCostly.
        """
        compiled = self._cache.get(schema_hash)
        if compiled is None:
            body = await self._views.schema(schema_hash)
            assert body is not None, "a request's schema is kept before the request"
            compiled = await self._admitted(read_schema(body))
        return await self._check(compiled, payload, value)

    async def check_against(
        self, schema: AdmittedSchema, payload: bytes, value: object
    ) -> list[FieldError]:
        """The same by a schema that was judged and need not be kept."""
        compiled = await self._admitted(read_schema(schema.canonical))
        return await self._check(compiled, payload, value)

    async def _admitted(self, document: Document) -> Compiled:
        known = self._cache.get(document.hash)
        if known is not None:
            return known
        if is_light(document):
            return self._cache.admit(document)
        try:
            admitted = await self._pool.admit(document.canonical)
        except SchemaTooCostly:
            # Not remembered: a busy machine may be all that it was.
            raise
        except SchemaRefused as refusal:
            self._cache.refuse(document.hash, refusal)
            raise
        return self._cache.keep(document, admitted)

    async def _check(self, compiled: Compiled, payload: bytes, value: object) -> list[FieldError]:
        schema, validator = compiled.admitted, compiled.validator
        if validator is None or plan_verdict(schema.cost, len(payload)) is Plan.PROCESS:
            return await self._pool.check(schema.canonical, payload)
        if validator.is_valid(value):
            return []
        if plan_listing(schema.cost, len(payload)) is Plan.PROCESS:
            return await self._pool.check(schema.canonical, payload)
        return list_errors(validator, value)
