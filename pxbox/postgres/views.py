"""What is so, read from Postgres: never from an activation (S3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import asyncpg
import msgspec
from msgspec import Raw

from pxbox.model.entity import Entity
from pxbox.model.mark import Mark
from pxbox.model.principal import Principal
from pxbox.model.reach import Delivery
from pxbox.model.request import Request
from pxbox.postgres.reader import Reader

_decode_request = msgspec.json.Decoder(Request).decode
_decode_principal = msgspec.json.Decoder(Principal).decode
_decode_entity = msgspec.json.Decoder(Entity).decode


@dataclass(frozen=True, slots=True)
class RequestContent:
    """A request and what was created with it; `mark` is what the asking responder made of it."""

    request: Request
    schema: Raw
    ui_hints: Raw
    prefill: Raw
    meta: Raw
    why: str | None
    context: str | None
    delivery: Delivery
    mark: Mark


@dataclass(frozen=True, slots=True)
class AcceptedAnswer:
    id: str
    request_id: str
    payload: Raw
    answered_by: str | None
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class DueAlarm:
    id: str
    generation: int
    due: datetime
    subject: str


class Views:
    """Every method raises Unavailable while the database cannot be reached."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def now(self) -> datetime:
        row = await self._reader.fetch_one("now")
        return cast(datetime, _one(row)["now"])

    async def load(self, table: str, id: str) -> Mapping[str, object] | None:
        """The version and state of a row, as of after this call."""
        row = await self._reader.row(table, id)
        return None if row is None else {"version": row["version"], "state": row["state"]}

    async def confirm(self, table: str, id: str, version: int) -> bool:
        """Is `version` still the stored one? (S3)"""
        row = await self._reader.row(table, id)
        return row is not None and row["version"] == version

    async def request(self, id: str) -> Request | None:
        row = await self._reader.row("request", id)
        return None if row is None else _decode_request(row["state"])

    async def request_content(self, id: str, responder: str | None) -> RequestContent | None:
        row = await self._reader.fetch_one("request_detail", id, responder)
        if row is None:
            return None
        schema, ui_hints, prefill, meta = (
            _raw(row[name]) for name in ("schema", "ui_hints", "prefill", "meta")
        )
        return RequestContent(
            _decode_request(row["state"]), schema, ui_hints, prefill, meta, row["why"],
            row["context"], Delivery(row["notified_at"], row["seen_at"], row["opened_at"]),
            Mark(
                id, responder or "", row["mark_version"], row["read"], row["snoozed_until"],
                row["deleted"],
            ),
        )  # fmt: skip

    async def answer(self, request_id: str) -> AcceptedAnswer | None:
        row = await self._reader.fetch_one("response", request_id)
        if row is None:
            return None
        return AcceptedAnswer(
            row["id"], row["request_id"], _raw(row["payload"]), row["answered_by"],
            row["answered_at"],
        )  # fmt: skip

    async def schema(self, hash: str) -> bytes | None:
        """The text of a kept schema."""
        row = await self._reader.fetch_one("schema", hash)
        return None if row is None else row["body"].encode()

    async def keep_schema(self, hash: str, draft: str, canonical: bytes) -> None:
        """Keep a schema under its content hash; once kept it never changes."""
        await self._reader.fetch("keep_schema", hash, draft, canonical.decode())

    async def key_holder(self, space: str, key: str) -> dict[str, Any] | None:
        row = await self._reader.fetch_one("unique_key", space, key)
        return None if row is None else msgspec.json.decode(row["holds"], type=dict[str, Any])

    async def entity(self, id: str) -> Entity | None:
        row = await self._reader.row("entity", id)
        return None if row is None else _decode_entity(row["state"])

    async def entities_by_address(self, addresses: Sequence[str]) -> dict[str, Entity]:
        rows = await self._reader.fetch("entities_by_address", list(addresses))
        return {row["key"]: _decode_entity(row["state"]) for row in rows}

    async def groups_of(self, entity_id: str) -> frozenset[str]:
        rows = await self._reader.fetch("groups_of", entity_id)
        return frozenset(row["group_id"] for row in rows)

    async def members_of(self, group_ids: Sequence[str]) -> frozenset[str]:
        """The members of all these groups together."""
        rows = await self._reader.fetch("members_of", list(group_ids))
        return frozenset(row["entity_id"] for row in rows)

    async def take_alarms(self, most: int, invisible: timedelta) -> list[DueAlarm]:
        """Take due alarms for firing; others do not see them for `invisible` (S10)."""
        rows = await self._reader.fetch("take_alarms", most, invisible, None)
        taken = [DueAlarm(r["id"], r["generation"], r["due_at"], r["subject"]) for r in rows]
        return sorted(taken, key=lambda alarm: alarm.due)

    async def purge_keys(self, most: int) -> int:
        """Delete up to `most` idempotency keys that no longer count; return how many (S7)."""
        return cast(int, _one(await self._reader.fetch_one("purge_keys", most))["gone"])

    async def keep_ticket(self, hash: bytes, principal: Principal, lasting: timedelta) -> datetime:
        """Keep a ticket by its hash; return until when, by the database's clock."""
        text = msgspec.json.encode(principal).decode()
        row = await self._reader.fetch_one("keep_ticket", hash, text, lasting)
        return cast(datetime, _one(row)["expires_at"])

    async def take_ticket(self, hash: bytes) -> Principal | None:
        """Whose ticket this is; nobody gets it a second time. None: it is none, or no more."""
        row = await self._reader.fetch_one("take_ticket", hash)
        return None if row is None else _decode_principal(row["principal"])

    async def purge_tickets(self, most: int) -> int:
        """Delete up to `most` tickets that have expired; return how many."""
        return cast(int, _one(await self._reader.fetch_one("purge_tickets", most))["gone"])


def _one(row: asyncpg.Record | None) -> asyncpg.Record:
    assert row is not None, "an aggregate gives a row"
    return row


def _raw(text: str) -> Raw:
    return Raw(text.encode())
