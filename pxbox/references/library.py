"""Schemas with all that they refer to: what was fetched is kept, and asked about by its ETag."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from hashlib import sha256

import msgspec
import trio

from pxbox.domain.bundle import Bundle, Wanted, refused
from pxbox.domain.schema_document import Document, read_schema
from pxbox.model.errors import PxError, RefUnavailable
from pxbox.references.fetcher import Fetcher, NotFetched, Unreachable

_SCHEME = "pxbox:"
_NUMBER = re.compile("[0-9]{1,10}")
BUNDLE_SECONDS = 15.0
FRESH_SECONDS = 60.0
FETCHES_AT_ONCE = 8
_MOST_KEPT = 512
_MOST_TEXTS = 64


@dataclass(frozen=True, slots=True)
class _Kept:
    """What was at a URL: where it was found, the hash of its text, and when that was so."""

    found_at: str
    hash: str
    etag: str | None
    seen: float


Registered = Callable[[str, int | None], Awaitable[tuple[int, bytes] | None]]
"""The number and the text of a version of a named schema; of the latest for None."""


async def nothing_registered(name: str, version: int | None) -> tuple[int, bytes] | None:
    return None


class Library:
    """Puts schemas together with what they refer to, from wherever the fetcher may fetch.

    What is fetched counts for a minute; after that it is asked for by its ETag. Texts are kept
    once, by their hash: some 16 MiB of them at most.
    """

    def __init__(self, fetcher: Fetcher, registered: Registered = nothing_registered) -> None:
        self._fetcher = fetcher
        self._registered = registered
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._texts: OrderedDict[str, bytes] = OrderedDict()
        self._fetching = trio.CapacityLimiter(FETCHES_AT_ONCE)

    async def bundle(self, raw: bytes) -> bytes:
        """Return the schema, given as JSON, with every document that it refers to bundled in.

        Raises UnresolvableRef and other SchemaRefuseds, RefUnavailable where a document cannot be
        had now, and what `decode_json` raises.
        """
        # In a thread: what joins URIs takes long where they are long (X4).
        bundle = await trio.to_thread.run_sync(Bundle, read_schema(raw))
        with trio.move_on_after(BUNDLE_SECONDS) as patience:
            while wanted := await trio.to_thread.run_sync(bundle.wanted):
                found_at, document = await self._document(wanted)
                await trio.to_thread.run_sync(bundle.add, wanted, found_at, document)
        if patience.cancelled_caught:
            raise RefUnavailable(
                f"what the schema refers to did not arrive within {BUNDLE_SECONDS:.0f} s"
            )
        return msgspec.json.encode(await trio.to_thread.run_sync(bundle.schema))

    async def _document(self, wanted: Wanted) -> tuple[str, Document]:
        shown = f"{wanted.uri[:200]!r}"
        try:
            if wanted.uri.startswith(_SCHEME):
                found_at, text = await self._from_registry(wanted.uri)
            else:
                found_at, text = await self._text(wanted.uri)
        except NotFetched as error:
            raise refused(wanted.pointer, f"{shown} {error}") from None
        except Unreachable as error:
            raise RefUnavailable(f"what the schema refers to, {shown}, {error}") from None
        try:
            return found_at, read_schema(text)
        except PxError as error:
            raise refused(wanted.pointer, f"{shown} is no schema: {error.detail}") from None

    async def _from_registry(self, uri: str) -> tuple[str, bytes]:
        """What `pxbox:name@version` names; `@latest` is the one of this moment."""
        name, at, version = uri.removeprefix(_SCHEME).rpartition("@")
        number = int(version) if _NUMBER.fullmatch(version) else None
        if not at or (number is None and version != "latest"):
            raise NotFetched("is no schema of this broker: say pxbox:name@2 or pxbox:name@latest")
        found = await self._registered(name, number)
        if found is None:
            raise NotFetched("is no schema of this broker, or no version of one")
        return f"{_SCHEME}{name}@{found[0]}", found[1]

    async def _text(self, url: str) -> tuple[str, bytes]:
        """Where the document of a URL was found, and its text."""
        kept, text = self._known(url)
        now = trio.current_time()
        if kept is not None and text is not None and now - kept.seen < FRESH_SECONDS:
            return kept.found_at, text
        etag = None if kept is None or text is None else kept.etag
        async with self._fetching:
            fetched = await self._fetcher.fetch(url, etag)
        if fetched.body is None:
            if kept is None or text is None or etag is None:
                raise NotFetched("was answered with 304, which was not asked for")
            self._keep(url, replace(kept, seen=now), text)
            return kept.found_at, text
        digest = sha256(fetched.body).hexdigest()
        self._keep(url, _Kept(fetched.url, digest, fetched.etag, now), fetched.body)
        return fetched.url, fetched.body

    def _known(self, url: str) -> tuple[_Kept | None, bytes | None]:
        kept = self._kept.get(url)
        return kept, None if kept is None else self._texts.get(kept.hash)

    def _keep(self, url: str, kept: _Kept, text: bytes) -> None:
        for known, key in ((self._kept, url), (self._texts, kept.hash)):
            known.pop(key, None)
        self._kept[url] = kept
        self._texts[kept.hash] = text
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        while len(self._texts) > _MOST_TEXTS:
            self._texts.popitem(last=False)
