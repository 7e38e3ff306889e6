"""The one crossing from trio to asyncio: job queues into long-lived asyncio tasks.

A crossing per call costs some 140 µs of CPU; a job put on a queue that a resident asyncio task
drains costs about 4 µs, and lets it drain many at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import trio
import trio_asyncio

T = TypeVar("T")
R = TypeVar("R")


class LaneFull(Exception):
    """As many jobs wait as may; nothing was queued."""


class Job(Generic[T, R]):
    """What a trio task wants done, and its outcome once an asyncio task has done it."""

    __slots__ = ("_done", "_error", "_result", "_waiter", "payload")

    def __init__(self, payload: T) -> None:
        self.payload = payload
        self._done = False
        self._result: R
        self._error: Exception | None = None
        self._waiter: trio.lowlevel.Task | None = None

    def finish(self, result: R) -> None:
        self._result = result
        self._settle()

    def fail(self, error: Exception) -> None:
        self._error = error
        self._settle()

    async def outcome(self) -> R:
        """Wait for the outcome, in one task. Cancelling the wait leaves the job as it is."""
        if not self._done:
            # Not a trio.Event, which would cost twice as much, at every commit and read.
            self._waiter = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._leave)
        return self.result()

    def result(self) -> R:
        """The outcome of a job that is done: its result, or its error raised."""
        if self._error is not None:
            raise self._error
        return self._result

    def _settle(self) -> None:
        self._done = True
        if self._waiter is not None:
            trio.lowlevel.reschedule(self._waiter)
            self._waiter = None

    def _leave(self, _: object) -> trio.lowlevel.Abort:
        self._waiter = None
        return trio.lowlevel.Abort.SUCCEEDED


class Lane(Generic[T, R]):
    """A bounded queue of jobs: trio tasks put, asyncio tasks take."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._jobs: deque[Job[T, R]] = deque()
        self._wakers: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, payload: T) -> Job[T, R]:
        """Queue a job at once, or raise LaneFull."""
        if len(self._jobs) >= self._bound:
            raise LaneFull
        job: Job[T, R] = Job(payload)
        self._jobs.append(job)
        self._wake()
        return job

    def put_back(self, jobs: list[Job[T, R]]) -> None:
        """Return jobs that were taken, to be taken first again."""
        self._jobs.extendleft(reversed(jobs))
        self._wake()

    async def call(self, payload: T) -> R:
        return await self.put(payload).outcome()

    async def take(self, most: int) -> list[Job[T, R]]:
        """From an asyncio task: wait for jobs, then take up to `most`, oldest first."""
        while not self._jobs:
            waker = asyncio.get_running_loop().create_future()
            self._wakers.append(waker)
            await waker
        if len(self._jobs) <= most:
            taken = list(self._jobs)
            self._jobs.clear()
            return taken
        return [self._jobs.popleft() for _ in range(most)]

    def _wake(self) -> None:
        while self._wakers:
            waker = self._wakers.popleft()
            if not waker.done():
                waker.set_result(None)
                return


class Bridge:
    """Runs asyncio tasks inside the trio program, for as long as it is open."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    def start(self, task: Callable[[], Awaitable[None]]) -> None:
        """Start a resident asyncio task. It must contain its errors: one that escapes ends all."""
        self._nursery.start_soon(trio_asyncio.aio_as_trio(task))

    async def run(self, task: Callable[[], Awaitable[R]]) -> R:
        """Run one asyncio coroutine to its end: for starting and stopping, not for the hot path."""
        result: R = await trio_asyncio.aio_as_trio(task)()
        return result


@asynccontextmanager
async def open_bridge() -> AsyncIterator[Bridge]:
    """Open the crossing; leaving the block cancels the asyncio tasks that are left."""
    async with trio_asyncio.open_loop(), trio.open_nursery() as nursery:
        yield Bridge(nursery)
        nursery.cancel_scope.cancel()
