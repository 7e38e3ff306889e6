"""The contents of files over HTTP: uploads as they come, downloads piece by piece.

Beside Quart, which reads a body into memory as fast as it comes: here a slow disk slows the
uploader, and a file of any size takes the memory of some pieces.

Nothing that was uploaded may act in a browser as if it came from the broker: it is always an
attachment, of exactly the type that is stated, in a sandbox where it is shown regardless.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qsl, quote

import msgspec
import trio

from pxbox.blobs.storage import FileGone
from pxbox.model.errors import (
    InternalError,
    MethodNotAllowed,
    PxError,
    Unavailable,
)  # fmt: skip
from pxbox.model.file import FileFacts
from pxbox.model.ids import new_ulid
from pxbox.rest.call import JSON, RestReply, reply_problem
from pxbox.service import files
from pxbox.service.core import Parts

ASGI = Callable[[Any, Any, Any], Awaitable[None]]
Observe = Callable[[str, float, int], None]
OnFault = Callable[[str, str, Exception], None]
Headers = list[tuple[bytes, bytes]]

PATH = re.compile(r"/v1/files/([^/]+)/content")
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
# Types that no browser runs. Whatever is none of these is sent as bytes.
_PASSIVE = re.compile(
    r"image/(png|jpeg|gif|webp|avif|bmp|tiff)|audio/[a-z0-9.+-]+|video/[a-z0-9.+-]+"
    r"|text/(plain|csv)|application/(json|zip|gzip)", re.ASCII,
)  # fmt: skip
_SAFE: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-site"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"private, no-store"),
]


class PeerLeft(Exception):
    """The uploader went away before all had come; nobody hears an answer."""


def with_contents(app: ASGI, parts: Parts, observe: Observe, on_fault: OnFault) -> ASGI:
    """`app`, with the contents of files served before it is asked."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["raw_path"].decode("ascii").partition("?")[0]
            if (match := PATH.fullmatch(path)) is not None:
                await _Exchange(parts, scope, receive, send).serve(match[1], observe, on_fault)
                return
        await app(scope, receive, send)

    return serve


class _Exchange:
    """One request and its response."""

    def __init__(self, parts: Parts, scope: Any, receive: Any, send: Any) -> None:
        self._parts = parts
        self._method: str = scope["method"]
        self._headers = {name.lower(): value for name, value in scope["headers"]}
        self._query = _query(scope["query_string"])
        self._receive = receive
        self._send = send
        self._request_id = new_ulid()
        self._status = 0
        self._read = self._method in ("GET", "HEAD")

    async def serve(self, file_id: str, observe: Observe, on_fault: OnFault) -> None:
        operation = "upload" if self._method == "PUT" else "download"
        started = trio.current_time()
        try:
            await self._serve(file_id)
        except PeerLeft:
            return
        except PxError as error:
            await self._refuse(error)
        except Exception as error:
            on_fault(operation, self._request_id, error)
            # In the middle of a download only the broken length can say that something is wrong.
            if self._status:
                raise
            about = f"a fault of the broker; it is in its log under {self._request_id}"
            await self._refuse(InternalError(about, requestId=self._request_id))
        observe(operation, trio.current_time() - started, self._status)

    async def _serve(self, file_id: str) -> None:
        match self._method:
            case "PUT":
                with self._parts.room.hold(2 * self._parts.files.storage.piece_bytes):
                    async with aclosing(self._body()) as data:
                        view = await files.receive(self._parts, file_id, self._query, data)
                body = msgspec.json.encode(view)
                await self._reply(RestReply(200, body, {"content-type": JSON}))
            case "GET" | "HEAD":
                await self._download(file_id)
            case _:
                raise MethodNotAllowed("this path takes GET, HEAD or PUT")

    async def _body(self) -> AsyncGenerator[bytes, None]:
        while True:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise PeerLeft
            if event.get("body"):
                yield event["body"]
            if not event.get("more_body"):
                self._read = True
                return

    async def _download(self, file_id: str) -> None:
        found = await files.download(self._parts, file_id, self._query)
        size, etag = found.file.size, f'"{found.file.sha256}"'.encode()
        headers = [*_SAFE, (b"etag", etag), (b"accept-ranges", b"bytes"), *_naming(found.file)]
        if _lists(self._headers.get(b"if-none-match", b""), etag):
            await self._begin(304, headers)
            await self._send({"type": "http.response.body", "body": b""})
            return
        wanted = self._range(size, etag)
        if wanted is None:
            headers.append((b"content-range", b"bytes */%d" % size))
            await self._begin(416, [*headers, (b"content-length", b"0")])
            await self._send({"type": "http.response.body", "body": b""})
            return
        start, end, status = wanted
        if status == 206:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))
        await self._begin(status, [*headers, (b"content-length", b"%d" % (end - start))])
        if self._method == "GET":
            with self._parts.room.hold(self._parts.files.storage.piece_bytes):
                await self._pieces(found, start, end)
        await self._send({"type": "http.response.body", "body": b""})

    async def _pieces(self, found: files.Download, start: int, end: int) -> None:
        try:
            async with aclosing(found.read(start, end)) as pieces:
                async for piece in pieces:
                    part = {"type": "http.response.body", "body": piece, "more_body": True}
                    await self._send(part)
        except (FileGone, Unavailable):
            # Collected while it was read, or out of reach: the length that was announced shows it.
            raise PeerLeft from None

    def _range(self, size: int, etag: bytes) -> tuple[int, int, int] | None:
        """Which bytes to send, with which status; None where none of those asked for exist.

        What is no single range of bytes, or is of another version, counts as none (RFC 9110, 14.2).
        """
        match = _RANGE.fullmatch(self._headers.get(b"range", b"").decode("latin-1"))
        condition = self._headers.get(b"if-range", etag)
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

    async def _refuse(self, error: PxError) -> None:
        reply = reply_problem(error)
        if isinstance(error, MethodNotAllowed):
            reply.headers["allow"] = "GET, HEAD, PUT"
        await self._reply(reply)

    async def _reply(self, reply: RestReply) -> None:
        headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        headers += [*_SAFE, (b"content-length", b"%d" % len(reply.body))]
        await self._begin(reply.status, headers)
        body = b"" if self._method == "HEAD" else reply.body
        await self._send({"type": "http.response.body", "body": body})

    async def _begin(self, status: int, headers: Headers) -> None:
        self._status = status
        headers = [*headers, (b"x-request-id", self._request_id.encode())]
        if not self._read:
            # What is still to come is not waited for: nothing else can follow it.
            headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})


def _query(raw: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        pairs = []
    # What was given twice could be read in two ways: it counts as not given.
    return {name: value for name, value in pairs if sum(name == n for n, _ in pairs) == 1}


def _lists(header: bytes, etag: bytes) -> bool:
    return etag in [one.strip().removeprefix(b"W/") for one in header.split(b",")]


def _naming(file: FileFacts) -> Headers:
    """What it is and what to call it: the name is quoted twice, for old readers in ASCII
    (RFC 6266)."""
    plain = re.sub(r"[^A-Za-z0-9 ._()-]", "_", file.name)
    named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(file.name, safe='')}"
    mime = file.mime if _PASSIVE.fullmatch(file.mime) else "application/octet-stream"
    return [(b"content-type", mime.encode()), (b"content-disposition", named.encode("ascii"))]
