"""Jobs for resident tasks: who has one puts it on a lane, from which many are taken at once.

A resident task alone uses its connection, and is not cancelled when somebody stops waiting for a
job: what was begun is finished, and a connection is never left in the middle of an answer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import trio

T = TypeVar("T")
R = TypeVar("R")


class LaneFull(Exception):
    """As many jobs wait as may; nothing was queued."""


class Job(Generic[T, R]):
    """What a task wants done, and its outcome once a resident task has done it."""

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
    """A bounded queue of jobs."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._jobs: deque[Job[T, R]] = deque()
        self._takers: deque[trio.lowlevel.Task] = deque()

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
        """Wait for jobs, then take up to `most`, oldest first."""
        while not self._jobs:
            task = trio.lowlevel.current_task()
            self._takers.append(task)

            def leave(_: object, task: trio.lowlevel.Task = task) -> trio.lowlevel.Abort:
                self._takers.remove(task)
                return trio.lowlevel.Abort.SUCCEEDED

            await trio.lowlevel.wait_task_rescheduled(leave)
        if len(self._jobs) <= most:
            taken = list(self._jobs)
            self._jobs.clear()
            return taken
        return [self._jobs.popleft() for _ in range(most)]

    def _wake(self) -> None:
        if self._takers:
            trio.lowlevel.reschedule(self._takers.popleft())


@asynccontextmanager
async def open_residents() -> AsyncIterator[trio.Nursery]:
    """A nursery for resident tasks: leaving the block cancels those that are left."""
    async with trio.open_nursery() as nursery:
        yield nursery
        nursery.cancel_scope.cancel()
