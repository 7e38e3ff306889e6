"""Files of answers: uploaded from a disk and downloaded to one, whatever their size."""

from __future__ import annotations

import mimetypes
import os
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import anyio
import msgspec

from pxbox.client.errors import Conflict, Corrupted, Forbidden
from pxbox.client.rest import Call, read_reply
from pxbox.client.retry import Backoff, Transient
from pxbox.client.transfer import Progress, Sink, Source, open_sink, open_source
from pxbox.model import wire

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox

RESUMED_BYTES = 16 * 1024 * 1024
"""Larger files are sent so that one that was cut off goes on where it stands; smaller ones anew."""

_TUS = {"tus-resumable": "1.0.0"}

Place = str | os.PathLike[str] | BinaryIO


class Files:
    """What goes up to be referred to by an answer, and what comes down of one."""

    def __init__(self, px: AsyncPxBox) -> None:
        self._px = px

    async def upload(
        self,
        request_id: str,
        source: Place,
        *,
        name: str | None = None,
        content_type: str | None = None,
        progress: Progress | None = None,
    ) -> wire.FileView:
        """Upload a file for one's answer to a request; its `id` goes into the answer.

        `source` is a path, or a stream of bytes. What is not said of `name` and `content_type` is
        taken from the path. A broken connection is mended for as long as the client is patient,
        counted from the first try that brought nothing on. Raises ValidationFailed where the
        request does not admit such a file, NotFound, Conflict, and Corrupted.
        """
        name = name or _name_of(source)
        mime = content_type or mimetypes.guess_type(name)[0] or "application/octet-stream"
        async with open_source(source) as file:
            about = {"requestId": request_id, "name": name, "contentType": mime, "size": file.size}
            signed = await self._px.carry_out("signFile", about, wire.FileSigned)

            def told(done: int) -> None:
                if progress is not None:
                    progress(done, file.size)

            upload = _Upload(self._px, file, told)
            if signed.resume_url is not None and file.size > RESUMED_BYTES:
                came = await upload.resumed(signed.resume_url)
            else:
                came = await upload.whole(signed.put_url, signed.put_headers)
            if came is not None and came != file.sha256:
                raise Corrupted("the file did not arrive as it was sent", code="corrupted")
            told(file.size)
        return wire.FileView(
            id=signed.file_id, name=name, size=file.size, mime=mime, sha256=file.sha256,
            url=signed.get_url,
        )  # fmt: skip

    async def get(self, id: str) -> wire.FileView:
        """A file that one may read, with a URL for some minutes. Raises NotFound."""
        return await self._px.carry_out("getFile", {"id": id}, wire.FileView)

    async def download(
        self,
        file: str | wire.FileView,
        to: Place,
        *,
        progress: Progress | None = None,
    ) -> wire.FileView:
        """Download a file by its id, or one of a response; return what is known of it.

        `to` is the path of the file to be made, or replaced, once all of it has come and is what
        was uploaded; or a stream for bytes, which has them before that is known. A connection that
        was broken goes on where it stood, for as long as the client is patient. Raises NotFound,
        and Corrupted.
        """
        view = await self.get(file) if isinstance(file, str) else file
        async with open_sink(to) as sink:
            await _Download(self._px, view, sink, progress).run()
            await sink.flush()
            if (sink.done, sink.sha256) != (view.size, view.sha256):
                raise Corrupted("the file did not arrive as it was uploaded", code="corrupted")
        return view


class _Trouble:
    """Tries that came to nothing, one after another: how long to wait before the next."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._backoff = Backoff()
        self._since: float | None = None

    async def wait(self, failure: Transient) -> None:
        """Raises its error where patience, counted from the first failure, will not last."""
        now = anyio.current_time()
        self._since = self._since or now
        wait = self._backoff.next(failure.after)
        if now + wait > self._since + self._patience:
            raise failure.error from None
        await anyio.sleep(wait)


class _Upload:
    """One file on its way up; the SHA-256 of what came is returned, where it was said."""

    def __init__(self, px: AsyncPxBox, source: Source, told: Any) -> None:
        self._link = px.link
        self._source = source
        self._told = told

    async def whole(self, url: str, headers: Mapping[str, str]) -> str | None:
        from pxbox.client import http

        call = Call("PUT", url, {"content-type": "application/octet-stream", **headers})
        async with http.reaching(url, self._link.http) as reached:

            async def once() -> bytes:
                return read_reply(await http.send_file(reached, call, self._source, 0, self._told))

            body = await self._link.persist(once, self._link.patience)
        with suppress(msgspec.MsgspecError):
            return msgspec.json.decode(body, type=wire.FileView).sha256
        return None

    async def resumed(self, url: str) -> str | None:
        """By the tus protocol: as much as comes through, then on from where it stands."""
        stands, trouble = 0, _Trouble(self._link.patience)
        while True:
            try:
                return _digest(await self._patch(url, stands))
            except Transient as failure:
                await trouble.wait(failure)
            except Conflict as conflict:
                if conflict.code != "offset_conflict":
                    raise
                await trouble.wait(Transient(conflict))
            with suppress(Transient):
                came = int((await self._look(url))["upload-offset"])
                if came > stands:
                    trouble = _Trouble(self._link.patience)
                stands = came

    async def _patch(self, url: str, start: int) -> Mapping[str, str]:
        from pxbox.client import http

        offset = {"upload-offset": str(start), "content-type": "application/offset+octet-stream"}
        call = Call("PATCH", url, {**_TUS, **offset})
        answered = await http.send_file(self._link.http, call, self._source, start, self._told)
        read_reply(answered)
        return answered.headers

    async def _look(self, url: str) -> Mapping[str, str]:
        from pxbox.client import http

        answered = await http.send(self._link.http, Call("HEAD", url, _TUS))
        read_reply(answered)
        return answered.headers


class _Download:
    """One file on its way down."""

    def __init__(
        self, px: AsyncPxBox, view: wire.FileView, sink: Sink, progress: Progress | None
    ) -> None:
        self._px = px
        self._view = view
        self._sink = sink
        self._progress = progress

    async def run(self) -> None:
        trouble = _Trouble(self._px.link.patience)
        while True:
            before = self._sink.done
            try:
                await self._once()
                return
            except Transient as failure:
                if self._sink.done > before:
                    trouble = _Trouble(self._px.link.patience)
                await trouble.wait(failure)

    async def _once(self) -> None:
        if self._sink.done == self._view.size > 0:
            return
        try:
            await self._fetch(self._view.url)
        except Forbidden:
            # The URL counts for some minutes: another one is given out to who may have it.
            await self._fetch((await self._px.files.get(self._view.id)).url)

    async def _fetch(self, url: str) -> None:
        from pxbox.client import http

        async with http.reaching(url, self._px.link.http) as reached:
            await http.fetch_file(reached, url, self._sink.done, self._take)

    async def _take(self, data: bytes) -> None:
        if self._sink.done + len(data) > self._view.size:
            raise Corrupted("more came than the file is long", code="corrupted")
        await self._sink.take(data)
        if self._progress is not None:
            self._progress(self._sink.done, self._view.size)


def _name_of(source: Place) -> str:
    given = source if isinstance(source, str | os.PathLike) else getattr(source, "name", "")
    return (Path(given).name if isinstance(given, str | os.PathLike) else "") or "file"


def _digest(headers: Mapping[str, str]) -> str | None:
    """The SHA-256 of a Repr-Digest (RFC 9530)."""
    for one in headers.get("repr-digest", "").split(","):
        name, _, value = one.strip().partition("=")
        if name == "sha-256":
            return b64decode(value.strip(":")).hex()
    return None
