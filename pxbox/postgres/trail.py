"""The trail, read: what was done to a request or an entity, and by whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg
from msgspec import Raw

from pxbox.model.trail import TrailEntry
from pxbox.postgres.reader import Reader


@dataclass(frozen=True, slots=True)
class TrailAt:
    """Where a page of an entity's trail begins: after this entry."""

    at: datetime
    subject: str
    version: int


class Trail:
    """Both methods raise Unavailable while the database cannot be reached."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def of_request(self, id: str, after: int, limit: int) -> list[TrailEntry]:
        """What was done to it after that version, in order; also where it is gone."""
        rows = await self._reader.fetch_list("trail_of_request", id, after, limit)
        return [_entry(row) for row in rows]

    async def of_entity(self, id: str, after: TrailAt | None, limit: int) -> list[TrailEntry]:
        """What was done to it and on its behalf, the newest first."""
        place = (None, None, None) if after is None else (after.at, after.subject, after.version)
        rows = await self._reader.fetch_list("trail_of_entity", id, *place, limit)
        return [_entry(row) for row in rows]


def _entry(row: asyncpg.Record) -> TrailEntry:
    return TrailEntry(**{**dict(row), "detail": Raw(row["detail"].encode())})
