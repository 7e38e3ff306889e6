"""How far clients have dealt with channels, kept under their session names (E8)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pxbox.model.channel import Place, Position
from pxbox.postgres.reader import Reader


class Acknowledged:
    """Every method raises Unavailable while the database cannot be reached."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def keep(self, epoch: str, seqs: Mapping[Place, int]) -> None:
        """Keep these numbers of `epoch`, where they are greater than what is kept of it."""
        columns = [list(column) for column in zip(*seqs, strict=True)]
        await self._reader.fetch("keep_acknowledged", *columns, epoch, list(seqs.values()))

    async def at(self, place: Place) -> Position | None:
        row = await self._reader.fetch_one("acknowledged", *place)
        return None if row is None else Position(row["epoch"], row["seq"])

    async def purge(self, older_than: timedelta, most: int) -> int:
        """Delete up to `most` that have not changed for so long; return how many."""
        (row,) = await self._reader.fetch("purge_acknowledged", older_than, most)
        return int(row["gone"])
