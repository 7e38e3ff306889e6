"""What lies beside requests: responders' marks and drafts, and default answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from msgspec import Raw

from pxbox.model.mark import Mark
from pxbox.postgres.reader import Reader


@dataclass(frozen=True, slots=True)
class Draft:
    payload: Raw
    updated_at: datetime


class Shelf:
    """Every method raises Unavailable while the database cannot be reached.

    Drafts are nobody's but their responder's and cause nothing: they are kept by a statement of
    their own, not by a commit, and what is said to be kept is durable.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def marks(self, entity_id: str, request_ids: Sequence[str]) -> list[Mark]:
        """What the responder has made of these inquiries, in their order."""
        rows = await self._reader.fetch("marks", entity_id, list(request_ids))
        known = {
            row["request_id"]: Mark(
                row["request_id"], entity_id, row["version"], row["read"], row["snoozed_until"],
                row["deleted"],
            )
            for row in rows
        }  # fmt: skip
        return [known.get(id) or Mark(id, entity_id) for id in request_ids]

    async def keep_draft(self, request_id: str, entity_id: str, payload: str) -> datetime:
        """Keep a responder's draft in place of the one before; when that was."""
        row = await self._reader.fetch_one("keep_draft", request_id, entity_id, payload)
        assert row is not None, "an upsert that returns gives a row"
        return cast(datetime, row["updated_at"])

    async def draft(self, request_id: str, entity_id: str) -> Draft | None:
        row = await self._reader.fetch_one("draft", request_id, entity_id)
        return None if row is None else Draft(Raw(row["payload"].encode()), row["updated_at"])

    async def forget_draft(self, request_id: str, entity_id: str) -> None:
        """Delete the responder's draft, if there is one."""
        await self._reader.fetch("forget_draft", request_id, entity_id)

    async def default_answer(self, request_id: str) -> str:
        """The answer, as JSON, of a request that has one for its deadline."""
        row = await self._reader.fetch_one("default_answer", request_id)
        assert row is not None, "the request was loaded"
        return cast(str, row["default_answer"])
