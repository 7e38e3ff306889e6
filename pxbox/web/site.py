"""The built page: read once, kept in memory as it is sent. Nothing here knows HTTP's machinery."""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

INDEX: Final = "/index.html"
ASSETS: Final = "/assets/"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".ts": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".ico": "image/vnd.microsoft.icon",
    ".woff2": "font/woff2",
}
"""What the page is made of, by the end of the name."""
_COMPRESSED: Final = frozenset((".png", ".woff2"))

_ALWAYS: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "vary": "Accept-Encoding",
}
_CONNECT: Final = "connect-src 'self'"
_POLICY: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    _CONNECT,
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
# A name under assets/ holds the hash of what it names: what is cached is never wrong.
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
# Of the broker itself: an address there that is none is told so, whoever asks.
_NOT_OURS: Final = re.compile(
    r"/(v[0-9]+|assets|docs|healthz|readyz|metrics|(openapi|asyncapi)\.json)(/.*)?"
)
_NO_GZIP: Final = re.compile(r"0(\.0{0,3})?")


@dataclass(frozen=True, slots=True)
class SiteReply:
    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Form:
    """A file in one encoding."""

    body: bytes = field(repr=False)
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _File:
    plain: _Form
    gzipped: _Form


class Site:
    """The files of the page by their paths; what is not among them is never served."""

    def __init__(self, files: Mapping[str, bytes], uploads: str | None = None) -> None:
        """`files` by path, such as `/index.html`, which must be there. `uploads` is the origin of
        another server that the page may send files to. Raises ValueError for a kind of file that no
        page has."""
        policy = _policy(uploads)
        self._files = {path: _file(path, body, policy) for path, body in files.items()}
        self._index = self._files.pop(INDEX)

    def reply(self, path: str, headers: Mapping[str, str]) -> SiteReply | None:
        """What a GET of this path, as it was sent, gets; None where it is not the page's.

        `headers` have lower-case names. The page's own addresses are drawn by the page itself:
        whoever asks for HTML there gets the index.
        """
        file = self._find(path, headers)
        if file is None:
            return None
        form = file.gzipped if _takes_gzip(headers.get("accept-encoding", "")) else file.plain
        known = [tag.strip() for tag in headers.get("if-none-match", "").split(",")]
        tag = form.headers["etag"]
        if tag in known or f"W/{tag}" in known or "*" in known:
            left_out = ("content-type", "content-length", "content-encoding")
            kept = {name: v for name, v in form.headers.items() if name not in left_out}
            return SiteReply(304, kept, b"")
        return SiteReply(200, form.headers, form.body)

    def has(self, path: str) -> bool:
        """Whether it is an address of the page, whatever is accepted there."""
        return path == "/" or path in self._files

    def _find(self, path: str, headers: Mapping[str, str]) -> _File | None:
        if path == "/":
            return self._index
        if (file := self._files.get(path)) is not None:
            return file
        wanted = [kind.partition(";")[0].strip() for kind in headers.get("accept", "").split(",")]
        return self._index if "text/html" in wanted and not _NOT_OURS.fullmatch(path) else None


def read_site(uploads: str | None = None) -> Site:
    """The page that came with the package; `uploads` as for `Site`."""
    return Site(dict(_walk(resources.files("pxbox.web").joinpath("dist"), "")), uploads)


def _policy(uploads: str | None) -> str:
    connect = f"{_CONNECT} {uploads}" if uploads else _CONNECT
    return "; ".join(connect if one is _CONNECT else one for one in _POLICY)


def _walk(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for child in folder.iterdir():
        at = f"{path}/{child.name}"
        if child.is_dir():
            yield from _walk(child, at)
        else:
            yield at, child.read_bytes()


def _file(path: str, body: bytes, policy: str) -> _File:
    suffix = path[path.rfind(".") :]
    if suffix not in TYPES:
        raise ValueError(f"the page has a file of a kind that is not served: {path}")
    cached = _FOR_GOOD if path.startswith(ASSETS) else _ASK_AGAIN
    headers = {
        **_ALWAYS,
        "content-security-policy": policy,
        "content-type": TYPES[suffix],
        "cache-control": cached,
    }
    digest = hashlib.sha256(body).hexdigest()[:32]
    plain = _form(body, headers, digest)
    # No time in it: every process sends the same bytes.
    small = gzip.compress(body, 9, mtime=0)
    if suffix in _COMPRESSED or len(small) >= len(body):
        return _File(plain, plain)
    return _File(plain, _form(small, {**headers, "content-encoding": "gzip"}, f"{digest}-gzip"))


def _form(body: bytes, headers: Mapping[str, str], tag: str) -> _Form:
    return _Form(body, {**headers, "etag": f'"{tag}"', "content-length": str(len(body))})


def _takes_gzip(accepted: str) -> bool:
    """Whether `Accept-Encoding` has gzip, or anything, at a weight above nothing (RFC 9110,
    12.5.3)."""
    weights: dict[str, str] = {}
    for one in accepted.lower().split(","):
        coding, _, weight = one.partition(";")
        weights[coding.strip()] = weight.strip().removeprefix("q=").strip() or "1"
    weight = weights.get("gzip", weights.get("*", "0"))
    return _NO_GZIP.fullmatch(weight) is None
