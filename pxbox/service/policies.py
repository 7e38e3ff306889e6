"""Which files a request asks for, as its asker says it and as it is kept."""

from __future__ import annotations

from msgspec import UnsetType

from pxbox.domain.file_places import mentions_files
from pxbox.domain.files import is_extension, is_pattern
from pxbox.model import wire
from pxbox.model.errors import FieldError, InvalidRequest
from pxbox.model.file import MEGABYTE, FilesPolicy


def files_policy(given: wire.FilesPolicy | UnsetType, schema: bytes) -> FilesPolicy | None:
    """The policy of a request; None where neither it nor its schema asks for files.

    Raises InvalidRequest for what is no media type and no extension.
    """
    if isinstance(given, UnsetType):
        return FilesPolicy() if mentions_files(schema) else None
    mime = tuple(dict.fromkeys(one.strip().lower() for one in given.mime))
    extensions = tuple(dict.fromkeys(one.strip().lower().lstrip(".") for one in given.extensions))
    errors = [
        FieldError(f"/filesPolicy/mime/{n}", "must be such as image/png or image/*", "mime")
        for n, one in enumerate(mime)
        if not is_pattern(one)
    ] + [
        FieldError(f"/filesPolicy/extensions/{n}", "must be such as pdf or tar.gz", "extensions")
        for n, one in enumerate(extensions)
        if not is_extension(one)
    ]
    if errors:
        raise InvalidRequest("`filesPolicy` names what is no type", errors=errors)
    return FilesPolicy(
        given.max_file_mb * MEGABYTE,
        given.max_total_mb * MEGABYTE,
        given.max_files,
        mime,
        extensions,
    )
