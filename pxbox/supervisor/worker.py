"""One worker: a broker process that is started again when it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import trio

from pxbox.embedded.keeping import Pauses
from pxbox.listening import Tally
from pxbox.observe import Log
from pxbox.settings import OperatorError
from pxbox.supervisor.notes import Line, Note, Post

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0
# From here on it is no accident any more.
KEEPS_DYING = 3

OnNote = Callable[["Worker", Note], None]


class WorkerFailed(OperatorError):
    """A worker ended before it could serve."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all workers of a supervisor stand on."""

    environment: Mapping[str, str]
    listeners: Sequence[socket.socket]
    tally: Tally
    tally_fd: int
    workers: int
    log: Log


class Worker:
    """The worker of one number. `ready` is set while its process can serve."""

    def __init__(self, number: int, ground: Ground, on_note: OnNote) -> None:
        self.number = number
        self.ready = trio.Event()
        self.ended = trio.Event()
        self.starts = 0
        self._ground = ground
        self._log = ground.log.bind(worker=number)
        self._on_note = on_note
        self._process: trio.Process | None = None
        self._line: Line | None = None
        self._stopping = trio.Event()
        self._replacing = False

    @property
    def serves(self) -> bool:
        return self._process is not None and self.ready.is_set()

    async def run(self) -> None:
        """Keep a process running until `stop`. Raises WorkerFailed if the first one ends before
        it was ready: then something is wrong with what all of them are given."""
        pauses = Pauses(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, STEADY_SECONDS)
        try:
            while not self._stopping.is_set():
                self._replacing = False
                began = trio.current_time()
                code = await self._live()
                if self._stopping.is_set() or self._replacing:
                    continue
                if self.starts == 1 and not self.ready.is_set():
                    raise WorkerFailed(f"worker {self.number} ended while starting (code {code})")
                await self._mourn(code, trio.current_time() - began, pauses)
        finally:
            self.ended.set()

    async def _mourn(self, code: int, lived_seconds: float, pauses: Pauses) -> None:
        """Say that it has died, and wait before the next try."""
        pause = pauses.after(lived_seconds)
        many = pauses.failures >= KEEPS_DYING
        self._log.error(
            "worker keeps dying" if many else "worker died",
            code=code, lived_seconds=round(lived_seconds, 1), deaths=pauses.failures,
            restart_seconds=pause,
        )  # fmt: skip
        with trio.move_on_after(pause):
            await self._stopping.wait()

    async def tell(self, note: Note) -> None:
        if self._line is not None:
            await self._line.send(note)

    def stop(self) -> None:
        """Have it drain and end, for good."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def replace(self) -> None:
        """Have its process drain and end, and another one take its place at once."""
        self._replacing = True
        self.ready = trio.Event()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _live(self) -> int:
        """Start a process and stay with it to its end; its exit code."""
        ours, theirs = socket.socketpair()
        if self.ready.is_set():
            self.ready = trio.Event()
        with theirs:
            self._process = process = await self._start(theirs)
        self.starts += 1
        self._line = Line(trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, self._line)
                code = await process.wait()
                nursery.cancel_scope.cancel()
        finally:
            with trio.CancelScope(shield=True):
                self.kill()
                await process.wait()
            self._line.close()
            self._process = self._line = None
            self._ground.tally.leave(self.number)
        return code

    async def _start(self, theirs: socket.socket) -> trio.Process:
        ground = self._ground
        listeners = [listener.fileno() for listener in ground.listeners]
        post = Post(self.number, ground.workers, theirs.fileno(), ground.tally_fd, listeners)
        command = [sys.executable, "-m", "pxbox.worker", msgspec.json.encode(post).decode()]
        # A session of its own: a terminal's Ctrl-C is for the supervisor, who drains in turn.
        return await trio.lowlevel.open_process(
            command,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **ground.environment},
            pass_fds=(theirs.fileno(), ground.tally_fd, *listeners),
            start_new_session=True,
        )

    async def _listen(self, line: Line) -> None:
        async for note in line.notes():
            if note.kind == "ready":
                self._log.info("worker ready", pid=self._process and self._process.pid)
                self.ready.set()
            else:
                self._on_note(self, note)
