"""The supervisor: starts the workers, keeps them running, ends them one after another."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Protocol

import trio

from pxbox.auth.keys import signing_secret
from pxbox.embedded import logged, open_missing
from pxbox.listening import Tally, open_listeners
from pxbox.observe import configure_log
from pxbox.settings import OPTIONS, OperatorError, Settings, environment, raise_operators
from pxbox.supervisor.figures import family, merge
from pxbox.supervisor.notes import Note
from pxbox.supervisor.worker import Ground, Worker

# Between the ends of two workers, so that not all clients look for another broker at once.
STAGGER_SECONDS = 1.0
FIGURES_SECONDS = 1.0
REPLACED_SECONDS = 60.0
# A worker bounds its own drain; one that does not end by then is stuck (A6).
STUCK_SECONDS = 10.0


class Companion(Protocol):
    """A process beside the brokers, which is to live while they serve."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Return once it has ended, which may take a while."""
        ...


def run(settings: Settings, companion: Companion) -> None:
    """Run `settings.workers` brokers behind one port until SIGTERM or SIGINT, then drain them.

    `companion` is started once all can serve, and stopped before they drain. SIGHUP replaces them
    one by one. Raises OperatorError, and what the embedded servers raise.
    """
    try:
        trio.run(supervise, settings, companion)
    except BaseExceptionGroup as group:
        raise_operators(group)


async def supervise(settings: Settings, companion: Companion) -> None:
    """What `run` runs."""
    log = configure_log(settings.log_level, settings.log_format)

    secret = signing_secret(settings)
    async with (
        open_missing(
            settings.data_dir, settings.database_url, settings.redis_url, logged(log)
        ) as (database_url, redis_url),
        _listening(settings) as listeners,
        _shared_file() as tally_fd,
    ):  # fmt: skip
        port = listeners[0].getsockname()[1]
        theirs = replace(
            settings, port=port, database_url=database_url, redis_url=redis_url, secret=secret,
            secret_file=None,
        )  # fmt: skip
        # Blank where the default holds: what we were given may say otherwise.
        variables = {option.env: "" for option in OPTIONS} | environment(theirs)
        tally = Tally(tally_fd, settings.workers)
        ground = Ground(variables, listeners, tally, tally_fd, settings.workers, log)
        await Fleet(ground, settings.grace_seconds, companion).run()


@asynccontextmanager
async def _listening(settings: Settings) -> AsyncIterator[list[socket.socket]]:
    try:
        listeners = await open_listeners(settings.host, settings.port)
    except OSError as error:
        raise OperatorError(
            f"cannot listen on {settings.host}:{settings.port}: {error}; choose another --port"
        ) from None
    try:
        yield listeners
    finally:
        for listener in listeners:
            listener.close()


@asynccontextmanager
async def _shared_file() -> AsyncIterator[int]:
    """A file without a name, for memory that processes share."""
    with tempfile.TemporaryFile() as file:
        yield os.dup(file.fileno())


class Fleet:
    """All workers of one supervisor."""

    def __init__(self, ground: Ground, grace_seconds: float, companion: Companion) -> None:
        self._ground = ground
        self._grace_seconds = grace_seconds
        self._companion = companion
        self._workers = [Worker(n, ground, self._hear) for n in range(ground.workers)]
        self._collecting: dict[int, str] | None = None
        self._collected = trio.Event()
        self._nursery: trio.Nursery

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT, then drain; SIGHUP replaces the workers one by one."""
        caught = signal.SIGTERM, signal.SIGINT, signal.SIGHUP
        with trio.open_signal_receiver(*caught) as signals:
            async with trio.open_nursery() as self._nursery:
                for worker in self._workers:
                    self._nursery.start_soon(worker.run)
                self._nursery.start_soon(self._announce)
                await self._heed(signals)
                await trio.to_thread.run_sync(self._companion.stop)
                await self._drain()
                self._nursery.cancel_scope.cancel()

    async def _announce(self) -> None:
        """Once all can serve, have whoever started us told."""
        for worker in self._workers:
            await worker.ready.wait()
        await self._workers[0].tell(Note("greet"))

    async def _heed(self, signals: AsyncIterator[int]) -> None:
        """Return at the signal to end."""
        replacing = trio.CancelScope()
        async for number in signals:
            if number != signal.SIGHUP:
                self._ground.log.info("draining", signal=signal.Signals(number).name)
                replacing.cancel()
                return
            replacing.cancel()
            replacing = trio.CancelScope()
            self._nursery.start_soon(self._replace_all, replacing)

    async def _replace_all(self, scope: trio.CancelScope) -> None:
        """Each worker once, the next one when the one before serves again."""
        with scope:
            for worker in self._workers:
                worker.replace()
                with trio.move_on_after(REPLACED_SECONDS):
                    await worker.ready.wait()
                if not worker.serves:
                    self._ground.log.error("no new worker serves: the others stay as they are")
                    return

    async def _drain(self) -> None:
        """End all, one after another, those that are slow about it together."""
        for listener in self._ground.listeners:
            # For all that share it: who connects now is for another machine.
            with suppress(OSError):
                listener.shutdown(socket.SHUT_RD)
        between = min(STAGGER_SECONDS, self._grace_seconds / (2 * len(self._workers)))
        for worker in self._workers:
            worker.stop()
            with trio.move_on_after(between):
                await worker.ended.wait()
        with trio.move_on_after(2 * self._grace_seconds + STUCK_SECONDS):
            for worker in self._workers:
                await worker.ended.wait()
        for worker in self._workers:
            worker.kill()
            await worker.ended.wait()

    def _hear(self, worker: Worker, note: Note) -> None:
        if note.kind == "collect":
            self._nursery.start_soon(self._give_figures, worker)
        elif note.kind == "greeted":
            self._companion.start()
        elif note.kind == "figures" and self._collecting is not None:
            self._collecting[worker.number] = note.text
            if len(self._collecting) == sum(worker.serves for worker in self._workers):
                self._collected.set()

    async def _give_figures(self, asker: Worker) -> None:
        """Everybody's figures, of those who answer in time. Who asks meanwhile gets the same."""
        if self._collecting is None:
            self._collecting, self._collected = {}, trio.Event()
            for worker in self._workers:
                if worker.serves:
                    self._nursery.start_soon(worker.tell, Note("figures"))
        collecting, collected = self._collecting, self._collected
        with trio.move_on_after(FIGURES_SECONDS):
            await collected.wait()
        if self._collecting is collecting:
            self._collecting = None
        await asker.tell(Note("collected", merge(collecting) + self._own_figures(collecting)))

    def _own_figures(self, answered: dict[int, str]) -> str:
        up = {worker.number: worker.number in answered for worker in self._workers}
        starts = {worker.number: worker.starts for worker in self._workers}
        return family("pxbox_worker_up", "gauge", "1: it gave its figures.", up) + family(
            "pxbox_worker_starts_total", "counter", "Processes started for this worker.", starts
        )
