"""Files: where they are uploaded, which are admitted, and what an answer says of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta, field

from pxbox.model.wire.base import Input, Reply, Text


class FilesPolicy(Input):
    """Which files an answer may refer to. A megabyte (MB) is 1,048,576 bytes; empty `mime` or
    `extensions` admit any."""

    max_file_mb: Annotated[int, Meta(ge=1, le=102_400)] = field(default=25, name="maxFileMB")
    max_total_mb: Annotated[int, Meta(ge=1, le=1_048_576)] = field(default=100, name="maxTotalMB")
    max_files: Annotated[int, Meta(ge=1, le=64)] = 10
    mime: Annotated[list[Text], Meta(max_length=64)] = field(default_factory=list)
    extensions: Annotated[list[Text], Meta(max_length=64)] = field(default_factory=list)


class SignFile(Input):
    """A file that the caller is about to upload for its answer to a request; `size` in bytes."""

    request_id: str
    name: str
    content_type: str
    size: Annotated[int, Meta(ge=0)]


class GetFile(Input):
    id: str


class FilesPolicyView(Reply):
    """The whole policy: what its asker did not say is filled in."""

    max_file_mb: int = field(name="maxFileMB")
    max_total_mb: int = field(name="maxTotalMB")
    max_files: int
    mime: list[str]
    extensions: list[str]


class FileView(Reply):
    """A file that was uploaded; `url` downloads it for some minutes."""

    id: str
    name: str
    size: int
    mime: str
    sha256: str
    url: str


class FileSigned(Reply):
    """Where the file is to be uploaded, with which headers, beginning before `expires_at`; by
    `resume_url` in parts, None where the broker takes none."""

    file_id: str
    put_url: str
    put_headers: dict[str, str]
    get_url: str
    resume_url: str | None
    expires_at: datetime
