"""The contents of files over HTTP: uploads as they come, downloads piece by piece.

Beside Quart, which reads a body into memory as fast as it comes: here a slow disk slows the
uploader, and a file of any size takes the memory of some pieces.

Nothing that was uploaded may act in a browser as if it came from the broker: it is always an
attachment, of exactly the type that is stated, in a sandbox where it is shown regardless.
"""

from __future__ import annotations

import re
from contextlib import aclosing
from typing import Any
from urllib.parse import quote

import msgspec

from pxbox.blobs.storage import FileGone
from pxbox.model.errors import MethodNotAllowed, Unavailable
from pxbox.model.file import FileFacts
from pxbox.rest.call import JSON, RestReply
from pxbox.rest.exchange import ASGI, SAFE, Exchange, Headers, Observe, OnFault, PeerLeft
from pxbox.service import files
from pxbox.service.core import Parts

METHODS = "GET, HEAD, PUT"
PATH = re.compile(r"/v1/files/([^/]+)/content")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
# Types that no browser runs. Whatever is none of these is sent as bytes.
_PASSIVE = re.compile(
    r"image/(png|jpeg|gif|webp|avif|bmp|tiff)|audio/[a-z0-9.+-]+|video/[a-z0-9.+-]+"
    r"|text/(plain|csv)|application/(json|zip|gzip)", re.ASCII,
)  # fmt: skip


def with_contents(app: ASGI, parts: Parts, observe: Observe, on_fault: OnFault) -> ASGI:
    """`app`, with the contents of files served before it is asked."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["raw_path"].decode("ascii").partition("?")[0]
            if (match := PATH.fullmatch(path)) is not None:
                exchange = Exchange(scope, receive, send, METHODS)
                operation = "upload" if exchange.method == "PUT" else "download"
                content = _Content(parts, exchange, match[1])
                await exchange.serve(operation, content.answer, observe, on_fault)
                return
        await app(scope, receive, send)

    return serve


class _Content:
    """One request for a file's content."""

    def __init__(self, parts: Parts, exchange: Exchange, file_id: str) -> None:
        self._parts = parts
        self._exchange = exchange
        self._file_id = file_id

    async def answer(self) -> None:
        match self._exchange.method:
            case "PUT":
                await self._upload()
            case "GET" | "HEAD":
                await self._download()
            case _:
                raise MethodNotAllowed(f"this path takes {METHODS}")

    async def _upload(self) -> None:
        query = self._exchange.query
        with self._parts.room.hold(2 * self._parts.files.storage.piece_bytes):
            async with aclosing(self._exchange.body()) as data:
                view = await files.receive(self._parts, self._file_id, query, data)
        body = msgspec.json.encode(view)
        await self._exchange.reply(RestReply(200, body, {"content-type": JSON}))

    async def _download(self) -> None:
        found = await files.download(self._parts, self._file_id, self._exchange.query)
        size, etag = found.file.size, f'"{found.file.sha256}"'.encode()
        headers = [*SAFE, (b"etag", etag), (b"accept-ranges", b"bytes"), *_naming(found.file)]
        if _lists(self._exchange.headers.get(b"if-none-match", b""), etag):
            await self._exchange.begin(304, headers)
            await self._exchange.end()
            return
        wanted = self._range(size, etag)
        if wanted is None:
            headers.append((b"content-range", b"bytes */%d" % size))
            await self._exchange.begin(416, [*headers, (b"content-length", b"0")])
            await self._exchange.end()
            return
        start, end, status = wanted
        if status == 206:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))
        await self._exchange.begin(status, [*headers, (b"content-length", b"%d" % (end - start))])
        if self._exchange.method == "GET":
            with self._parts.room.hold(self._parts.files.storage.piece_bytes):
                await self._pieces(found, start, end)
        await self._exchange.end()

    async def _pieces(self, found: files.Download, start: int, end: int) -> None:
        try:
            async with aclosing(found.read(start, end)) as pieces:
                async for piece in pieces:
                    await self._exchange.send(piece)
        except (FileGone, Unavailable):
            # Collected while it was read, or out of reach: the length that was announced shows it.
            raise PeerLeft from None

    def _range(self, size: int, etag: bytes) -> tuple[int, int, int] | None:
        """Which bytes to send, with which status; None where none of those asked for exist.

        What is no single range of bytes, or is of another version, counts as none (RFC 9110, 14.2).
        """
        match = _RANGE.fullmatch(self._exchange.headers.get(b"range", b"").decode("latin-1"))
        condition = self._exchange.headers.get(b"if-range", etag)
        if match is None or match[0] == "bytes=-" or condition != etag:
            return 0, size, 200
        first, last = match[1], match[2]
        if not first:
            start, end = max(0, size - int(last)), size
        else:
            start, end = int(first), min(size, int(last) + 1) if last else size
            if last and int(last) < start:
                return 0, size, 200
        return (start, end, 206) if start < end else None


def _lists(header: bytes, etag: bytes) -> bool:
    return etag in [one.strip().removeprefix(b"W/") for one in header.split(b",")]


def _naming(file: FileFacts) -> Headers:
    """What it is and what to call it: the name is quoted twice, for old readers in ASCII
    (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", file.name)
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    mime = file.mime if _PASSIVE.fullmatch(file.mime) else "application/octet-stream"
    return [(b"content-type", mime.encode()), (b"content-disposition", named.encode("ascii"))]
