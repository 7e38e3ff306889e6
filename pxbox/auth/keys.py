"""The secret that signs this broker's tokens, and the keys derived from it.

The secret is text: its UTF-8 bytes, as they are, are the HS256 key (RFC 7518, 3.2), so that any JWT
library that knows the secret can make tokens. Every other use has a key of its own, derived
from it, so that none can stand in for another.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pxbox.settings import MIN_SECRET_BYTES, OperatorError, Settings, require_secret

KEY_FILE = "secret.key"
_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class KeyFileError(OperatorError):
    """A file with a key or a secret cannot be used."""


def signing_secret(settings: Settings) -> str:
    """The configured secret, else the data directory's own, which is made if there is none yet.

    Raises SettingsError if it is not clear which one, KeyFileError if its file is unusable.
    """
    require_secret(settings)
    if settings.secret:
        return settings.secret
    if settings.secret_file:
        return read_secret(settings.secret_file)
    return data_dir_secret(settings.data_dir)


def data_dir_secret(data_dir: Path) -> str:
    """The secret of this data directory; made on first use, readable by its owner alone.

    Processes that race to make it get one and the same. Raises KeyFileError.
    """
    path = data_dir / KEY_FILE
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        open_to_others = is_open_to_others(path)
    except OSError as error:
        raise KeyFileError(f"Cannot make the key file {path}: {error.strerror}.") from None
    if open_to_others:
        raise KeyFileError(
            f"Others than its owner may read or write the key file {path}. Whoever read it can "
            f"make tokens: delete it to have a new one made, or, if nobody did, chmod 600 {path}."
        )
    return read_secret(path)


def is_open_to_others(path: Path) -> bool:
    """Whether others than its owner may read, write or run the file. Raises OSError."""
    return bool(path.stat().st_mode & _GROUP_AND_OTHERS)


def read_secret(path: Path) -> str:
    """The secret in a file, less white space at its ends. Raises KeyFileError."""
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise KeyFileError(f"Cannot read the secret in {path}: {reason}.") from None
    if len(text.encode()) < MIN_SECRET_BYTES:
        raise KeyFileError(
            f"The secret in {path} is shorter than {MIN_SECRET_BYTES} bytes. "
            "`openssl rand -base64 33` makes one."
        )
    return text


def _make(path: Path) -> None:
    """Write a new secret whole, then link it to its name: a reader never finds half of it, and
    the first of several processes wins."""
    draft = path.with_name(f".{KEY_FILE}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        _link_first(draft, path)
    finally:
        draft.unlink()
    _sync_directory(path.parent)


def _link_first(draft: Path, path: Path) -> None:
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        return


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def derive(secret: str, use: str) -> bytes:
    """A 32-byte key for one use, such as "cursor". HKDF with SHA-256 (RFC 5869)."""
    return HKDF(SHA256(), length=32, salt=None, info=f"pxbox/{use}".encode()).derive(
        secret.encode()
    )


def fingerprint(secret: str) -> str:
    """What tells two secrets apart and gives neither away: 32 hex digits."""
    return derive(secret, "fingerprint").hex()[:32]
