"""Files: what a request admits, and what is known of one that was uploaded."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

MEGABYTE = 1024 * 1024


class FilesPolicy(Struct, frozen=True, rename="camel", omit_defaults=True):
    """Which files an answer may refer to. Empty `mime` or `extensions`: any.

    `mime` has types such as `image/png` and `image/*`, `extensions` such as `pdf`; lower case.
    """

    max_file_bytes: int = 25 * MEGABYTE
    max_total_bytes: int = 100 * MEGABYTE
    max_files: int = 10
    mime: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()


class FileFacts(Struct, frozen=True, rename="camel"):
    """A file that is kept: what a response that refers to it says of it.

    `name` is a label and never a path. `blob` is its key in the storage.
    """

    id: str
    name: str
    mime: str
    size: int
    sha256: str
    blob: str


class SignedFile(Struct, frozen=True):
    """A file that may be uploaded, or was: `kept` is None until all of it arrived.

    `entity` is who may upload and refer to it, `until` when its upload may still begin.
    """

    id: str
    request_id: str
    entity: str
    name: str
    mime: str
    size: int
    until: datetime
    kept: FileFacts | None


class Referral(Struct, frozen=True):
    """A file that an answer refers to, and where: a JSON Pointer, into the payload or `/files`."""

    pointer: str
    file: SignedFile
