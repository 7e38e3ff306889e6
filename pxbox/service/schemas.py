"""Schemas as the broker uses them: admitted once per content hash, kept, answers held to them."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import sha256
from typing import TypeVar

from pxbox.domain.schema import AdmittedSchema
from pxbox.model.errors import FieldError
from pxbox.postgres.views import Views
from pxbox.validation.validator import Validator

K = TypeVar("K")
V = TypeVar("V")

_MOST_KNOWN = 1_000


class Schemas:
    """Admission, keeping and validation. Raises Unavailable where the database is needed and away,
    Overloaded where too much waits to be checked."""

    def __init__(self, views: Views, validator: Validator) -> None:
        self._views = views
        self._validator = validator
        # A program asks by the same text again and again: it is read once.
        self._read: OrderedDict[bytes, AdmittedSchema] = OrderedDict()
        # The texts of schemas that are in the database, by their hashes.
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def forget(self) -> None:
        """The database may not have the schemas any more that were kept there."""
        self._kept.clear()

    async def judge(self, raw: bytes) -> AdmittedSchema:
        """Admit a schema without keeping it. Raises a SchemaRefused."""
        digest = sha256(raw).digest()
        known = self._read.get(digest)
        if known is None:
            known = await self._validator.admit(raw)
            _remember(self._read, digest, known)
        return known

    async def admit(self, raw: bytes) -> AdmittedSchema:
        """Admit a schema and keep it, so that requests can be pinned to it."""
        schema = await self.judge(raw)
        if schema.hash not in self._kept:
            await self._views.keep_schema(schema.hash, schema.draft, schema.canonical)
            _remember(self._kept, schema.hash, schema.canonical)
        return schema

    async def check(self, schema_hash: str, payload: bytes, value: object) -> list[FieldError]:
        """Every error of `value`, whose JSON is `payload`, by a kept schema; none if it is valid.

        Raises SchemaTooCostly.
        """
        text = await self.text(schema_hash)
        return await self._validator.check(schema_hash, text, payload, value)

    async def text(self, schema_hash: str) -> bytes:
        """The canonical JSON of a kept schema."""
        text = self._kept.get(schema_hash)
        if text is None:
            text = await self._views.schema(schema_hash)
            assert text is not None, "a request's schema is kept before the request"
            _remember(self._kept, schema_hash, text)
        return text

    async def check_against(
        self, schema: AdmittedSchema, payload: bytes, value: object
    ) -> list[FieldError]:
        """The same by a schema that was judged and need not be kept."""
        return await self._validator.check(schema.hash, schema.canonical, payload, value)


def _remember(known: OrderedDict[K, V], key: K, value: V) -> None:
    known[key] = value
    if len(known) > _MOST_KNOWN:
        known.popitem(last=False)
