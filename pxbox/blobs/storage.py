"""What every storage of files offers; nothing here knows of requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from pxbox.blobs.links import Links
from pxbox.domain.files import Arrival


@dataclass(frozen=True, slots=True)
class Stat:
    """What the storage itself says of what it keeps."""

    size: int


@dataclass(frozen=True, slots=True)
class UploadUrl:
    """Where a file is to be PUT, relative to the broker or absolute, and with which headers."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Received:
    """What was uploaded and is kept under `key`."""

    key: str
    size: int
    sha256: str


class Storage(Protocol):
    """Keeps bytes under keys that it, or the broker, has made: never under a name from outside.

    What lies under a key never changes, and is whole or not there. Every method but `presign_get`
    raises Unavailable while the storage cannot be reached.
    """

    @property
    def links(self) -> Links:
        """The URLs that the broker itself serves files by."""
        ...

    @property
    def origin(self) -> str | None:
        """The origin of another server that uploads go to, as browsers write it."""
        ...

    @property
    def piece_bytes(self) -> int:
        """How much `read` gives at a time, and about half of what one upload holds."""
        ...

    async def presign_put(self, file_id: str, until: datetime) -> UploadUrl:
        """A URL that whoever has it may upload this file by, until then."""
        ...

    def presign_get(self, file_id: str, until: datetime) -> str:
        """A URL that whoever has it may download this file by, until then."""
        ...

    async def receive(self, file_id: str, data: AsyncIterator[bytes], arrival: Arrival) -> Received:
        """Keep what comes; nobody sees any of it before all of it is kept.

        Raises what `arrival` and `data` raise, and StorageFull: then nothing is kept.
        """
        ...

    async def admit(self, file_id: str, arrival: Arrival) -> Received | None:
        """Keep what was uploaded past the broker, as it is now; None: nothing was.

        What is kept are the bytes that `arrival` has judged, whatever is uploaded meanwhile or
        later. Raises what it raises: then nothing is kept.
        """
        ...

    async def waiting(self) -> Mapping[str, datetime]:
        """What was uploaded past the broker and not dismissed: file ids, and since when."""
        ...

    async def dismiss(self, file_id: str) -> None:
        """Delete what was uploaded past the broker as this file, if anything was."""
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

    async def lying(self, older: timedelta, after: str, most: int) -> list[str]:
        """The first `most` keys beyond `after` of what has lain here for longer, in order."""
        ...

    async def drop_drafts(self, older: timedelta) -> None:
        """Delete what nothing was added to for longer: whoever wrote it is gone."""
        ...


class FileGone(Exception):
    """Nothing lies under the key, or less than was asked for."""
