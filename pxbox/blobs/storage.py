"""What every storage of files offers; nothing here knows of requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Stat:
    """What the storage itself says of what it keeps."""

    size: int


class Storage(Protocol):
    """Keeps bytes under keys that it, or the broker, has made: never under a name from outside.

    What lies under a key never changes, and is whole or not there.
    """

    def presign_put(self, file_id: str, until: datetime) -> str:
        """A URL that whoever has it may upload this file by, until then."""
        ...

    def presign_get(self, file_id: str, until: datetime) -> str:
        """A URL that whoever has it may download this file by, until then."""
        ...

    async def stat(self, key: str) -> Stat | None:
        """What lies there; None: nothing."""
        ...

    async def delete(self, key: str) -> None:
        """Delete what lies there, if anything does."""
        ...

    def read(self, key: str, start: int, end: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to `end`, exclusive, piece by piece. Raises FileGone."""
        ...


class FileGone(Exception):
    """Nothing lies under the key, or less than was asked for."""
