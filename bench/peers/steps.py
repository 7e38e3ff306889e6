"""The peer's job: create, claim, answer; each one transaction that also tells its events."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final

import asyncpg
import jsonschema_rs
import msgspec
from msgspec import Meta, Raw, Struct

from pxbox.model.ids import new_ulid, new_uuid

SQL: Final = {
    path.stem: path.read_text(encoding="utf-8")
    for path in (Path(__file__).parent / "sql").glob("*.sql")
}
CREATE: Final = SQL["create"] + SQL["tell"]
CLAIM: Final = SQL["claim"] + SQL["tell"]
ANSWER: Final = SQL["answer"] + SQL["tell"]


class Refused(Exception):
    """A command that is not done: an HTTP status, a code, and what a validator found."""

    def __init__(self, status: int, code: str, errors: list[dict[str, str]] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.errors = errors or []

    def problem(self) -> dict[str, object]:
        return {"code": self.code, "errors": self.errors}


class Create(Struct, forbid_unknown_fields=True, rename="camel"):
    to: str
    schema: Raw
    claim_ttl: Annotated[int, Meta(ge=1, le=2_592_000)] = 900
    deadline_at: datetime | None = None


class Claim(Struct, forbid_unknown_fields=True):
    id: str


class Answer(Struct, forbid_unknown_fields=True):
    id: str
    payload: Raw


class AddEntity(Struct, forbid_unknown_fields=True):
    handle: Annotated[str, Meta(min_length=1, max_length=64)]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, as the token says."""

    sub: str
    scopes: frozenset[str]
    entity: str | None

    def need(self, scope: str) -> None:
        if scope not in self.scopes:
            raise Refused(403, "forbidden")

    def responder(self) -> str:
        self.need("respond")
        if self.entity is None:
            raise Refused(403, "forbidden")
        return self.entity

    def may_hear(self, channel: str) -> None:
        own = (f"requestor:{self.sub}", f"entity:{self.entity}")
        if channel not in own and "admin" not in self.scopes:
            raise Refused(404, "not_found")


@lru_cache(maxsize=10_000)
def compiled(schema: bytes) -> tuple[str, str | None, Any]:
    """The content hash, the title and the validator of a schema, admitted and compiled once."""
    document = json.loads(schema)
    try:
        jsonschema_rs.meta.validate(document)
        validator = jsonschema_rs.validator_for(document, validate_formats=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise Refused(422, "invalid_schema") from error
    title = document.get("title") if isinstance(document, dict) else None
    return hashlib.sha256(schema).hexdigest(), title, validator


class Steps:
    """The commands over one pool; a step is one statement, so one transaction and round trip."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool
        self._kept: dict[str, Any] = {}

    async def create(self, caller: Caller, command: Create) -> dict[str, Any]:
        caller.need("request")
        schema_hash, title, validator = compiled(bytes(command.schema))
        if schema_hash not in self._kept:
            body = bytes(command.schema).decode()
            await self._pool.execute(SQL["keep_schema"], schema_hash, body)
            self._kept[schema_hash] = validator
        try:
            row = await self._pool.fetchrow(
                CREATE,
                "request.created",
                caller.sub,
                new_ulid(),
                command.to,
                schema_hash,
                title,
                timedelta(seconds=command.claim_ttl),
                command.deadline_at,
            )
        except (asyncpg.ForeignKeyViolationError, asyncpg.DataError):
            raise Refused(422, "unknown_addressee") from None
        assert row is not None
        return {"requestId": row["id"], "status": row["status"], "version": row["version"]}

    async def claim(self, caller: Caller, command: Claim) -> dict[str, Any]:
        entity = caller.responder()
        row = await self._pool.fetchrow(CLAIM, "request.claimed", entity, command.id)
        if row is None:
            raise await self._why_not(entity, command.id)
        return {
            "requestId": row["id"],
            "status": row["status"],
            "version": row["version"],
            "claimExpiresAt": row["claim_expires_at"],
        }

    async def answer(self, caller: Caller, command: Answer) -> dict[str, Any]:
        entity = caller.responder()
        row = await self._pool.fetchrow(SQL["read"], command.id)
        if row is None or row["addressee"] != entity:
            raise Refused(404, "not_found")
        if row["status"] not in ("PENDING", "CLAIMED"):
            raise Refused(409, "wrong_status")
        if row["status"] == "CLAIMED" and row["claimed_by"] != entity:
            raise Refused(409, "claimed_by_other")
        await self._validate(row["schema_hash"], command.payload)
        response_id = new_ulid()
        payload = bytes(command.payload).decode()
        args = (entity, command.id, row["version"], response_id, payload)
        done = await self._pool.fetchrow(ANSWER, "request.answered", *args)
        if done is None:
            raise Refused(409, "contended")
        return {"requestId": done["id"], "responseId": response_id, "status": done["status"]}

    async def add_entity(self, caller: Caller, command: AddEntity) -> dict[str, Any]:
        caller.need("admin")
        entity = new_uuid()
        try:
            await self._pool.execute(SQL["add_entity"], entity, command.handle)
        except asyncpg.UniqueViolationError:
            raise Refused(409, "address_taken") from None
        return {"entityId": entity, "handle": command.handle}

    async def head(self, channel: str) -> int:
        """The channel's newest number, 0 before its first event."""
        return int(await self._pool.fetchval(SQL["head"], channel))

    async def _validate(self, schema_hash: str, payload: Raw) -> None:
        validator = self._kept.get(schema_hash)
        if validator is None:
            body = await self._pool.fetchval(SQL["read_schema"], schema_hash)
            validator = self._kept[schema_hash] = compiled(body.encode())[2]
        document = msgspec.json.decode(payload)
        if validator.is_valid(document):
            return
        errors = [
            {"pointer": "/" + "/".join(map(str, error.instance_path)), "message": error.message}
            for error in validator.iter_errors(document)
        ]
        raise Refused(422, "invalid_answer", errors[:100])

    async def _why_not(self, entity: str, request: str) -> Refused:
        row = await self._pool.fetchrow(SQL["read"], request)
        if row is None or row["addressee"] != entity:
            return Refused(404, "not_found")
        held = row["status"] == "CLAIMED" and row["claimed_by"] != entity
        return Refused(409, "claimed_by_other" if held else "wrong_status")
