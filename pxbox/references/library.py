"""Schemas with all that they refer to: what was fetched is kept, and asked about by its ETag."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from hashlib import sha256

import msgspec
import trio

from pxbox.domain.bundle import Bundle, Wanted, refused
from pxbox.domain.schema_document import Document, read_schema
from pxbox.model.errors import PxError, RefUnavailable
from pxbox.references.fetcher import Fetcher, NotFetched, Unreachable

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


class Library:
    """Puts schemas together with what they refer to, from wherever the fetcher may fetch.

    What is fetched counts for a minute; after that it is asked for by its ETag. Texts are kept
    once, by their hash: some 16 MiB of them at most.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._texts: OrderedDict[str, bytes] = OrderedDict()
        self._fetching = trio.CapacityLimiter(FETCHES_AT_ONCE)

    async def bundle(self, raw: bytes) -> bytes:
        """Return the schema, given as JSON, with every document that it refers to bundled in.

        Raises UnresolvableRef and other SchemaRefuseds, RefUnavailable where a document cannot be
        had now, and what `decode_json` raises.
        """
        bundle = Bundle(read_schema(raw))
        with trio.move_on_after(BUNDLE_SECONDS) as patience:
            while wanted := bundle.wanted():
                found_at, document = await self._document(wanted)
                bundle.add(wanted, found_at, document)
                await trio.lowlevel.checkpoint()
        if patience.cancelled_caught:
            raise RefUnavailable(
                f"what the schema refers to did not arrive within {BUNDLE_SECONDS:.0f} s"
            )
        return msgspec.json.encode(bundle.schema())

    async def _document(self, wanted: Wanted) -> tuple[str, Document]:
        shown = f"{wanted.uri[:200]!r}"
        try:
            found_at, text = await self._text(wanted.uri)
        except NotFetched as error:
            raise refused(wanted.pointer, f"{shown} {error}") from None
        except Unreachable as error:
            raise RefUnavailable(f"what the schema refers to, {shown}, {error}") from None
        try:
            return found_at, read_schema(text)
        except PxError as error:
            raise refused(wanted.pointer, f"{shown} is no schema: {error.detail}") from None

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
