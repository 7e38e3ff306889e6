"""How a supervisor and its workers end: in turn, together, or not at all begun."""

from __future__ import annotations

import signal

import pytest
import trio

from tests.brokers import BrokerFailed, Brokers
from tests.inspection import eventually
from tests.supervisor.conftest import Supervised

BOUND_SECONDS = 12.0


async def test_a_draining_supervisor_ends_all_in_turn_and_says_so_to_every_client(
    brokers: Brokers,
) -> None:
    supervised = Supervised(brokers("--workers", "3", "--grace-seconds", "6"))
    async with supervised.sockets(6) as sockets:
        workers = supervised.processes()
        started = trio.current_time()
        supervised.broker.process.send_signal(signal.SIGTERM)
        for socket in sockets:
            await socket.closed.wait()
        assert {socket.close_code for socket in sockets} == {1001}
        assert not await supervised.healthy()
        assert await trio.to_thread.run_sync(supervised.broker.wait) == 0
        assert trio.current_time() - started < BOUND_SECONDS
    assert not any(worker.is_running() for worker in workers)
    assert supervised.broker.log.read_text().count('"event": "drained"') == 3


async def test_workers_end_with_a_supervisor_that_was_killed(brokers: Brokers) -> None:
    supervised = Supervised(brokers("--workers", "2"))
    workers = supervised.processes()
    assert len(workers) == 2
    async with supervised.sockets(1) as (socket,):
        supervised.broker.kill()
        await socket.closed.wait()
        assert socket.close_code == 1001
    await eventually(lambda: not any(w.is_running() for w in workers), "they have ended")


async def test_workers_that_cannot_serve_end_the_start_with_their_reason(
    brokers: Brokers,
) -> None:
    await trio.to_thread.run_sync(brokers)
    other = {"PXBOX_SECRET": "another secret than the one that this database knows"}
    with pytest.raises(BrokerFailed, match="another secret") as failed:
        brokers("--workers", "2", environ=other)
    assert "exit code 1" in str(failed.value)
    assert "Traceback" not in str(failed.value)
