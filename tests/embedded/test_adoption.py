"""What a broker finds in a data directory that another one did not leave in good order."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import trio

from pxbox.embedded import DataDirInUse, open_servers, running_urls
from pxbox.embedded.binaries import postgres_programs
from pxbox.embedded.data_dir import DataDir
from tests.embedded.clients import KEEP, fetch_value, ping, psql
from tests.embedded.holder import dwellers, holding, server_pids
from tests.servers import DisposableServers


async def test_a_directory_held_by_another_process_is_refused_with_its_pid(
    data_dir: Path,
) -> None:
    async with holding(data_dir) as holder:
        await holder.report()
        with pytest.raises(DataDirInUse, match=f"process {holder.pid}") as refused:
            async with open_servers(data_dir):
                pass
        assert refused.value.pid == holder.pid
        assert await holder.close() == 0
    assert dwellers(data_dir) == []


async def test_what_a_killed_broker_left_running_is_taken_over_as_it_is(data_dir: Path) -> None:
    async with holding(data_dir) as holder:
        left = await holder.report()
        psql(left["database_url"], KEEP)
        await holder.kill()
    async with open_servers(data_dir) as servers:
        assert server_pids(data_dir) == left["pids"]
        assert servers.database_url == left["database_url"]
        assert fetch_value(servers.database_url, "select answer from kept") == 42
        assert ping(servers.redis_url)
    assert dwellers(data_dir) == []


async def test_a_ctrl_c_at_the_terminal_does_not_reach_the_servers(data_dir: Path) -> None:
    async with holding(data_dir) as holder:
        before = await holder.report()
        holder.interrupt()
        assert await holder.report() == before
        assert before["database_url"] is not None
        assert before["redis_url"] is not None
        assert await holder.close() == 0


async def test_frozen_servers_of_a_killed_broker_are_replaced(data_dir: Path) -> None:
    async with holding(data_dir) as holder:
        left = (await holder.report())["pids"]
        await holder.kill()
    for pid in left.values():
        os.kill(pid, signal.SIGSTOP)
    async with open_servers(data_dir) as servers:
        assert psql(servers.database_url, "select 1") == "1"
        assert ping(servers.redis_url)
        assert not set(left.values()) & set(server_pids(data_dir).values())
    # They were let go on for it, so that even they could shut down in good order.
    before = DataDir.at(data_dir).log("postgres").with_suffix(".log.1").read_text()
    assert "received fast shutdown request" in before
    assert dwellers(data_dir) == []


async def test_servers_killed_with_their_broker_are_started_anew_with_what_was_committed(
    data_dir: Path,
) -> None:
    async with holding(data_dir) as holder:
        left = await holder.report()
        psql(left["database_url"], KEEP)
        await holder.kill()
    for process in dwellers(data_dir):
        process.kill()
    async with open_servers(data_dir) as servers:
        assert fetch_value(servers.database_url, "select answer from kept") == 42
        assert ping(servers.redis_url)


async def test_a_cluster_that_was_never_finished_is_thrown_away(tmp_path: Path) -> None:
    unfinished = tmp_path / "postgres.new-abc"
    unfinished.mkdir()
    unfinished.joinpath("PG_VERSION").write_text("18\n")
    async with open_servers(tmp_path, valkey=False) as servers:
        assert psql(servers.database_url, "select 1") == "1"
        assert not unfinished.exists()


async def test_pid_files_that_name_somebody_else_are_not_believed(data_dir: Path) -> None:
    where = DataDir.at(data_dir)
    async with open_servers(data_dir) as servers:
        lock = (where.cluster / "postmaster.pid").read_text()
    stranger = await trio.lowlevel.open_process(["/bin/cat"], stdin=subprocess.PIPE)
    _, _, rest = lock.partition("\n")
    (where.cluster / "postmaster.pid").write_text(f"{stranger.pid}\n{rest}")
    for name in ("postgres", "valkey"):
        where.pid_file(name).write_text(f"{stranger.pid}\n")
    async with open_servers(data_dir) as servers:
        assert psql(servers.database_url, "select 1") == "1"
        assert ping(servers.redis_url)
    assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()


async def test_a_child_that_outlived_its_postmaster_is_ended_before_the_next_start(
    data_dir: Path,
) -> None:
    async with holding(data_dir) as holder:
        left = await holder.report()
        query = "select pid from pg_stat_activity where backend_type = 'checkpointer'"
        child = psutil.Process(int(psql(left["database_url"], query)))
        await holder.kill()
    child.suspend()
    os.kill(left["pids"]["postgres"], signal.SIGKILL)
    assert child in dwellers(data_dir)
    async with open_servers(data_dir) as servers:
        assert psql(servers.database_url, "select 1") == "1"
        assert child not in dwellers(data_dir)


async def test_a_cluster_started_by_hand_makes_room_for_the_brokers_own(
    data_dir: Path, tmp_path: Path
) -> None:
    by_hand = [str(postgres_programs() / "pg_ctl"), "-D", str(DataDir.at(data_dir).cluster), "-w"]
    options = ["-l", str(tmp_path / "log"), "-o", f"-h '' -k {tmp_path}", "start"]
    namespace = ["unshare", "--user", "--map-user=1", "--map-group=1"]
    await trio.run_process([*namespace, *by_hand, *options], capture_stdout=True)
    by_hand_pid = int((DataDir.at(data_dir).cluster / "postmaster.pid").read_text().split()[0])
    async with open_servers(data_dir, valkey=False) as servers:
        assert psql(servers.database_url, "select 1") == "1"
        assert by_hand_pid not in [process.pid for process in dwellers(data_dir)]
    assert "received fast shutdown request" in (tmp_path / "log").read_text()


async def test_an_adopted_server_that_dies_is_not_reported_as_running(data_dir: Path) -> None:
    async with open_servers(data_dir):
        pids = server_pids(data_dir)
        valkey = psutil.Process(pids["valkey"])
        valkey.kill()
        await trio.to_thread.run_sync(valkey.wait, 10)
        running = running_urls(data_dir)
        assert running.redis_url is None
        assert running.database_url is not None


def test_disposable_servers_come_back_after_whatever_was_done_to_them(
    disposable_servers: Callable[[], DisposableServers],
) -> None:
    servers = disposable_servers()
    url = servers.database_url
    psql(url, KEEP)
    servers.kill_postgres()
    servers.kill_valkey()
    servers.start_postgres()
    servers.start_valkey()
    servers.stop_postgres()
    servers.stop_valkey()
    servers.start_postgres()
    servers.start_valkey()
    assert servers.database_url == url
    assert fetch_value(url, "select answer from kept") == 42
    assert ping(servers.redis_url)
    first = servers.postgres_pid
    servers.start_postgres()
    assert servers.postgres_pid == first


def test_disposable_servers_that_are_left_frozen_are_cleaned_up(data_dir: Path) -> None:
    servers = DisposableServers(data_dir)
    servers.start_postgres()
    servers.start_valkey()
    servers.freeze_postgres()
    servers.freeze_valkey()
    servers.close()
    assert dwellers(data_dir) == []
