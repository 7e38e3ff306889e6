"""`pxbox.ports.Log` on PostgreSQL: the complete events of every channel (E2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import msgspec

from pxbox.model.errors import PxError
from pxbox.model.wire import LoggedEvent
from pxbox.ports import Bounds, Entry, LogUnavailable
from pxbox.postgres.bounds import BoundsReader
from pxbox.postgres.reader import Reader

_decode_items = msgspec.json.Decoder(list[LoggedEvent]).decode


@dataclass(frozen=True, slots=True)
class LogPage:
    bounds: Bounds
    items: list[LoggedEvent]


class PostgresLog:
    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._bounds = BoundsReader(self._read_bounds)

    async def read(self, channel: str, after: int, limit: int) -> list[Entry]:
        rows = await self._fetch("log_page", channel, after, limit)
        return [Entry(row["seq"], row["data"].encode()) for row in rows]

    async def newest(self, channel: str, limit: int) -> list[Entry]:
        rows = await self._fetch("log_newest", channel, limit)
        return [Entry(row["seq"], row["data"].encode()) for row in reversed(rows)]

    async def bounds(self, channel: str) -> Bounds:
        return await self._bounds.bounds(channel)

    async def _read_bounds(self, channels: Sequence[str]) -> dict[str, Bounds]:
        rows = await self._fetch("heads", channels)
        return {row["name"]: Bounds(row["floor"], row["head"]) for row in rows}

    async def heads(self, channels: Sequence[str]) -> dict[str, int]:
        rows = await self._fetch("heads", list(channels))
        return dict.fromkeys(channels, 0) | {row["name"]: row["head"] for row in rows}

    async def page(self, channel: str, after: int, limit: int) -> LogPage:
        """The channel's bounds and up to `limit` events after `after`, of one snapshot."""
        (row,) = await self._reader.fetch("events_page", channel, after, limit)
        bounds = Bounds(row["floor"], row["head"])
        return LogPage(bounds, _decode_items(row["items"]))

    async def unrelayed(self, limit: int) -> list[tuple[int, list[str]]]:
        rows = await self._fetch("unrelayed", limit)
        return [(row["batch"], row["channels"]) for row in rows]

    async def unrelayed_age(self) -> float:
        """Seconds since the oldest batch that may not have reached the hot windows; 0: none."""
        (row,) = await self._fetch("unrelayed_age")
        return float(row["seconds"])

    async def forget(self, batches: Sequence[int]) -> None:
        await self._fetch("forget_unrelayed", list(batches))

    async def purge(self, older_than: timedelta, most: int) -> int:
        """Delete up to `most` events of more than this age and move the floors of their channels
        (E5); return how many."""
        (row,) = await self._fetch("purge_events", older_than, most)
        return int(row["gone"])

    async def _fetch(self, name: str, *arguments: object) -> list[asyncpg.Record]:
        try:
            return await self._reader.fetch(name, *arguments)
        except PxError as error:
            raise LogUnavailable(error.detail) from error
        except asyncpg.PostgresError as error:
            # Such as a deadlock with another sweeper: whoever asked tries again.
            raise LogUnavailable(str(error)) from error
