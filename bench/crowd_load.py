"""The load client of `fanout` and `replay`: a process of its own, the same for every server.

`python -m bench.crowd_load` reads a `CrowdJob` as a line of JSON from standard input. Of fan-out
it writes `"connected"`, waits for a line, and then as the other load clients `"measuring"`,
`"measured"`, and a `CrowdOutcome`; for replays it leaves out the first.
"""

from __future__ import annotations

import asyncio
import gc
import re
import resource
import sys
from typing import Final

import msgspec
import uvloop
from msgspec import Struct

from bench.crowd import Place, Publisher, Reader, Since, open_publisher, open_reader
from bench.load import Stalled, clock, cpu_seconds, quantile, report

STALLED_AFTER: Final = 30.0
OPENED_AT_ONCE: Final = 50
OFFSET: Final = re.compile(rb',"(\d+-\d+)"\]')
SEQ: Final = re.compile(rb'"seq":(\d+)')
# How many events are on their way at most, in bulks: the next is asked for when all readers have
# all but so many of them, so that nobody is slow by design.
BULKS_AHEAD: Final = 3
# With one, a server would wait for the client between its bulks.
PUBLISHERS: Final = 2


class CrowdJob(Struct):
    """`missed`: 0 for fan-out; else how many events each reader misses and is given again."""

    place: Place
    readers: int
    bulk: int
    warmup: float = 1.0
    seconds: float = 5.0
    missed: int = 0


class CrowdOutcome(Struct):
    """`rate`: events that readers got per second, of all together; `published` of them per reader.
    Of replays, milliseconds: `p50_ms` from a reader's connecting until it has all that it missed,
    `all_ms` until everybody has. `size_bytes` is what an event took on the wire; `cpu` in cores."""

    seconds: float
    events: int
    rate: float = 0.0
    published: float = 0.0
    p50_ms: float = 0.0
    all_ms: float = 0.0
    size_bytes: float = 0.0
    cpu: float = 0.0


class Crowd:
    """The readers of a job, and who has events made for them."""

    def __init__(self, job: CrowdJob) -> None:
        self._job = job
        self._readers: list[Reader] = []
        self._got = 0
        self._published = 0
        self._moved = asyncio.Event()

    async def run(self) -> CrowdOutcome:
        self._publisher = await open_publisher(self._job.place)
        if self._job.missed:
            return await self._replay()
        await self._open_all()
        report("connected")
        await asyncio.to_thread(sys.stdin.buffer.readline)
        return await self._fan_out()

    async def _open_all(self) -> None:
        """Connect all, some at a time, and wait until all are let in."""
        for at in range(0, self._job.readers, OPENED_AT_ONCE):
            numbers = range(at, min(at + OPENED_AT_ONCE, self._job.readers))
            await asyncio.gather(*(self._open(n) for n in numbers))

    async def _open(self, number: int) -> None:
        reader = await open_reader(self._job.place, number)
        reader.on_events = self._on_events
        if number == 0:
            reader.kept = []
        self._readers.append(reader)
        await asyncio.wait_for(reader.joined, STALLED_AFTER)

    def _on_events(self, _reader: Reader, found: int) -> None:
        self._got += found
        self._moved.set()

    async def _fan_out(self) -> CrowdOutcome:
        publishing = asyncio.create_task(self._publish_for_ever())
        await self._pass(publishing, self._job.warmup)
        report("measuring")
        begun, cpu, got, published = clock(), cpu_seconds(), self._got, self._published
        await self._pass(publishing, self._job.seconds)
        elapsed, cpu, got = clock() - begun, cpu_seconds() - cpu, self._got - got
        published = self._published - published
        report("measured")
        self._running = False
        await publishing
        await self._until(self._published * self._job.readers)
        self._check(self._published)
        size = sum(map(len, self._readers[0].kept or [])) / self._published
        self._close()
        return CrowdOutcome(
            elapsed, got, got / elapsed, published / elapsed, size_bytes=size, cpu=cpu / elapsed
        )

    async def _publish_for_ever(self) -> None:
        self._running = True
        publishers = [await open_publisher(self._job.place) for _ in range(PUBLISHERS)]
        await asyncio.gather(*map(self._publish, publishers))

    async def _publish(self, publisher: Publisher) -> None:
        bulk, readers = self._job.bulk, self._job.readers
        while self._running:
            await publisher.publish(bulk)
            self._published += bulk
            await self._until((self._published - (BULKS_AHEAD - 1) * bulk) * readers)

    async def _pass(self, publishing: asyncio.Task[None], seconds: float) -> None:
        await asyncio.wait([publishing], timeout=seconds)
        if publishing.done():
            publishing.result()

    async def _until(self, got: int) -> None:
        """Wait until so many events have come. Raises what befell a reader, or Stalled."""
        while self._got < got:
            self._moved.clear()
            try:
                await asyncio.wait_for(self._moved.wait(), STALLED_AFTER)
            except TimeoutError:
                raise Stalled(f"{self._got} of {got} events have come") from None
            for reader in self._readers[:: max(1, len(self._readers) // 16)]:
                if reader.error is not None:
                    raise reader.error

    def _check(self, events: int) -> None:
        """Every reader has had each event once; the first one's numbers follow each other."""
        for reader in self._readers:
            if reader.error is not None:
                raise reader.error
            if reader.count != events:
                raise Stalled(f"reader {reader.number} had {reader.count} of {events} events")
        if self._job.place.server == "pxbox":
            seen = [int(n) for n in SEQ.findall(b"".join(self._readers[0].kept or []))]
            numbers = sorted(set(seen))[-events:]
            if numbers != list(range(numbers[0], numbers[0] + events)):
                raise Stalled("the numbers of a channel do not follow each other")

    def _close(self) -> None:
        for reader in self._readers:
            reader.close()
        self._readers.clear()

    async def _replay(self) -> CrowdOutcome:
        """All hear one event, go, miss some, and come back at one time."""
        job = self._job
        await self._open_all()
        await self._publisher.publish(1)
        await self._until(job.readers)
        since = [self._since(reader) for reader in sorted(self._readers, key=lambda r: r.number)]
        self._close()
        for _ in range(0, job.missed, job.bulk):
            await self._publisher.publish(min(job.bulk, job.missed))
        await asyncio.sleep(job.warmup)
        report("measuring")
        begun, cpu, self._got = clock(), cpu_seconds(), 0
        took = await asyncio.gather(*(self._come_back(n, since[n]) for n in range(job.readers)))
        elapsed, cpu = clock() - begun, cpu_seconds() - cpu
        report("measured")
        self._check(job.missed)
        self._close()
        return CrowdOutcome(
            elapsed,
            self._got,
            rate=self._got / elapsed,
            p50_ms=quantile(sorted(took), 0.5) * 1e3,
            all_ms=elapsed * 1e3,
            cpu=cpu / elapsed,
        )

    def _since(self, reader: Reader) -> Since:
        """What a reader has seen, after the one event that it had."""
        seen = reader.seen
        if reader.place.server == "socketio":
            seen.offset = OFFSET.findall(reader.last)[-1].decode()
        else:
            seen.seq += 1
        return seen

    async def _come_back(self, number: int, since: Since) -> float:
        done = asyncio.get_running_loop().create_future()

        def on_events(reader: Reader, found: int) -> None:
            self._got += found
            if reader.count >= self._job.missed and not done.done():
                done.set_result(None)

        begun = clock()
        reader = await open_reader(self._job.place, number, since)
        reader.on_events = on_events
        if number == 0:
            reader.kept = []
        self._readers.append(reader)
        await asyncio.wait_for(reader.joined, STALLED_AFTER)
        if reader.count < self._job.missed:
            await asyncio.wait_for(done, STALLED_AFTER)
        return clock() - begun


async def work(job: CrowdJob) -> CrowdOutcome:
    return await Crowd(job).run()


def main() -> int:
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=CrowdJob)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))
    gc.freeze()
    gc.disable()
    try:
        report(uvloop.run(work(job)))
    except Exception as error:
        print(f"load client: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
