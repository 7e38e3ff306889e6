"""Files of a request's answer: signed for, uploaded, downloaded, held to the policy."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pxbox.blobs.storage import Storage
from pxbox.domain import access
from pxbox.domain import files as domain
from pxbox.domain.access import Caller
from pxbox.domain.file_places import referred_files
from pxbox.model import wire
from pxbox.model.errors import (
    FieldError,
    FileRefused,
    InvalidAnswer,
    NotFound,
    WrongStatus,
)
from pxbox.model.file import MEGABYTE, FileFacts, FilesPolicy, Referral, SignedFile
from pxbox.model.ids import is_ulid, new_ulid
from pxbox.model.request import OPEN, Request
from pxbox.postgres.files import FileTable
from pxbox.service.adopting import keep
from pxbox.service.core import Call, Outcome, Parts
from pxbox.service.requests import file_url, file_view, known
from pxbox.service.schemas import Schemas

UPLOAD_SECONDS = 3600
"""How long after it was signed for an upload may begin."""
RESUME_SECONDS = 24 * 3600
"""How long after that one that was cut off can be gone on with."""


async def sign(parts: Parts, call: Call) -> Outcome:
    """Let the caller upload a file for its answer to a request; replies `FileSigned`.

    Raises NotFound, Forbidden, WrongStatus, FileRefused.
    """
    input = call.input
    assert isinstance(input, wire.SignFile)
    responder = call.caller.responder()
    request = await parts.views.request(known(input.request_id))
    if request is None or not access.may_answer(call.caller, request):
        raise NotFound("no such request")
    if request.status not in OPEN:
        raise WrongStatus(f"the request is {request.status}", requestStatus=request.status)
    policy = _policy(request)
    name, mime = domain.label(input.name), domain.media_type(input.content_type)
    domain.check_file(policy, name, mime, input.size)
    if input.size > parts.files.most_bytes:
        most = parts.files.most_bytes // MEGABYTE
        raise domain.refused("/size", f"must be at most {most} MB on this broker", "maxFileMB")
    now, drafts = parts.journal.now(), parts.files.drafts
    until = now + timedelta(seconds=UPLOAD_SECONDS)
    resumed_until = now + timedelta(seconds=RESUME_SECONDS)
    file = SignedFile(new_ulid(), request.id, responder.entity, name, mime, input.size, until, None)
    if not await parts.files.table.sign(file, domain.UNUSED_PER_FILE * policy.max_files):
        raise FileRefused("too many files were signed for already; refer to some of those")
    storage = parts.files.storage
    upload = await storage.presign_put(file.id, until)
    signed = wire.FileSigned(
        file_id=file.id,
        put_url=upload.url,
        put_headers=dict(upload.headers),
        get_url=storage.presign_get(file.id, until),
        resume_url=drafts.links.sign("tus", file.id, resumed_until) if drafts else None,
        expires_at=until,
    )
    return Outcome(signed)


async def read(parts: Parts, call: Call) -> Outcome:
    """A file that was uploaded, for whoever may read the answer that refers to it, and for who
    uploaded it; replies `FileView`. Raises NotFound."""
    input = call.input
    assert isinstance(input, wire.GetFile)
    file = await find(parts, input.id)
    request = await parts.views.request(file.request_id)
    if request is None or not _may_read(call.caller, file, request):
        raise NotFound("no such file")
    kept = file.kept
    if kept is None and request.status in OPEN:
        kept = await parts.files.adoptions.find(file)
    if kept is None:
        raise NotFound("no such file")
    return Outcome(file_view(kept, file_url(parts.files, file.id)))


def _may_read(caller: Caller, file: SignedFile, request: Request) -> bool:
    referred = any(one.id == file.id for one in request.files)
    if referred and access.may_read_answer(caller, request):
        return True
    mine = caller.entity is not None and caller.entity.id == file.entity
    return mine and access.may_answer(caller, request)


async def receive(
    parts: Parts, file_id: str, query: Mapping[str, str], data: AsyncIterator[bytes]
) -> wire.FileView:
    """Keep what is uploaded by a URL that was given out for it; repeating it is safe.

    Raises FileUrlRefused, NotFound, WrongStatus, FileRefused, FileExists, StorageFull, and what
    `data` raises: then nothing of it is kept.
    """
    parts.files.storage.links.check("put", file_id, query, parts.journal.now())
    file = await find(parts, file_id)
    request = await parts.views.request(file.request_id)
    if request is None or (request.status not in OPEN and file.kept is None):
        status = "gone" if request is None else request.status
        raise WrongStatus(f"the request is {status}", requestStatus=request and request.status)
    arrival = domain.Arrival(file.size, file.mime)
    received = await parts.files.storage.receive(file_id, data, arrival)
    kept = await keep(parts.files.table, parts.files.storage, file, received)
    return file_view(kept, file_url(parts.files, file_id))


@dataclass(frozen=True, slots=True)
class Download:
    file: FileFacts
    storage: Storage

    def read(self, start: int, end: int) -> AsyncGenerator[bytes, None]:
        return self.storage.read(self.file.blob, start, end)


async def download(parts: Parts, file_id: str, query: Mapping[str, str]) -> Download:
    """The file of a URL that was given out for reading it.

    Raises FileUrlRefused, NotFound, and what looking at an upload raises (`Adoptions.find`).
    """
    parts.files.storage.links.check("get", file_id, query, parts.journal.now())
    file = await find(parts, file_id)
    found = None
    if file.kept is not None or await _is_open(parts, file):
        found = await parts.files.adoptions.find(file)
    if found is None:
        raise NotFound("nothing was uploaded as this file yet")
    return Download(found, parts.files.storage)


async def _is_open(parts: Parts, file: SignedFile) -> bool:
    request = await parts.views.request(file.request_id)
    return request is not None and request.status in OPEN


async def find(parts: Parts, file_id: str) -> SignedFile:
    """A file that was signed for. Raises NotFound."""
    file = (await parts.files.table.find([file_id])).get(file_id) if is_ulid(file_id) else None
    if file is None:
        raise NotFound("no such file")
    return file


def _policy(request: Request) -> FilesPolicy:
    if request.files_policy is None:
        raise FileRefused("the request asks for no files")
    return request.files_policy


class AnsweredFiles:
    """Finds the files that an answer refers to, and holds them to the request's policy.

    By what was signed for: whether that is what was uploaded is found out beside the actor
    (`Adoptions`), for it may take long.
    """

    def __init__(self, table: FileTable, schemas: Schemas) -> None:
        self._table = table
        self._schemas = schemas

    async def of(
        self, request: Request, entity: str, value: object, named: Sequence[str]
    ) -> tuple[Referral, ...]:
        """The files of an answer, those in its payload first, each once.

        Raises InvalidAnswer where one is not this entity's own and of this request, and FileRefused
        where they are not what the request admits.
        """
        if request.files_policy is None:
            if named:
                raise FileRefused("the request asks for no files")
            return ()
        schema = await self._schemas.text(request.schema_hash)
        places = referred_files(schema, value)
        places += [(f"/files/{n}", id) for n, id in enumerate(named)]
        if not places:
            return ()
        found = await self._table.find([id for _, id in places if is_ulid(id)])
        errors: list[FieldError] = []
        files: dict[str, Referral] = {}
        for pointer, id in places:
            file = found.get(id)
            if file is None or (file.request_id, file.entity) != (request.id, entity):
                errors.append(FieldError(pointer, domain.NOT_UPLOADED, "pxbox-file"))
            else:
                files.setdefault(id, Referral(pointer, file))
        if errors:
            raise InvalidAnswer("the answer refers to files that are not there", errors=errors)
        domain.check_files(request.files_policy, [one.file for one in files.values()])
        return tuple(files.values())
