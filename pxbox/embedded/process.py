"""A server process: started apart from the terminal, known by more than its pid, ended in time."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from signal import SIGCONT, SIGKILL, Signals

import psutil
import trio

from pxbox.embedded.account import Account
from pxbox.embedded.errors import ServerFailed

POLL_SECONDS = 0.01
KILL_SECONDS = 5.0


class ServerProcess:
    """A running server: a child of ours, or one that a broker before us has left.

    `child` is the handle by which a child of ours is reaped.
    """

    def __init__(
        self, process: psutil.Process, child: subprocess.Popen[bytes] | None = None
    ) -> None:
        self._process = process
        self._child = child

    @property
    def pid(self) -> int:
        return self._process.pid

    def alive(self) -> bool:
        """Say whether the very process lives: a pid that was given out again does not count."""
        if self._child is not None:
            return self._child.poll() is None
        try:
            return self._process.is_running() and self._process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def runs(self, program: Path) -> bool:
        """Say whether it was started from this very file."""
        try:
            return Path(self._process.exe()) == program.resolve()
        except psutil.Error:
            return False

    def signal(self, signal: Signals) -> None:
        """Send a signal, to nobody if the process has ended."""
        try:
            if self.alive():
                self._process.send_signal(signal)
        except psutil.NoSuchProcess:
            return

    async def ended(self, seconds: float) -> bool:
        """Wait for the end of the process; false if it still lives after so many seconds."""
        with trio.move_on_after(seconds):
            while self.alive():
                await trio.sleep(POLL_SECONDS)
        return not self.alive()


def start(command: Sequence[str | Path], account: Account, home: Path, log: Path) -> ServerProcess:
    """Start a server in the directory `home`, its output going to a fresh `log`.

    The log of the run before is kept as `<log>.1`. The server has a session of its own, so that
    the terminal's Ctrl-C stops the broker alone, which then stops the server when it has drained.
    """
    if log.exists():
        log.replace(log.with_name(f"{log.name}.1"))
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        child = subprocess.Popen(
            [*account.prefix, *map(str, command)],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=home,
            **account.process_options(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ServerFailed(f"{command[0]} could not be started: {error}.") from error
    finally:
        os.close(descriptor)
    return ServerProcess(psutil.Process(child.pid), child)


def recorded(pid_file: Path, program: str, home: Path) -> ServerProcess | None:
    """Return the process that a pid file names, if it lives and is that server of that directory.

    Raises PermissionError if the file may not be read.
    """
    try:
        process = psutil.Process(int(pid_file.read_text().split()[0]))
    except (FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
        return None
    return ServerProcess(process) if _is(process, program, home) else None


def living_in(home: Path, program: str) -> list[ServerProcess]:
    """Return every process of that program which works in the directory `home`."""
    return [ServerProcess(found) for found in psutil.process_iter() if _is(found, program, home)]


def _is(process: psutil.Process, program: str, home: Path) -> bool:
    # Both servers change into their directory, and rewrite their command line.
    try:
        return process.name() == program and Path(process.cwd()) == home
    except psutil.Error:
        return False


async def end(
    processes: Iterable[ServerProcess], steps: Sequence[tuple[Signals, float]]
) -> list[ServerProcess]:
    """End processes by milder means first: each step is a signal and the seconds it is given.

    What then still lives is killed. One that was stopped (SIGSTOP) is let go on, to hear of it.
    Returns those that outlived even that, as one may that waits for a disk.
    """
    left = [process for process in processes if process.alive()]
    for signal, seconds in (*steps, (SIGKILL, KILL_SECONDS)):
        for process in left:
            process.signal(signal)
            process.signal(SIGCONT)
        with trio.move_on_after(seconds):
            for process in left:
                await process.ended(seconds)
        left = [process for process in left if process.alive()]
        if not left:
            break
    return left
