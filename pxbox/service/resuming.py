"""Uploads that may be cut off and gone on with: where each stands, what comes next, its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from pxbox.blobs.resumable import Draft, Drafts
from pxbox.domain.files import Arrival, refused
from pxbox.model.errors import FileExists, NotFound, OffsetConflict, UploadGone
from pxbox.model.file import FileFacts, SignedFile
from pxbox.model.request import OPEN
from pxbox.service.adopting import keep
from pxbox.service.core import Parts
from pxbox.service.files import find


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an upload has come, of how much, until when it can be gone on with.

    `offset` is `size` only once all of it is the file: `kept`.
    """

    offset: int
    size: int
    until: datetime
    kept: FileFacts | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is to be added, and where; `size` is None where nobody knows before it ends."""

    offset: int
    size: int | None
    data: AsyncIterator[bytes]


async def look(parts: Parts, file_id: str, query: Mapping[str, str]) -> Progress:
    """Where the upload of a URL that was given out for it stands; what is told has come to stay.

    Raises FileUrlRefused, NotFound, UploadGone; UploadLocked and FileExists of one that only has to
    be ended.
    """
    drafts, file = await _under_way(parts, file_id, query)
    if file.kept is not None:
        return _progress(file, query, file.size, file.kept)
    size = await drafts.size(file.id)
    if size < file.size:
        return _progress(file, query, size)
    # Whoever brought the last of it died before it was the file.
    async with drafts.hold(file.id) as draft:
        return await _ended(parts, query, draft, file.id)


async def go_on(parts: Parts, file_id: str, query: Mapping[str, str], chunk: Chunk) -> Progress:
    """Add what comes at the place where the upload stands, which must be the chunk's.

    What has come stays, whatever brings it raises. Raises what `look` does, OffsetConflict,
    UploadLocked, StorageFull, and FileRefused: where that was seen as it came, nothing stays.
    """
    drafts, file = await _under_way(parts, file_id, query)
    if chunk.offset + (chunk.size or 0) > file.size:
        raise refused("/size", f"was signed for {file.size} bytes; this would be more", "size")
    if file.kept is not None:
        _check_offset(chunk.offset, file.size)
        return _progress(file, query, file.size, file.kept)
    async with drafts.hold(file.id) as draft:
        _check_offset(chunk.offset, draft.size)
        await draft.append(chunk.data, Arrival(file.size, file.mime))
        return await _ended(parts, query, draft, file.id)


async def begin(parts: Parts, file_id: str, query: Mapping[str, str], size: int) -> Progress:
    """Where it stands, as `look`: nothing has to be made. Raises FileRefused where another size was
    signed for."""
    _, file = await _under_way(parts, file_id, query)
    if size != file.size:
        raise refused("/size", f"was signed for {file.size} bytes, not {size}", "size")
    return await look(parts, file_id, query)


async def give_up(parts: Parts, file_id: str, query: Mapping[str, str]) -> None:
    """Forget an upload, and that it was signed for. Raises FileExists where it is the file."""
    drafts, file = await _under_way(parts, file_id, query)
    async with drafts.hold(file.id) as draft:
        if not await parts.files.table.withdraw(file.id):
            raise FileExists("all of it was uploaded: it goes with its request")
        await draft.drop()


async def _under_way(
    parts: Parts, file_id: str, query: Mapping[str, str]
) -> tuple[Drafts, SignedFile]:
    drafts = parts.files.drafts
    if drafts is None:
        raise NotFound("this broker takes no uploads in parts")
    drafts.links.check("tus", file_id, query, parts.journal.now())
    file = await find(parts, file_id)
    request = await parts.views.request(file.request_id)
    if file.kept is None and (request is None or request.status not in OPEN):
        raise UploadGone(f"the request is {'gone' if request is None else request.status}")
    return drafts, file


async def _ended(parts: Parts, query: Mapping[str, str], draft: Draft, file_id: str) -> Progress:
    """Where it stands now; as the file, if all of it has come. Raises FileExists."""
    file = await find(parts, file_id)
    if draft.size < file.size:
        if file.kept is not None:
            raise FileExists("the file was uploaded another way meanwhile")
        return _progress(file, query, draft.size)
    try:
        received = await draft.keep()
        kept = await keep(parts.files.table, parts.files.storage, file, received)
    except (FileExists, NotFound):
        await draft.drop()
        raise
    await draft.drop()
    return _progress(file, query, file.size, kept)


def _check_offset(offset: int, here: int) -> None:
    if offset != here:
        raise OffsetConflict(f"the upload stands at {here}", offset=here)


def _progress(
    file: SignedFile, query: Mapping[str, str], offset: int, kept: FileFacts | None = None
) -> Progress:
    until = datetime.fromtimestamp(int(query["expires"]), UTC)
    return Progress(offset, file.size, until, kept)
