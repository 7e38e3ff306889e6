"""What the first bytes of a file say of its type, and whether that fits what it is said to be.

The signatures are those of the WHATWG's MIME Sniffing Standard, sections 6 and 7, and of a few
formats beside it. Text has no signature: it is what holds no byte that text never has.
"""

from __future__ import annotations

HEAD_BYTES = 1445
"""How much of a file is looked at (MIME Sniffing Standard, section 5)."""

TEXT = "text/plain"
BINARY = "application/octet-stream"

_SIGNATURES = (
    (0, b"%PDF-", "application/pdf"),
    (0, b"%!PS-Adobe-", "application/postscript"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"BM", "image/bmp"),
    (0, b"\x00\x00\x01\x00", "image/x-icon"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (8, b"AIFF", "audio/aiff"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS\x00", "application/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"MThd\x00\x00\x00\x06", "audio/midi"),
    (0, b"fLaC", "audio/flac"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\x00", "application/x-xz"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (0, b"MZ", "application/x-msdownload"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
)
# Too short to outweigh a text that happens to begin with it.
_WEAK = frozenset({"image/bmp", "application/x-msdownload", "application/x-bzip2", "audio/mpeg"})
_HTML = (
    b"<!doctype html", b"<html", b"<head", b"<script", b"<iframe", b"<body", b"<style", b"<svg",
)  # fmt: skip
_BOMS = (b"\xef\xbb\xbf", b"\xfe\xff", b"\xff\xfe")
_NEVER_IN_TEXT = frozenset([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])

# What is packed or framed in a format that has a name of its own.
_INSIDE = {
    "application/zip": (
        "application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument.",
        "application/epub+zip", "application/java-archive", "application/x-zip-compressed",
        "application/vnd.android.package-archive", "application/vnd.ms-", "application/vnd.google-",
        "model/3mf",
    ),
    "application/x-ole-storage": (
        "application/msword", "application/vnd.ms-", "application/x-msi", "application/vnd.visio",
    ),
    "application/gzip": ("application/x-gzip", "application/x-tar", "application/x-compressed-tar"),
    "application/pdf": ("application/illustrator",),
    "application/postscript": ("application/illustrator", "image/x-eps"),
    "application/ogg": ("audio/", "video/"),
    "application/x-msdownload": ("application/vnd.microsoft.portable-executable",
                                 "application/x-dosexec", "application/x-ms"),
    "application/vnd.rar": ("application/x-rar",),
    "application/x-elf": ("application/x-executable", "application/x-sharedlib"),
    "application/vnd.sqlite3": ("application/x-sqlite3", "application/geopackage+sqlite3"),
    "video/mp4": ("audio/mp4", "audio/x-m4a", "audio/aac", "video/quicktime", "video/x-m4v",
                  "video/3gpp", "audio/3gpp", "image/heic", "image/heif", "image/avif"),
    "video/webm": ("audio/webm", "video/x-matroska", "audio/x-matroska"),
    "video/x-msvideo": ("video/avi", "video/msvideo"),
    "audio/wav": ("audio/x-wav", "audio/wave", "audio/vnd.wave"),
    "audio/aiff": ("audio/x-aiff",),
    "audio/mpeg": ("audio/mp3",),
    "image/jpeg": ("image/jpg", "image/pjpeg"),
    "image/tiff": ("image/x-",),
    "image/x-icon": ("image/vnd.microsoft.icon",),
    "image/bmp": ("image/x-ms-bmp",),
    "text/html": ("application/xhtml+xml", "text/markdown", "text/xml", "application/xml",
                  "image/svg+xml"),
}  # fmt: skip
_TEXTUAL = frozenset({
    "application/json", "application/xml", "application/javascript", "application/yaml",
    "application/x-yaml", "application/toml", "application/sql", "application/rtf",
    "application/x-sh", "application/x-ndjson", "application/x-pem-file", "application/pgp-keys",
    "application/graphql", "application/x-httpd-php", "message/rfc822", "application/mbox",
})  # fmt: skip
_SIGNED = frozenset(mime for _, _, mime in _SIGNATURES) | {
    inside for insides in _INSIDE.values() for inside in insides if not inside.endswith((".", "-"))
}


def sniff(head: bytes) -> str:
    """The type that a file's first HEAD_BYTES speak for; TEXT or BINARY where none has signed."""
    head = head[:HEAD_BYTES]
    found = next((m for at, magic, m in _SIGNATURES if head[at : at + len(magic)] == magic), None)
    text = _is_text(head)
    if found is not None and not (text and found in _WEAK):
        return found
    if not text:
        return BINARY
    start = head.lstrip(b"\t\n\x0c\r \xef\xbb\xbf").lower()
    return "text/html" if start.startswith(_HTML) else TEXT


def fits(declared: str, sniffed: str) -> bool:
    """May a file that looks like `sniffed` be said to be `declared`?

    Whatever may be called just bytes; what has a signature must be what it says, or of a kind that
    is made of it; what is said to be text must be, and not the page of a browser.
    """
    if declared in (sniffed, BINARY):
        return True
    if sniffed == TEXT:
        return _is_textual(declared)
    if sniffed == BINARY:
        return not _is_textual(declared) and declared not in _SIGNED
    return declared.startswith(_INSIDE.get(sniffed, ("\0",)))


def _is_textual(mime: str) -> bool:
    if mime.startswith("text/") or mime in _TEXTUAL:
        return True
    return mime.endswith(("+json", "+xml", "+yaml"))


def _is_text(head: bytes) -> bool:
    return head.startswith(_BOMS) or _NEVER_IN_TEXT.isdisjoint(head)
