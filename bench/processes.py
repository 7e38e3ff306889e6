"""The processes of a run: servers and load clients, what they use, and that they are ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil
import trio

ROOT: Final = Path(__file__).parent.parent
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0
LOG_LINES: Final = 30


class RunFailed(Exception):
    """A process of the run failed; the message has the end of what it said."""


@dataclass(frozen=True, slots=True)
class Usage:
    """CPU seconds since the start, and resident memory in bytes."""

    cpu_seconds: float
    rss_bytes: int


def usage(pid: int) -> Usage:
    """What a process has used, with all that it has started, also what has ended since."""
    cpu, rss = 0.0, 0
    process = psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        try:
            times, memory = each.cpu_times(), each.memory_info()
        except psutil.NoSuchProcess:
            continue
        cpu += times.user + times.system + times.children_user + times.children_system
        rss += memory.rss
    return Usage(cpu, rss)


def others() -> Usage:
    """What the machine has done beside this process and all that it has started."""
    times = psutil.cpu_times()
    busy = times.user + times.nice + times.system + getattr(times, "steal", 0.0)
    return Usage(busy - usage(os.getpid()).cpu_seconds, 0)


def free_port() -> int:
    """A TCP port of loopback that was free just now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join(lines[-LOG_LINES:])


@dataclass(frozen=True, slots=True)
class Process:
    """How a process is started."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Service(Process):
    """A server to be measured, and the path that says when it serves; None: it serves as soon as it
    takes connections."""

    port: int
    ready_path: str | None


@asynccontextmanager
async def starting(process: Process, log: Path) -> AsyncIterator[int]:
    """Run a process while the block lasts and give its pid."""
    started = await _start(process, log)
    try:
        yield started.pid
    finally:
        await _stop(started)


@asynccontextmanager
async def serving(service: Service, log: Path) -> AsyncIterator[int]:
    """Run a server while the block lasts and give its pid. Raises RunFailed if it cannot start."""
    process = await _start(service, log)
    try:
        await _ready(service, process, log)
        yield process.pid
    finally:
        await _stop(process)


async def _start(process: Process, log: Path) -> trio.Process:
    with log.open("ab") as said:
        return await trio.lowlevel.open_process(
            list(process.command), env=dict(process.env), cwd=ROOT, stdout=said, stderr=said
        )


async def _ready(service: Service, process: trio.Process, log: Path) -> None:
    with trio.move_on_after(START_SECONDS):
        while process.poll() is None:
            if await trio.to_thread.run_sync(_answers, service.port, service.ready_path):
                return
            await trio.sleep(0.05)
    raise RunFailed(f"{service.name} does not serve:\n{tail(log)}")


def _answers(port: int, path: str | None) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            if path is None:
                return True
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            return b" 200 " in connection.recv(256)
    except OSError:
        return False


async def _stop(process: trio.Process) -> None:
    with trio.CancelScope(shield=True):
        if process.poll() is None:
            process.terminate()
        with trio.move_on_after(STOP_SECONDS):
            await process.wait()
        if process.poll() is None:
            process.kill()
            await process.wait()


class Client:
    """A load client that runs: it is told things, and says things, line by line."""

    def __init__(self, process: trio.Process, complaints: IO[bytes]) -> None:
        self._process = process
        self._complaints = complaints
        self._buffer = b""

    async def say(self, line: bytes) -> None:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(line + b"\n")

    async def line(self) -> bytes:
        """The next line that the client says. Raises RunFailed with its complaint if it ends."""
        assert self._process.stdout is not None
        while b"\n" not in self._buffer:
            data = await self._process.stdout.receive_some(65_536)
            if not data:
                await self._process.wait()
                self._complaints.seek(0)
                raise RunFailed(self._complaints.read().decode(errors="replace"))
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


@asynccontextmanager
async def running(module: str, job: bytes) -> AsyncIterator[Client]:
    """Run `python -m module` while the block lasts, with `job` as its first line of input."""
    with tempfile.TemporaryFile() as complaints:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            cwd=ROOT,
        )
        client = Client(process, complaints)
        try:
            await client.say(job)
            yield client
        finally:
            await _stop(process)
