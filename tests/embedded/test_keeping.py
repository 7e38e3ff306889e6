"""A server that dies while it is wanted is started again, with what was committed."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import trio

from pxbox.auth.tokens import Grant, mint
from pxbox.embedded import open_servers, running_urls
from pxbox.embedded.keeping import Loss, Pauses
from tests.brokers import NO_TLS, end, start_broker
from tests.embedded.clients import KEEP, fetch_value, ping, psql
from tests.embedded.holder import dwellers, server_pids
from tests.inspection import eventually


async def test_servers_that_are_killed_are_started_again_at_the_same_urls(data_dir: Path) -> None:
    losses: list[Loss] = []
    async with open_servers(data_dir, on_loss=losses.append) as servers:
        psql(servers.database_url, KEEP)
        before = server_pids(data_dir)
        for pid in before.values():
            os.kill(pid, signal.SIGKILL)
        await eventually(
            lambda: (
                not set(server_pids(data_dir).values()) & set(before.values())
                and running_urls(data_dir) == servers
            ),
            "both answer again",
        )
        assert fetch_value(servers.database_url, "select answer from kept") == 42
        assert ping(servers.redis_url)
    assert {loss.server for loss in losses} == {"PostgreSQL", "Valkey"}
    assert dwellers(data_dir) == []


async def test_one_that_cannot_be_started_is_tried_again_with_the_reason_told(
    data_dir: Path,
) -> None:
    losses: list[Loss] = []
    heard = trio.Event()

    def lost(loss: Loss) -> None:
        losses.append(loss)
        if loss.error is not None:
            heard.set()

    async with open_servers(data_dir, postgres=False, on_loss=lost) as servers:
        # The log of the run before cannot be put aside: a directory does not replace a file.
        log = data_dir / "valkey.log"
        log.replace(data_dir / "valkey.log.1")
        log.mkdir()
        os.kill(int((data_dir / "valkey.pid").read_text()), signal.SIGKILL)
        await heard.wait()
        log.rmdir()
        await eventually(lambda: running_urls(data_dir) == servers, "it answers again")
    assert losses[0].error is None
    assert "data directory" in (losses[1].error or "")
    assert losses[1].failures == 2


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_a_broker_goes_on_when_its_servers_are_back(data_dir: Path, workers: str) -> None:
    broker = await trio.to_thread.run_sync(start_broker, data_dir, "--workers", workers)
    try:
        for pid in server_pids(data_dir).values():
            os.kill(pid, signal.SIGKILL)
        await eventually(
            lambda: broker.log.read_text().count("embedded server lost") == 2, "it is noticed"
        )
        made = {"kind": "user", "handle": "ana"}
        secret = (data_dir / "secret.key").read_text().strip()
        token = mint(secret, Grant("boss", frozenset({"admin"})), timedelta(minutes=5))
        with httpx.Client(base_url=broker.url, verify=NO_TLS, timeout=30.0) as client:
            client.headers["authorization"] = f"Bearer {token}"
            await eventually(
                lambda: client.post("/v1/entities", json=made).status_code in (201, 409),
                "it can commit",
            )
        assert await trio.to_thread.run_sync(broker.stop) == 0
    finally:
        end(broker.process)
    assert dwellers(data_dir) == []


@pytest.mark.parametrize(
    ("lived", "pauses"),
    [([0.0] * 7, [1, 2, 4, 8, 10, 10, 10]), ([0.0, 0.0, 61.0, 0.0], [1, 2, 1, 2])],
)
def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_steady_life(
    lived: list[float], pauses: list[float]
) -> None:
    kept = Pauses(1.0, 10.0, 60.0)
    assert [kept.after(seconds) for seconds in lived] == pauses
