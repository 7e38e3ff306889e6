"""The pipeliner: one task that owns one connection and sends what many have to say.

It is never cancelled in the middle of a command. Calls gather while a pipeline is under way and
go out together in the next. Whatever goes wrong, the connection is dropped, the calls in hand
fail, and the task connects anew: nobody waits for a server that is away or frozen.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from hashlib import sha1

import trio

from pxbox.jobs import Job, Lane, LaneFull
from pxbox.ports import StreamsUnavailable
from pxbox.streams.connection import LOST, Backoff, Link, Refused, Server, encode

QUEUE_BOUND = 5_000
MOST_CALLS = 300
MOST_BYTES = 1024 * 1024
PIPELINE_SECONDS = 2.0
# A call that waits behind others that are slow, but not lost, gives up after this.
CALL_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Call:
    """Some commands, encoded, that are answered together. They must bear repetition."""

    encoded: bytes
    commands: int


CallJob = Job[Call, list[object]]


class Pipeliner:
    """Calls on one server, with one script loaded there.

    `probe` is a write that is tried on each new connection: a server that refuses it (a replica,
    one without memory left) does not count as connected.
    """

    def __init__(self, server: Server, script: bytes, probe: bytes) -> None:
        self.trouble: str | None = "Redis has not been reached yet"
        """Why calls are refused at present; None while they are not."""
        self.sha = sha1(script, usedforsecurity=False).hexdigest().encode()
        self._server = server
        self._prepare = encode(b"SCRIPT", b"LOAD", script)
        self._probe = probe
        self._lane: Lane[Call, list[object]] = Lane(QUEUE_BOUND)
        self._stopping = trio.Event()
        self._backoff = Backoff()
        self._stopped = trio.Event()

    async def call(self, call: Call) -> list[object]:
        """The replies, none of them an error.

        Raises StreamsUnavailable, at once where there is no connection; the commands may have
        been carried out all the same.
        """
        if self.trouble is not None:
            raise StreamsUnavailable(self.trouble)
        try:
            job = self._lane.put(call)
        except LaneFull:
            raise StreamsUnavailable("too many calls wait for Redis") from None
        with trio.move_on_after(CALL_SECONDS):
            return await job.outcome()
        raise StreamsUnavailable("Redis is too slow")

    async def stop(self) -> None:
        """End the task, after the pipeline that is under way."""
        self._stopping.set()
        # An idle task waits for calls, and sees that it is over when one comes.
        if not len(self._lane):
            self._lane.put(Call(b"", 0))
        await self._stopped.wait()

    async def run(self) -> None:
        """Serve calls until stopped; a resident task."""
        try:
            while not self._stopping.is_set():
                await self._serve_connected()
                await self._backoff.wait(self._stopping)
        finally:
            self._stopped.set()

    async def _serve_connected(self) -> None:
        link: Link | None = None
        try:
            link = await self._server.connect()
            await self._introduce(link)
            self.trouble = None
            await self._serve(link)
        except LOST as error:
            self.trouble = str(error) or "Redis does not answer in time"
        finally:
            self.trouble = self.trouble or "the connection to Redis is closed"
            if link is not None:
                link.drop()
            _fail(await self._lane.take(QUEUE_BOUND) if len(self._lane) else [])

    async def _introduce(self, link: Link) -> None:
        with trio.fail_after(PIPELINE_SECONDS):
            await link.send(self._prepare + self._probe)
            for _ in range(2):
                reply = await link.receive()
                if isinstance(reply, Exception):
                    raise Refused(str(reply))

    async def _serve(self, link: Link) -> None:
        while True:
            jobs = deque(await self._lane.take(MOST_CALLS))
            try:
                while jobs and not self._stopping.is_set():
                    await self._flush(link, jobs)
                    self._backoff.reset()
            finally:
                _fail(jobs)
            if self._stopping.is_set():
                return

    async def _flush(self, link: Link, waiting: deque[CallJob]) -> None:
        """Send what fits of those waiting, and take off each that is answered."""
        with trio.fail_after(PIPELINE_SECONDS):
            if await _exchange(link, waiting, b""):
                return
            # The server has lost the script: a restart in between, or SCRIPT FLUSH.
            if not await _exchange(link, waiting, self._prepare):
                raise Refused("the script was lost twice")


async def _exchange(link: Link, waiting: deque[CallJob], prelude: bytes) -> bool:
    """Send `prelude` and a pipeline, and take off the calls that are answered.

    False: some that need the script found none, and still wait.
    """
    sent = _fitting(waiting)
    await link.send(prelude + b"".join([job.payload.encoded for job in sent]))
    if prelude:
        await link.receive()
    unscripted: list[CallJob] = []
    refusal: Exception | None = None
    try:
        for job in sent:
            replies = [await link.receive() for _ in range(job.payload.commands)]
            waiting.popleft()
            error = next((reply for reply in replies if isinstance(reply, Exception)), None)
            if error is None:
                job.finish(replies)
            elif str(error).startswith("NOSCRIPT"):
                unscripted.append(job)
            else:
                job.fail(StreamsUnavailable(str(error)))
                refusal = error
    finally:
        waiting.extendleft(reversed(unscripted))
    if refusal is not None:
        raise Refused(str(refusal))
    return not unscripted


def _fitting(waiting: deque[CallJob]) -> list[CallJob]:
    """The first of those waiting, as many as make one pipeline, and at least one."""
    size = 0
    taken: list[CallJob] = []
    for job in waiting:
        size += len(job.payload.encoded)
        if taken and size > MOST_BYTES:
            break
        taken.append(job)
    return taken


def _fail(jobs: list[CallJob] | deque[CallJob]) -> None:
    for job in jobs:
        job.fail(StreamsUnavailable("Redis was lost"))
