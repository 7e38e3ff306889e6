"""Clients that all come back at once are served, and nobody else waits long for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from tests.brokers import Broker, Brokers

CLIENTS = 200
WAVE_SECONDS = 60.0
MOST_BYTES_PER_CLIENT = 50_000
# What everybody else may wait while the storm lasts, on a machine that is busy with the clients.
MOST_WAIT_SECONDS = 5.0


class StormProcess:
    """The process of clients; see tests/processes/storm.py."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    async def said(self) -> dict[str, Any]:
        """What the present wave came to, once it is over."""
        assert self._process.stdout is not None
        line = await trio.to_thread.run_sync(self._process.stdout.readline)
        assert line, "the clients have failed"
        said: dict[str, Any] = json.loads(line)
        return said

    async def order(self, word: bytes) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(word + b"\n")
        self._process.stdin.flush()
        return await self.said()


@contextmanager
def storm(broker: Broker, sub: str, count: int) -> Iterator[StormProcess]:
    arguments = [broker.url, broker.token(sub), f"requestor:{sub}", str(count)]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.processes.storm", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            yield StormProcess(process)
        finally:
            process.kill()


def resident_bytes(broker: Broker) -> int:
    status = Path(f"/proc/{broker.pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


async def outlast(brokers: Brokers, count: int, seconds: float) -> None:
    """Serve so many clients that connect at once, and again when all were cut, each time within
    so many seconds."""
    # Twice as many: those that were cut are still there for a moment.
    # The clients give no sign of life, which is looked for after a heartbeat.
    flags = ("--max-connections-per-client", str(2 * count), "--heartbeat-seconds", "300")
    broker = brokers(*flags)
    waits: list[float] = []
    before = resident_bytes(broker)
    async with broker.rest(broker.token("admin")) as admin, trio.open_nursery() as nursery:
        made = await admin.post("/v1/entities", json={"kind": "user", "handle": "ada"})

        async def somebody_else() -> None:
            while True:
                started = trio.current_time()
                reply = await admin.get(f"/v1/entities/{made.json()['id']}")
                assert reply.status_code == 200
                waits.append(trio.current_time() - started)
                await trio.sleep(0.05)

        nursery.start_soon(somebody_else)
        with storm(broker, "asker", count) as clients, trio.fail_after(2 * seconds):
            first = await clients.said()
            again = await clients.order(b"again")
            taken = resident_bytes(broker) - before
            async with broker.rest(broker.token("asker")) as asker:
                await asker.post("/v1/requests", json={"to": "ada", "schema": {}})
            told = await clients.order(b"event")
        nursery.cancel_scope.cancel()
    assert first["connected"] == again["connected"] == told["connected"] == count
    # Who was refused was told when to come, and nobody was turned away without a word.
    assert first["cut"] == again["cut"] == 0
    assert max(first["seconds"], again["seconds"]) < seconds
    assert max(waits) < MOST_WAIT_SECONDS
    assert taken < count * MOST_BYTES_PER_CLIENT
    assert broker.running
    assert '"level": "error"' not in broker.log.read_text()
    print(first, again, f"others waited {max(waits):.2f} s, {taken / count:.0f} bytes each")


async def test_clients_that_all_come_back_at_once_are_served(brokers: Brokers) -> None:
    await outlast(brokers, CLIENTS, WAVE_SECONDS)
