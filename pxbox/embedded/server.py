"""One embedded server: taken over from a broker that was killed, or started; and stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from signal import Signals

import trio

from pxbox.embedded.account import Account
from pxbox.embedded.errors import ServerFailed, tail
from pxbox.embedded.process import POLL_SECONDS, ServerProcess, end, living_in, recorded, start

ADOPT_SECONDS = 5.0
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Program:
    """What is particular to a server.

    `process_name` and `home`, its working directory, tell it from any other process; `leftovers`
    are files that a killed one leaves behind and the next one may stumble over; `answers` says,
    within a second, whether it serves at its socket.
    """

    name: str
    process_name: str
    home: Path
    pid_file: Path
    log: Path
    socket: Path
    leftovers: tuple[Path, ...]
    answers: Callable[[Path], bool]
    stop_steps: tuple[tuple[Signals, float], ...]
    start_seconds: float

    def running(self) -> ServerProcess | None:
        """Return the process of this data directory, if there is one, whoever started it."""
        return recorded(self.pid_file, self.process_name, self.home)


class Server:
    """One server of a data directory, which the caller holds (`data_dir.hold`)."""

    def __init__(self, program: Program, account: Account) -> None:
        self.program = program
        self.account = account
        self._process: ServerProcess | None = None

    @property
    def pid(self) -> int | None:
        """The pid of the running server; None before the start and after the stop."""
        return None if self._process is None else self._process.pid

    async def ended(self) -> None:
        """Return once the server that was started has ended by itself."""
        while self._process is not None and self._process.alive():
            await trio.sleep(LOOK_SECONDS)

    async def start(self, binary: Path, arguments: Sequence[str | Path]) -> None:
        """Return once the server answers: the one that runs already, or a new one.

        Raises ServerFailed; then nothing of it runs.
        """
        if await self._adopt(binary):
            return
        await self._clear()
        program = self.program
        self._process = await trio.to_thread.run_sync(
            start, [binary, *arguments], self.account, program.home, program.log
        )
        program.pid_file.write_text(f"{self._process.pid}\n")
        if await self._answers_within(program.start_seconds):
            return
        ended = not self._process.alive()
        await self.stop()
        raise ServerFailed(
            f"{program.name} ended while it was starting."
            if ended
            else f"{program.name} did not answer within {program.start_seconds:g} s.",
            log_tail=tail(program.log),
        )

    async def stop(self) -> None:
        """End the server, in bounded time, even one that is frozen. Do nothing if none runs."""
        if self._process is None:
            return
        with trio.CancelScope(shield=True):
            left = await end([self._process], self.program.stop_steps)
            self._process = None
            if not left:
                await self._clear()
                self.program.pid_file.unlink(missing_ok=True)

    async def _adopt(self, binary: Path) -> bool:
        ours = self._process is not None and self._process.alive()
        found = self._process if ours else self.program.running()
        if found is None:
            return False
        self._process = found
        # One of another installation, or out of its senses, makes room for a new one.
        if found.runs(binary) and await self._answers_within(ADOPT_SECONDS):
            return True
        await self.stop()
        return False

    async def _clear(self) -> None:
        """Remove what a killed server left: its children, then the files that named it.

        In this order, because PostgreSQL's own interlock against children that outlived their
        postmaster is in one of these files.
        """
        program = self.program
        left = [path for path in program.leftovers if path.exists()]
        if not left:
            return
        survivors = await trio.to_thread.run_sync(living_in, program.home, program.process_name)
        if immortal := await end(survivors, program.stop_steps):
            pids = ", ".join(str(process.pid) for process in immortal)
            raise ServerFailed(
                f"Processes of an earlier {program.name} could not be ended: {pids}.",
                advice="See what they wait for (a disk?), end them, and start again.",
            )
        for path in left:
            path.unlink(missing_ok=True)

    async def _answers_within(self, seconds: float) -> bool:
        process = self._process
        with trio.move_on_after(seconds):
            while process is not None and process.alive():
                if await trio.to_thread.run_sync(self.program.answers, self.program.socket):
                    return True
                await trio.sleep(POLL_SECONDS)
        return False
