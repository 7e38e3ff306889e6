"""What is known of files: who may upload them, and what was kept of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from pxbox.model.file import FileFacts, SignedFile
from pxbox.postgres.reader import Reader


@dataclass(frozen=True, slots=True)
class Orphan:
    """A file that no answer refers to and none can refer to any more. `blob` is None for one that
    never was uploaded; `request_status` is that of its request."""

    id: str
    name: str
    size: int
    blob: str | None
    request_id: str
    request_status: str


class FileTable:
    """Every method raises Unavailable while the database cannot be reached.

    Like drafts, files cause nothing until an answer refers to them: each row is kept by a statement
    of its own, and the commit of the answer says in the request's state which they are.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def sign(self, file: SignedFile, most: int) -> bool:
        """Keep a file that may be uploaded; False where its entity has `most` of the request."""
        row = await self._reader.fetch_one(
            "sign_file", file.id, file.request_id, file.entity, file.name, file.mime, file.size,
            file.until, most,
        )  # fmt: skip
        return row is not None

    async def find(self, ids: Sequence[str]) -> dict[str, SignedFile]:
        """Those of these files that are known, by id."""
        rows = await self._reader.fetch("files", list(ids))
        return {row["id"]: _file(row) for row in rows}

    async def keep(self, id: str, blob: str, sha256: str) -> bool:
        """Say that all of the file is kept; False where something was before, or it is gone."""
        return await self._reader.fetch_one("keep_file", id, blob, sha256) is not None

    async def settle(self) -> int:
        """Note which files answers refer to, so that they are not looked at again; how many."""
        row = await self._reader.fetch_one("settle_files")
        assert row is not None, "an aggregate gives a row"
        return int(row["noted"])

    async def orphans(
        self, most: int, grace: timedelta, waiting: Sequence[str] = ()
    ) -> list[Orphan]:
        """Files that nobody will miss; `waiting` are those that were uploaded past the broker."""
        rows = await self._reader.fetch_list("orphaned_files", most, grace, list(waiting))
        return [
            Orphan(
                row["id"], row["name"], row["size"], row["blob"], row["request_id"],
                row["request_status"],
            )
            for row in rows
        ]  # fmt: skip

    async def forget(self, orphan: Orphan) -> bool:
        """Forget an orphan as it was seen; False where it was uploaded meanwhile."""
        return await self._reader.fetch_one("forget_file", orphan.id, orphan.blob) is not None

    async def withdraw(self, id: str) -> bool:
        """Forget a file that was signed for; False where it was uploaded, or is gone."""
        return await self._reader.fetch_one("forget_file", id, None) is not None

    async def named(self, blobs: Sequence[str]) -> frozenset[str]:
        """Which of these keys belong to files."""
        rows = await self._reader.fetch("named_blobs", list(blobs))
        return frozenset(row["blob"] for row in rows)


def _file(row: asyncpg.Record) -> SignedFile:
    kept = None
    if row["blob"] is not None:
        kept = FileFacts(
            row["id"], row["name"], row["mime"], row["size"], row["sha256"], row["blob"]
        )
    return SignedFile(
        row["id"], row["request_id"], row["entity_id"], row["name"], row["mime"], row["size"],
        row["until"], kept,
    )  # fmt: skip
