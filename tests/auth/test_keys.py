"""The data directory's secret, and what is derived from a secret."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pxbox.auth.keys import (
    KEY_FILE,
    KeyFileError,
    data_dir_secret,
    derive,
    fingerprint,
    is_open_to_others,
    signing_secret,
)
from pxbox.settings import Settings, SettingsError
from tests.auth.keypairs import SECRET

OTHER = "another-secret-that-is-also-long-enough"


def test_the_secret_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    data_dir = tmp_path / "deep" / "data"
    secret = data_dir_secret(data_dir)
    assert len(secret) >= 32
    assert data_dir_secret(data_dir) == secret
    assert (data_dir / KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in data_dir.iterdir()] == [KEY_FILE]


def test_two_data_directories_have_two_secrets(tmp_path: Path) -> None:
    assert data_dir_secret(tmp_path / "a") != data_dir_secret(tmp_path / "b")


def test_an_umask_that_shares_everything_does_not_share_the_secret(tmp_path: Path) -> None:
    with _umask(0):
        data_dir_secret(tmp_path / "data")
    assert not is_open_to_others(tmp_path / "data" / KEY_FILE)


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


# Each waits for its start signal, so that all of them look for the key at once.
_RACER = """
import sys
from pathlib import Path
from pxbox.auth.keys import data_dir_secret
print("ready", flush=True)
sys.stdin.readline()
print(data_dir_secret(Path(sys.argv[1])))
"""


def test_processes_that_race_to_make_the_secret_get_the_same(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, str(tmp_path / "data")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    secrets = {racer.communicate(timeout=30)[0].strip() for racer in racers}
    assert secrets == {data_dir_secret(tmp_path / "data")}
    assert [path.name for path in (tmp_path / "data").iterdir()] == [KEY_FILE]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o610])
def test_a_secret_that_others_may_reach_is_refused(tmp_path: Path, mode: int) -> None:
    data_dir_secret(tmp_path)
    (tmp_path / KEY_FILE).chmod(mode)
    with pytest.raises(KeyFileError, match="chmod 600"):
        data_dir_secret(tmp_path)


@pytest.mark.parametrize("data", [b"", b"short\n", b"\xff" * 40])
def test_a_damaged_secret_is_refused_and_not_replaced(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / KEY_FILE
    path.touch(0o600)
    path.write_bytes(data)
    with pytest.raises(KeyFileError, match=KEY_FILE):
        data_dir_secret(tmp_path)
    assert path.read_bytes() == data


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="file/data"):
        data_dir_secret(tmp_path / "file" / "data")


def test_a_configured_secret_beats_the_data_directory(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    data_dir = tmp_path / "data"
    assert signing_secret(Settings(data_dir=data_dir, secret=OTHER)) == OTHER
    assert signing_secret(Settings(data_dir=data_dir, secret_file=path)) == SECRET
    assert not data_dir.exists()


def test_a_database_of_others_needs_a_shared_secret(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PXBOX_SECRET"):
        signing_secret(Settings(data_dir=tmp_path, database_url="postgresql://h/d"))


def test_another_broker_can_use_the_data_directory_key_file(tmp_path: Path) -> None:
    secret = data_dir_secret(tmp_path)
    joined = Settings(database_url="postgresql://h/d", secret_file=tmp_path / KEY_FILE)
    assert signing_secret(joined) == secret


def test_each_use_has_a_key_of_its_own() -> None:
    keys = {derive(SECRET, use) for use in ("cursor", "file", "fingerprint")}
    assert len(keys) == 3
    assert all(len(key) == 32 for key in keys)
    assert derive(SECRET, "cursor") == derive(SECRET, "cursor")
    assert derive(OTHER, "cursor") not in keys


def test_derived_keys_stay_the_same_from_version_to_version() -> None:
    """HKDF-SHA256 (RFC 5869) of the secret, no salt, info "pxbox/<use>"; a fingerprint that changed
    would keep every broker from its database."""
    assert derive(SECRET, "cursor").hex() == (
        "cc77e8cb54288b9ca70be5fb500d6366da082caade9e91da4babbd86ae7994c7"
    )
    assert fingerprint(SECRET) == "32541bdc3ed273a1fea3a6522cd87fb5"


def test_a_fingerprint_tells_secrets_apart() -> None:
    assert fingerprint(SECRET) != fingerprint(OTHER)
    assert len(fingerprint(SECRET)) == 32
