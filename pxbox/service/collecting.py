"""Files that no answer refers to, or can refer to any more: found, and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from pxbox.postgres.files import Orphan
from pxbox.service.core import Files

GRACE = timedelta(days=2)
"""Longer than the slowest upload takes, so that nothing is taken from under one."""
_MOST_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class Found:
    """What is, or would be, deleted: files, keys in the storage that are no file's, and uploads
    that no file waits for, by the id that they were made for.

    `after` is the key to go on looking after; empty at the end.
    """

    orphans: list[Orphan]
    strays: list[str]
    leftovers: list[str] = field(default_factory=list)
    after: str = ""


async def find_orphans(files: Files, most: int, grace: timedelta = GRACE, after: str = "") -> Found:
    """Up to `most` files that nobody will miss, and what of the next keys in the storage is no
    file's; nothing is deleted."""
    waiting = await files.storage.waiting()
    orphans = await files.table.orphans(most, grace, list(waiting))
    lying = await files.storage.lying(grace, after, _MOST_KEYS)
    named = await files.table.named(lying)
    strays = [key for key in lying if key not in named]
    more = lying[-1] if len(lying) == _MOST_KEYS else ""
    return Found(orphans, strays, await _leftovers(files, waiting, grace), more)


async def _leftovers(files: Files, waiting: Mapping[str, datetime], grace: timedelta) -> list[str]:
    """Uploads for files that are gone, or were kept before."""
    before = datetime.now(UTC) - grace
    old = [id for id, since in waiting.items() if since < before]
    known = await files.table.find(old)
    return [id for id in old if id not in known or known[id].kept is not None]


class Collector:
    """Collects again and again, going on in the storage where it stopped."""

    def __init__(self, files: Files, grace: timedelta = GRACE) -> None:
        self._files = files
        self._grace = grace
        self._after = ""

    async def collect(self, most: int) -> int:
        """Delete up to `most` of them; return how many files those were.

        The bytes go first: who dies between has a file without bytes, which is found again. Only
        files of closed requests have bytes to lose, and a closed request is never answered.
        """
        storage = self._files.storage
        await self._files.table.settle()
        await storage.drop_drafts(self._grace)
        found = await find_orphans(self._files, most, self._grace, self._after)
        for orphan in found.orphans:
            if orphan.blob is not None:
                await storage.delete(orphan.blob)
            await storage.dismiss(orphan.id)
            await self._files.table.forget(orphan)
        for key in found.strays:
            await storage.delete(key)
        for id in found.leftovers:
            await storage.dismiss(id)
        self._after = found.after
        return len(found.orphans)
