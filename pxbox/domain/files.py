"""What an answer's files may be: their names, types and sizes, and what of them is checked when.

Pure: bytes are judged as they come, whoever brings them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from pxbox.domain.sniffing import HEAD_BYTES, fits, sniff
from pxbox.model.errors import FieldError, FileRefused
from pxbox.model.file import MEGABYTE, FileFacts, FilesPolicy, SignedFile

NOT_UPLOADED = "is not the id of a file that you uploaded for this request"
MOST_NAME = 255
MOST_POLICY_ENTRIES = 64
UNUSED_PER_FILE = 4
"""How many files a responder may have signed for each one that an answer may refer to."""

_MIME = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}", re.ASCII)
_WILDCARD = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/\*", re.ASCII)
_EXTENSION = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}(\.[a-z0-9][a-z0-9_-]{0,31})?", re.ASCII)
# What orders text anew makes `exe.pdf` out of `fdp.exe`.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# They are letters' own: Persian and emoji are spelled with them.
_JOINERS = "\u200c\u200d"


def label(name: str) -> str:
    """The name as it is kept. It is shown and never opened, so that dots and slashes are no danger;
    they are refused for what the person on the other side would do with it.

    Raises FileRefused.
    """
    name = unicodedata.normalize("NFC", name)
    reason = None
    if not 1 <= len(name) <= MOST_NAME:
        reason = f"has 1 to {MOST_NAME} characters"
    elif any(unicodedata.category(one) in _HIDDEN and one not in _JOINERS for one in name):
        reason = "has no control characters and no marks of direction"
    elif "/" in name or "\\" in name:
        reason = "is the name of a file, without folders"
    elif not name.strip(". "):
        reason = "is more than dots and spaces"
    if reason is not None:
        raise refused("/name", f"the name of a file {reason}", "name")
    return name


def media_type(text: str) -> str:
    """A media type without its parameters, in lower case. Raises FileRefused."""
    mime = text.partition(";")[0].strip().lower()
    if not _MIME.fullmatch(mime):
        raise refused("/contentType", "must be a media type such as image/png", "contentType")
    return mime


def is_pattern(mime: str) -> bool:
    """Can a policy name this: a media type, or all of a kind, such as `image/*`?"""
    return bool(_MIME.fullmatch(mime) or _WILDCARD.fullmatch(mime))


def is_extension(text: str) -> bool:
    return bool(_EXTENSION.fullmatch(text))


def check_file(policy: FilesPolicy, name: str, mime: str, size: int) -> None:
    """Raise FileRefused unless the policy admits such a file; all that is wrong at once."""
    errors: list[FieldError] = []
    if size > policy.max_file_bytes:
        most = policy.max_file_bytes // MEGABYTE
        errors.append(FieldError("/size", f"must be at most {most} MB", "maxFileMB"))
    if not _admits(policy.mime, mime):
        wanted = ", ".join(policy.mime)
        errors.append(FieldError("/contentType", f"must be one of {wanted}", "mime"))
    if policy.extensions and not name.lower().endswith(tuple(f".{e}" for e in policy.extensions)):
        wanted = ", ".join(policy.extensions)
        errors.append(FieldError("/name", f"must end in one of {wanted}", "extensions"))
    if errors:
        raise FileRefused("the request does not admit this file", errors=errors)


def check_files(policy: FilesPolicy, files: Sequence[FileFacts | SignedFile]) -> None:
    """The same for all files of an answer together."""
    for file in files:
        check_file(policy, file.name, file.mime, file.size)
    if len(files) > policy.max_files:
        raise refused("/files", f"must be at most {policy.max_files} files", "maxFiles")
    if sum(file.size for file in files) > policy.max_total_bytes:
        most = policy.max_total_bytes // MEGABYTE
        raise refused("/files", f"must be at most {most} MB together", "maxTotalMB")


def refused(pointer: str, message: str, keyword: str) -> FileRefused:
    return FileRefused(
        "the request does not admit this file", errors=[FieldError(pointer, message, keyword)]
    )


def _admits(patterns: tuple[str, ...], mime: str) -> bool:
    kind = mime.partition("/")[0] + "/*"
    return not patterns or mime in patterns or kind in patterns


class Arrival:
    """A file as it comes in: no longer than `size`, as was said, and of the type that was said."""

    def __init__(self, size: int, mime: str) -> None:
        self.size = size
        self._left = size
        self._mime = mime
        self._head = b""
        self._sniffed = False

    def resume(self, came: int, head: bytes) -> None:
        """So many bytes have come before, and were judged; they begin with `head`."""
        self._left -= came
        self._head = head[:HEAD_BYTES]
        self._sniffed = len(self._head) == HEAD_BYTES

    def take(self, data: bytes) -> None:
        """Judge what comes next. Raises FileRefused; nothing more is to be taken then."""
        self._left -= len(data)
        if self._left < 0:
            raise refused("/size", "more came than was announced", "size")
        if not self._sniffed:
            self._head += data[: HEAD_BYTES - len(self._head)]
            if len(self._head) == HEAD_BYTES or self._left == 0:
                self._judge()

    def finish(self) -> None:
        """Judge the whole. Raises FileRefused."""
        if self._left:
            raise refused("/size", f"{self._left} bytes less came than were announced", "size")
        if not self._sniffed:
            self._judge()

    def _judge(self) -> None:
        self._sniffed = True
        found = sniff(self._head)
        # Nothing at all is of whatever type it is said to be.
        if self._head and not fits(self._mime, found):
            raise refused("/contentType", f"was {self._mime}, and the file is {found}", "mime")
