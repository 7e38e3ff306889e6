"""What can be slow, done in processes that are killed when it is (X4).

A job gets one second of CPU time and 256 MiB. What it has found out by then stands; if that is
nothing, the schema is too costly.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from pxbox.domain.schema import AdmittedSchema
from pxbox.model.document import Document
from pxbox.model.errors import FieldError, InternalError, Overloaded, PayloadTooLarge
from pxbox.model.schema_errors import SchemaTooCostly
from pxbox.validation.protocol import (
    CPU_SECONDS,
    HEADER_BYTES,
    MEMORY_BYTES,
    Admit,
    Admitted,
    Check,
    Checked,
    Done,
    Job,
    Message,
    Outcome,
    Read,
    Ready,
    Refused,
    WasRead,
    body_bytes,
    frame,
    read_message,
    refusal,
)

_JOB_SECONDS = 5.0
"""By the clock, from sending a job to its last outcome: for a worker that is kept from working."""
_START_SECONDS = 20.0
_QUEUE_SECONDS = 5.0
_MAX_WORKERS = 2
_MAX_WAITING = 64
_READ_BYTES = 256 * 1024
_COMMAND = (sys.executable, "-P", "-m", "pxbox.validation.worker")
_PASSED = ("PATH", "LD_LIBRARY_PATH", "LANG", "LC_ALL", "TZ")


class ValidationPool:
    """At most two worker processes, started when needed and replaced when they end.

    Made by `open_validation_pool`. Jobs wait in order, a bounded number for a bounded time.
    """

    def __init__(self) -> None:
        self._idle: list[_Worker] = []
        self._slots = trio.CapacityLimiter(_MAX_WORKERS)

    async def admit(self, canonical: bytes) -> AdmittedSchema:
        """Admit the schema of this canonical JSON.

        Raises a SchemaRefused: SchemaTooCostly where that takes too much. Raises Overloaded.
        """
        match await self._run(Admit(canonical)):
            case Admitted(schema):
                return schema
            case Refused() as outcome:
                raise refusal(outcome)
            case _:
                raise _too_costly("admitting the schema")

    async def check(self, canonical: bytes, payload: bytes) -> list[FieldError]:
        """Return the errors of the value in `payload`, JSON, against an admitted schema.

        Where listing them all takes too much, only the first one, or `UNLISTED`. Raises
        SchemaTooCostly where not even the verdict is known, and Overloaded.
        """
        match await self._run(Check(canonical, payload)):
            case Checked(errors):
                return errors
            case _:
                raise _too_costly("checking this value with the schema")

    async def read(self, raw: bytes) -> Document:
        """Read a value, without its `value`.

        Raises what `decode_json` does, PayloadTooLarge where that takes too much, and Overloaded.
        """
        match await self._run(Read(raw)):
            case WasRead(text, hash):
                return Document(text, hash)
            case Refused() as outcome:
                raise refusal(outcome)
            case _:
                raise PayloadTooLarge(f"reading this value takes {_MORE_THAN_GIVEN}")

    async def _run(self, job: Job) -> Outcome | None:
        """Return the last outcome of the job; None where there was none."""
        async with self._slot():
            worker = await self._worker()
            try:
                return await worker.run(job)
            finally:
                if worker.usable:
                    self._idle.append(worker)
                else:
                    await worker.end()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        if self._slots.statistics().tasks_waiting >= _MAX_WAITING:
            raise _overloaded()
        with trio.move_on_after(_QUEUE_SECONDS) as wait:
            await self._slots.acquire()
        if wait.cancelled_caught:
            raise _overloaded()
        try:
            yield
        finally:
            self._slots.release()

    async def _worker(self) -> _Worker:
        while self._idle:
            worker = self._idle.pop()
            if worker.alive:
                return worker
            await worker.end()
        return await _Worker.start()

    async def end(self) -> None:
        """End all workers; no job is in hand any more."""
        while self._idle:
            await self._idle.pop().end()


@asynccontextmanager
async def open_validation_pool() -> AsyncIterator[ValidationPool]:
    """Give a pool whose processes end with the block."""
    pool = ValidationPool()
    try:
        yield pool
    finally:
        await pool.end()


class _Worker:
    """One worker process. `usable`: it waits for a job."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._received = bytearray()
        self.usable = False

    @classmethod
    async def start(cls) -> _Worker:
        process = await trio.lowlevel.open_process(
            _COMMAND,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # What a library prints as it fails may quote what it was given (X5).
            stderr=subprocess.DEVNULL,
            env=_environment(),
            # A Ctrl-C is for the broker, which finishes its turns first.
            start_new_session=True,
        )
        worker = cls(process)
        try:
            with trio.move_on_after(_START_SECONDS):
                worker.usable = isinstance(await worker._receive(), Ready)
        except _WorkerEnded:
            pass
        finally:
            if not worker.usable:
                await worker.end()
        if not worker.usable:
            raise InternalError("the process that checks schemas and answers does not start")
        return worker

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    async def run(self, job: Job) -> Outcome | None:
        """Return the last outcome that comes in time; None where none does.

        The worker is usable afterwards only if it said that it is done.
        """
        self.usable = False
        outcome = None
        with trio.move_on_after(_JOB_SECONDS):
            try:
                await self._send(frame(job))
                while not isinstance(message := await self._receive(), Done):
                    assert not isinstance(message, Ready)
                    outcome = message
                self.usable = not message.retiring
            except _WorkerEnded:
                pass
        return outcome

    async def end(self) -> None:
        """Kill the process, and wait until it is gone."""
        process = self._process
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()

    async def _send(self, data: bytes) -> None:
        assert self._process.stdin is not None
        try:
            await self._process.stdin.send_all(data)
        except trio.BrokenResourceError:
            raise _WorkerEnded from None

    async def _receive(self) -> Message:
        size = body_bytes(await self._read(HEADER_BYTES))
        return read_message(await self._read(size))

    async def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        while len(self._received) < size:
            data = await self._process.stdout.receive_some(_READ_BYTES)
            if not data:
                raise _WorkerEnded
            self._received += data
        read = bytes(self._received[:size])
        del self._received[:size]
        return read


class _WorkerEnded(Exception):
    """The process ended by itself, or by what bounds its memory."""


def _environment() -> dict[str, str]:
    """Return what a worker needs to find the same code; nothing of what may be secret (X5)."""
    passed = {name: os.environ[name] for name in _PASSED if name in os.environ}
    return passed | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _overloaded() -> Overloaded:
    return Overloaded("too many schemas and answers wait to be checked; try again later")


def _too_costly(what: str) -> SchemaTooCostly:
    return SchemaTooCostly(f"{what} takes {_MORE_THAN_GIVEN}")


_MORE_THAN_GIVEN = (
    f"more than {CPU_SECONDS:g} s or {MEMORY_BYTES >> 20} MiB, which is more than the broker gives"
)
