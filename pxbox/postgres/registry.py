"""Schemas by name and version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pxbox.postgres.reader import Reader

# The largest number that the column holds: what is above it is no version.
_MOST_VERSION = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Version:
    """`body` is the schema as JSON."""

    version: int
    hash: str
    created_at: datetime
    created_by: str
    body: bytes


class Registry:
    """Every method raises Unavailable while the database cannot be reached."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def version(self, name: str, version: int | None = None) -> Version | None:
        """This version, or the latest; None where there is none."""
        if version is not None and not 1 <= version <= _MOST_VERSION:
            return None
        row = await self._reader.fetch_one("schema_version", name, version)
        if row is None:
            return None
        return Version(
            row["version"], row["hash"], row["created_at"], row["created_by"], row["body"].encode()
        )

    async def put(self, name: str, version: int, hash: str, by: str) -> datetime | None:
        """Make this version, of a schema that is kept; None where it is there already."""
        row = await self._reader.fetch_one("put_schema_version", name, version, hash, by)
        return None if row is None else row["created_at"]

    async def text(self, name: str, version: int | None) -> tuple[int, bytes] | None:
        """The number and the schema of a version, or of the latest."""
        found = await self.version(name, version)
        return None if found is None else (found.version, found.body)
