"""A process of its own that holds a data directory, as a broker does.

`python -m tests.embedded.holder DIR` opens the servers, prints what it has as a line of JSON,
repeats that line at every SIGINT, and closes them in good order at the end of its input.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import trio

from pxbox.embedded import open_servers, running_urls
from pxbox.embedded.data_dir import DataDir

LINE_SECONDS = 30.0


def server_pids(data_dir: Path) -> dict[str, int]:
    """Read the pids of the servers that were started last in a data directory."""
    where = DataDir.at(data_dir)
    return {name: int(where.pid_file(name).read_text()) for name in ("postgres", "valkey")}


def dwellers(data_dir: Path) -> list[psutil.Process]:
    """Return every process that works in the data directory or below."""
    return list(_dwellers(DataDir.at(data_dir).root))


def _dwellers(root: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and Path(process.cwd()).is_relative_to(root):
                yield process
        except psutil.Error:
            continue


class Holder:
    """The process, seen from a test."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._received = b""

    @property
    def pid(self) -> int:
        return self._process.pid

    async def report(self) -> dict[str, Any]:
        """Return its next line: `database_url`, `redis_url`, `pids`, `uid`."""
        assert self._process.stdout is not None
        with trio.fail_after(LINE_SECONDS):
            while b"\n" not in self._received:
                received = await self._process.stdout.receive_some()
                assert received, "it ended without a report"
                self._received += received
        line, _, self._received = self._received.partition(b"\n")
        report: dict[str, Any] = json.loads(line)
        return report

    async def kill(self) -> None:
        """End it by SIGKILL, which leaves its servers running."""
        self._process.kill()
        await self._process.wait()

    async def close(self) -> int:
        """Let it stop its servers and end; return its exit status."""
        assert self._process.stdin is not None
        await self._process.stdin.aclose()
        with trio.fail_after(LINE_SECONDS):
            return await self._process.wait()

    def interrupt(self) -> None:
        """Do what the terminal does at Ctrl-C: signal its whole process group."""
        os.killpg(self._process.pid, signal.SIGINT)


@asynccontextmanager
async def holding(
    data_dir: Path,
    *,
    prefix: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[Holder]:
    """Start a holder in a session of its own; kill it at the end, if it still runs."""
    command = [*prefix, sys.executable, "-m", "tests.embedded.holder", str(data_dir)]
    async with trio.open_nursery() as nursery:
        process = await nursery.start(
            lambda *, task_status: trio.run_process(
                command,
                stdin=-1,
                stdout=-1,
                check=False,
                start_new_session=True,
                env={**os.environ, **(env or {})},
                task_status=task_status,
            )
        )
        try:
            yield Holder(process)
        finally:
            if process.returncode is None:
                process.kill()


def _say(data_dir: Path) -> None:
    urls = asdict(running_urls(data_dir))
    line = {**urls, "pids": server_pids(data_dir), "uid": os.geteuid()}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _repeat(interrupts: AsyncIterator[int], data_dir: Path) -> None:
    async for _ in interrupts:
        await trio.to_thread.run_sync(_say, data_dir)


async def _hold(data_dir: Path) -> None:
    with trio.open_signal_receiver(signal.SIGINT) as interrupts:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_repeat, interrupts, data_dir)
            async with open_servers(data_dir):
                await trio.to_thread.run_sync(_say, data_dir)
                await trio.lowlevel.wait_readable(sys.stdin.fileno())
            nursery.cancel_scope.cancel()


if __name__ == "__main__":
    trio.run(_hold, Path(sys.argv[1]))
