"""How far requests have got to those who are asked; and lists of what a client has asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from pxbox.model.reach import Delivery, Reach
from pxbox.model.request import Request
from pxbox.postgres.reader import Reader


@dataclass(frozen=True, slots=True)
class AskedFilter:
    """What a client's list admits; None admits all. `reach`: those that have got just so far."""

    requestor: str
    statuses: Sequence[str]
    tag: str | None
    reach: Reach | None


@dataclass(frozen=True, slots=True)
class AskedAt:
    """Where a page begins: after the request that was created then."""

    created_at: datetime
    id: str


class Asked(Delivery, frozen=True, rename="camel", kw_only=True):
    """A request with how far it has got. `created_at` is as its row has it."""

    state: Request
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AskedPage:
    items: list[Asked]
    head: int


_decode_rows = msgspec.json.Decoder(list[Asked]).decode


class Reaches:
    """Every method raises Unavailable while the database cannot be reached."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def keep(self, reached: Mapping[str, Reach]) -> int:
        """Note how far these have got, unless it was noted; how many got to somebody only now."""
        levels = [int(level) for level in reached.values()]
        (row,) = await self._reader.fetch("keep_reach", list(reached), levels)
        return int(row["first"])

    async def unreached(self, newest: int, older_than: timedelta) -> int:
        """How many of the newest requests are open, of that age, and have got to nobody."""
        (row,) = await self._reader.fetch_list("unreached", newest, older_than)
        return int(row["n"])

    async def asked(
        self, where: AskedFilter, channel: str, after: AskedAt | None, limit: int
    ) -> AskedPage:
        """What a client has asked, the newest first, and the head of `channel` before it (E6)."""
        place = (None, None) if after is None else (after.created_at, after.id)
        (row,) = await self._reader.fetch_list(
            "asked", where.requestor, channel, list(where.statuses), where.tag, where.reach, *place,
            limit,
        )  # fmt: skip
        return AskedPage(_decode_rows(row["rows"]), row["head"])
