"""Uploads that may be cut off and gone on with, by the tus protocol 1.0.0 (tus.io), with its
extensions creation, creation-with-upload, expiration and termination.

The URL is made when a file is signed for. It is both where an upload is created and the upload
itself, so that a client may be given it as either: creating says where it stands.
"""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import aclosing
from typing import Any
from urllib.parse import urlencode

from pxbox.blobs.local import PIECE_BYTES
from pxbox.model.errors import (
    InvalidRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    UnsupportedMediaType,
    UnsupportedVersion,
)
from pxbox.rest.call import RestReply, http_date
from pxbox.rest.exchange import ASGI, Exchange, Observe, OnFault
from pxbox.service import resuming
from pxbox.service.core import Parts
from pxbox.service.resuming import Chunk, Progress

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination"
METHODS = "OPTIONS, POST, HEAD, PATCH, DELETE"
SILENCE_SECONDS = 5.0
"""How long an uploader may send nothing before it loses its turn. Another connection of the same
one, made when its line was lost and nobody has told us, is not locked out for longer."""

PATH = re.compile(r"/v1/files/([^/]+)/tus")
_CHUNK = b"application/offset+octet-stream"
_MOST_DIGITS = 16


def with_resumable(app: ASGI, parts: Parts, observe: Observe, on_fault: OnFault) -> ASGI:
    """`app`, with uploads that can be gone on with served before it is asked."""

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            path = scope["raw_path"].decode("ascii").partition("?")[0]
            if (match := PATH.fullmatch(path)) is not None:
                exchange = Exchange(scope, receive, send, METHODS)
                upload = _Upload(parts, exchange, match[1])
                await exchange.serve("resumableUpload", upload.answer, observe, on_fault)
                return
        await app(scope, receive, send)

    return serve


class _Upload:
    """One request for an upload."""

    def __init__(self, parts: Parts, exchange: Exchange, file_id: str) -> None:
        self._parts = parts
        self._exchange = exchange
        self._file_id = file_id
        exchange.always = [(b"tus-resumable", VERSION.encode())]

    async def answer(self) -> None:
        method = self._exchange.method
        if method == "POST":
            # For networks and clients that know no other methods.
            override = self._exchange.headers.get(b"x-http-method-override", b"POST")
            method = override.decode("latin-1").upper()
        if method == "OPTIONS":
            await self._describe()
            return
        if self._exchange.headers.get(b"tus-resumable") != VERSION.encode():
            raise UnsupportedVersion(f"send `Tus-Resumable: {VERSION}`: this is the tus protocol")
        which = (self._parts, self._file_id, self._exchange.query)
        match method:
            case "HEAD":
                await self._reply(200, await resuming.look(*which))
            case "POST":
                await self._create()
            case "PATCH":
                await self._reply(204, await self._take(self._number("Upload-Offset")))
            case "DELETE":
                await resuming.give_up(*which)
                await self._exchange.reply(RestReply(204, b""))
            case _:
                raise MethodNotAllowed(f"this path takes {METHODS}")

    async def _describe(self) -> None:
        headers = {
            "tus-version": VERSION,
            "tus-extension": EXTENSIONS,
            "tus-max-size": str(self._parts.files.most_bytes),
        }
        await self._exchange.reply(RestReply(204, b"", headers))

    async def _create(self) -> None:
        if b"upload-defer-length" in self._exchange.headers:
            raise InvalidRequest("the size of the upload must be known: send Upload-Length")
        size = self._number("Upload-Length")
        if size > self._parts.files.most_bytes:
            raise PayloadTooLarge(f"a file is at most {self._parts.files.most_bytes} bytes")
        file_id, query = self._file_id, self._exchange.query
        stands = await resuming.begin(self._parts, file_id, query, size)
        if self._exchange.headers.get(b"content-type") == _CHUNK:
            stands = await self._take(0)
        location = f"/v1/files/{file_id}/tus?{urlencode(query)}"
        await self._reply(201, stands, {"location": location})

    async def _take(self, offset: int) -> Progress:
        """Take what the body brings."""
        if self._exchange.headers.get(b"content-type") != _CHUNK:
            raise UnsupportedMediaType(f"send {_CHUNK.decode()}")
        length = self._exchange.headers.get(b"content-length")
        file_id, query = self._file_id, self._exchange.query
        with self._parts.room.hold(2 * PIECE_BYTES):
            async with aclosing(self._exchange.body(SILENCE_SECONDS)) as data:
                chunk = Chunk(offset, None if length is None else int(length), data)
                return await resuming.go_on(self._parts, file_id, query, chunk)

    async def _reply(
        self, status: int, stands: Progress, headers: dict[str, str] | None = None
    ) -> None:
        said = {
            "upload-offset": str(stands.offset),
            "upload-length": str(stands.size),
            "upload-expires": http_date(stands.until),
            "cache-control": "no-store",
            **(headers or {}),
        }
        if stands.kept is not None:
            # Of the whole file (RFC 9530), so that its sender sees that it came as it was sent.
            digest = b64encode(bytes.fromhex(stands.kept.sha256)).decode()
            said["repr-digest"] = f"sha-256=:{digest}:"
        await self._exchange.reply(RestReply(status, b"", said))

    def _number(self, name: str) -> int:
        """A header that is a number. Raises InvalidRequest."""
        text = self._exchange.headers.get(name.lower().encode(), b"")
        if not (text.isdigit() and len(text) <= _MOST_DIGITS):
            raise InvalidRequest(f"send {name}, a number of bytes")
        return int(text)
