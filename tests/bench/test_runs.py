"""Each benchmark runs, at its smallest size; how fast it is, is not judged here."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

import msgspec
import trio

from bench.processes import ROOT

SHORT: Final = ["--rounds", "1", "--warmup", "0.1", "--seconds", "0.3"]


async def run_bench(*arguments: str) -> tuple[str, str]:
    """What the command printed on standard output and on standard error."""
    done = await trio.run_process(
        [sys.executable, "-m", "bench", *arguments],
        cwd=ROOT,
        check=False,
        env={**os.environ, "PXBOX_BENCH_PEERS": "/nonexistent"},
        capture_stdout=True,
        capture_stderr=True,
    )
    said = done.stderr.decode()
    assert done.returncode == 0, said
    return done.stdout.decode(), said


async def rows_of(*arguments: str) -> list[dict[str, Any]]:
    shown, _ = await run_bench(*arguments, "--json")
    result = msgspec.json.decode(shown)
    assert "fsync = on" in result["machine"]["Durability"]
    rows: list[dict[str, Any]] = result["rows"]
    return rows


async def test_lifecycles_are_measured_on_both_servers_over_both_transports() -> None:
    rows = await rows_of("lifecycle", "--concurrency", "2", *SHORT)

    assert [(row["mode"], row["server"]) for row in rows] == [
        ("ws", "pxbox"), ("ws", "peer"), ("rest", "pxbox"), ("rest", "peer"),
    ]  # fmt: skip
    for row in rows:
        assert row["rate"] > 0
        assert 0 < row["seen_p50_ms"] < row["p50_ms"] <= row["p99_ms"]
        assert row["server_rss_mb"] > 0
    assert rows[0]["ratio"] == rows[0]["rate"] / rows[1]["rate"]


async def test_commits_are_measured_by_the_journal_and_plainly_in_several_processes() -> None:
    rows = await rows_of("commit", "--processes", "2", "--waiting", "3", *SHORT)

    assert [row["side"] for row in rows] == ["journal", "plain"]
    assert all(row["rate"] > 0 and row["batch"] >= 1 for row in rows)


async def test_memory_is_read_before_and_after_requests_wait() -> None:
    rows = await rows_of("idle", "--requests", "20", "--entities", "2", "--settle", "0.1")

    assert [row["open_requests"] for row in rows] == [0, 20, 20]
    assert all(row["rss_mb"] > 0 for row in rows)


async def test_readers_are_measured_beside_nobody_a_quick_one_and_a_slow_one() -> None:
    few = ["--readers", "3", "--rounds", "1", "--seconds", "0.5"]
    rows = await rows_of("slow", *few)

    assert [row["beside"] for row in rows] == [
        "nobody", "one that reads all", "one that reads nothing",
    ]  # fmt: skip
    assert all(row["events"] == 30 and 0 < row["p50_ms"] <= row["p99_ms"] for row in rows)


async def test_the_table_is_for_people_and_progress_goes_to_standard_error() -> None:
    shown, said = await run_bench("commit", "--processes", "1", "--waiting", "1", *SHORT)

    assert "- CPU: " in shown
    assert "| processes |" in shown
    assert "waiting" in said


async def test_flows_are_measured_with_a_real_worker_and_missing_engines_are_named() -> None:
    rows = await rows_of("flows", "--concurrency", "2", "--engines", "pxbox,dbos", *SHORT)

    ours, peer = rows
    assert (ours["engine"], peer["engine"]) == ("pxbox", "dbos")
    assert ours["rate"] > 0
    assert 0 < ours["resumed_p50_ms"] < ours["p50_ms"] <= ours["p99_ms"]
    assert "python -m bench peers" in peer["missing"]


async def test_fan_out_is_measured_and_missing_servers_are_named() -> None:
    few = ["--subscribers", "3", "--servers", "pxbox-batch,nats", "--bulk", "5"]
    ours, peer = await rows_of("fanout", *few, *SHORT)

    assert (ours["server"], peer["server"]) == ("pxbox-batch", "nats")
    assert ours["rate"] > 0
    assert ours["size_bytes"] > 200
    assert "python -m bench peers" in peer["missing"]


async def test_replays_give_every_client_all_that_it_missed() -> None:
    few = ["--clients", "3", "--missed", "7", "--rounds", "1", "--servers", "pxbox"]
    (row,) = await rows_of("replay", *few)

    assert 0 < row["p50_ms"] <= row["all_ms"]


async def test_flows_go_on_after_all_but_the_database_was_killed() -> None:
    (row,) = await rows_of("recovery", "--flows", "3")

    assert row["suspended"] == 3
    assert row["ready_s"] > 0
    assert row["resumed_ms"] > 0
