"""Files that no answer refers to, or can refer to any more: found, and deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from pxbox.postgres.files import Orphan
from pxbox.service.core import Files

GRACE = timedelta(days=2)
"""Longer than the slowest upload takes, so that nothing is taken from under one."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is, or would be, deleted: files, and keys in the storage that are no file's."""

    orphans: list[Orphan]
    strays: list[str]


async def find_orphans(files: Files, most: int, grace: timedelta = GRACE) -> Found:
    """Up to `most` files that nobody will miss; nothing is deleted."""
    orphans = await files.table.orphans(most, grace)
    lying = await files.storage.strays(grace)
    named = await files.table.named(lying)
    return Found(orphans, [key for key in lying if key not in named][:most])


async def collect(files: Files, most: int, grace: timedelta = GRACE) -> int:
    """Delete up to `most` of them; return how many files those were.

    The bytes go first: who dies between has a file without bytes, which is found again. Only files
    of closed requests have bytes to lose, and a closed request is never answered.
    """
    await files.table.settle()
    await files.storage.drop_drafts(grace)
    found = await find_orphans(files, most, grace)
    for orphan in found.orphans:
        if orphan.blob is not None:
            await files.storage.delete(orphan.blob)
        await files.table.forget(orphan)
    for key in found.strays:
        await files.storage.delete(key)
    return len(found.orphans)
