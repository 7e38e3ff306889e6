"""A server that dies while it is wanted is started again, with what was committed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import trio

from pxbox.embedded import open_servers, running_urls
from pxbox.embedded.keeping import Loss, Pauses
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


@pytest.mark.parametrize(
    ("lived", "pauses"),
    [([0.0] * 7, [1, 2, 4, 8, 10, 10, 10]), ([0.0, 0.0, 61.0, 0.0], [1, 2, 1, 2])],
)
def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_steady_life(
    lived: list[float], pauses: list[float]
) -> None:
    kept = Pauses(1.0, 10.0, 60.0)
    assert [kept.after(seconds) for seconds in lived] == pauses
