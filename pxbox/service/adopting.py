"""Files that answers refer to are made sure of: what lies in the storage is what was signed for.

What was uploaded past the broker is taken in here. That may take as long as reading and writing
gigabytes does, so it is done beside the request's actor and goes on whoever waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Never

import trio

from pxbox.blobs.storage import Received, Storage
from pxbox.domain import files as domain
from pxbox.model.errors import (
    Draining,
    FieldError,
    FileExists,
    FileRefused,
    InternalError,
    InvalidAnswer,
    NotFound,
    Overloaded,
    PxError,
    Unavailable,
)
from pxbox.model.file import FileFacts, Referral, SignedFile
from pxbox.postgres.files import FileTable

WAIT_SECONDS = 15.0
"""How long a caller waits for files to be taken in; repeating the call waits on."""
_AT_ONCE = 4
_MOST = 256

OnFault = Callable[[Exception], None]


async def keep(
    table: FileTable, storage: Storage, file: SignedFile, received: Received
) -> FileFacts:
    """The first upload that is whole is the file; another one of the same bytes changes nothing.

    Raises NotFound, FileExists.
    """
    if await table.keep(file.id, received.key, received.sha256):
        return FileFacts(file.id, file.name, file.mime, file.size, received.sha256, received.key)
    await storage.delete(received.key)
    found = (await table.find([file.id])).get(file.id)
    if found is None or found.kept is None:
        raise NotFound("no such file")
    if found.kept.sha256 != received.sha256:
        raise FileExists("another content was uploaded as this file; sign for a new one")
    return found.kept


@dataclass(slots=True)
class _Look:
    """One look at a file that is under way, or what came of it."""

    done: trio.Event = field(default_factory=trio.Event)
    found: FileFacts | None = None
    refusal: PxError | None = None


class Adoptions:
    """Looks at each file once at a time, some files at once; `run` has to run."""

    def __init__(self, table: FileTable, storage: Storage) -> None:
        self._table = table
        self._storage = storage
        self._under_way: dict[str, _Look] = {}
        self._limit = trio.CapacityLimiter(_AT_ONCE)
        self._begin, self._begun = trio.open_memory_channel[tuple[SignedFile, _Look]](_MOST)

    async def run(self, on_fault: OnFault) -> Never:
        """Look at what is asked for; never ends. `on_fault` hears of what should not happen."""
        async with trio.open_nursery() as nursery:
            async for file, look in self._begun:
                nursery.start_soon(self._look, file, look, on_fault)
        raise AssertionError("nobody closes it")

    async def find(self, file: SignedFile) -> FileFacts | None:
        """What is kept of the file, taken in first where it was uploaded past the broker.

        None: nothing is there. Raises FileRefused where it is not what was signed for, and
        Unavailable where the storage is away, or is not done yet: the look goes on then.
        """
        with trio.move_on_after(WAIT_SECONDS):
            return await self._found(self._start(file))
        raise _not_done()

    async def make_sure(self, referrals: Sequence[Referral]) -> None:
        """Return once all these files are there, each what was signed for.

        Raises InvalidAnswer and FileRefused with every place that is wrong, else as `find`.
        """
        looks = [(one, self._start(one.file)) for one in referrals]
        missing: list[FieldError] = []
        refused: list[FieldError] = []
        with trio.move_on_after(WAIT_SECONDS) as waited:
            for one, look in looks:
                try:
                    if await self._found(look) is None:
                        missing.append(FieldError(one.pointer, domain.NOT_UPLOADED, "pxbox-file"))
                except FileRefused as error:
                    refused += [FieldError(one.pointer, e.message, e.keyword) for e in error.errors]
        if waited.cancelled_caught:
            raise _not_done()
        if missing:
            raise InvalidAnswer("the answer refers to files that are not there", errors=missing)
        if refused:
            about = "what was uploaded is not what was signed for; upload it anew"
            raise FileRefused(about, errors=refused)

    def _start(self, file: SignedFile) -> _Look:
        """Look at it, or join who does."""
        look = self._under_way.get(file.id)
        if look is None:
            look = _Look()
            try:
                self._begin.send_nowait((file, look))
            except trio.WouldBlock:
                raise Overloaded("too many files are looked at; try again in a moment") from None
            self._under_way[file.id] = look
        return look

    async def _found(self, look: _Look) -> FileFacts | None:
        await look.done.wait()
        if look.refusal is not None:
            raise look.refusal
        return look.found

    async def _look(self, file: SignedFile, look: _Look, on_fault: OnFault) -> None:
        look.refusal = Draining("this broker is shutting down; try again")
        try:
            look.found = await self._whole(file)
            look.refusal = None
        except PxError as error:
            look.refusal = error
        except Exception as error:
            on_fault(error)
            look.refusal = InternalError("a fault of the broker; it is in its log")
        finally:
            del self._under_way[file.id]
            look.done.set()

    async def _whole(self, file: SignedFile) -> FileFacts | None:
        kept = file.kept
        if kept is None:
            async with self._limit:
                kept = await self._adopt(file)
            # Another process may have taken it in meanwhile, and the upload away.
            found = (await self._table.find([file.id])).get(file.id) if kept is None else None
            return found.kept if found is not None else kept
        stat = await self._storage.stat(kept.blob)
        return kept if stat is not None and stat.size == kept.size else None

    async def _adopt(self, file: SignedFile) -> FileFacts | None:
        received = await self._storage.admit(file.id, domain.Arrival(file.size, file.mime))
        if received is None:
            return None
        kept = await keep(self._table, self._storage, file, received)
        # What is left there is collected.
        with suppress(Unavailable):
            await self._storage.dismiss(file.id)
        return kept


def _not_done() -> Unavailable:
    return Unavailable("the files are still being read; repeat this in a moment")
