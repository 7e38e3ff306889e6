"""The load client: lifecycles in lanes, from one process of its own, the same for every server.

`python -m bench.load` reads a `Job` as a line of JSON from standard input and writes one line for
each phase: `"measuring"`, `"measured"`, and in the end an `Outcome`. It exits with 1 and says why
on standard error when a command fails, an event is lost or comes twice, or nothing moves any more.

A lane is an asker and a responder with a WebSocket each, and in mode `rest` an HTTP connection
each for their commands. The lane begins its next lifecycle when the last one has ended.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Final, Literal

import msgspec
import uvloop
from msgspec import Struct

from bench.connections import ConnectionBroken, Http, WebSocket, open_http, open_websocket
from bench.dialects import DIALECTS, Dialect, Event, Reply

STALLED_AFTER: Final = 20.0
"""Seconds without any lifecycle ending after which a run is given up."""

clock = time.perf_counter


class LaneSpec(Struct):
    """Who asks and who answers in one lane; `asker` is a `sub`, `entity` the responder's id."""

    asker: str
    asker_token: str
    entity: str
    responder_token: str


class Job(Struct):
    """What to do; `warmup` and `seconds` are in seconds, the warm-up is not measured."""

    dialect: str
    port: int
    mode: Literal["ws", "rest"]
    lanes: list[LaneSpec]
    warmup: float = 1.0
    seconds: float = 5.0


class Outcome(Struct):
    """What was measured. Latencies in milliseconds; `cpu` in cores."""

    lifecycles: int
    seconds: float
    rate: float
    p50_ms: float
    p99_ms: float
    seen_p50_ms: float
    cpu: float


class Stalled(Exception):
    """No lifecycle has ended for a long time."""


def quantile(sorted_values: list[float], q: float) -> float:
    """The value below which a share `q` of the values lies; nearest rank."""
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * q))]


def ignore(_event: Event) -> None:
    """Hear an event and do nothing."""


class Party:
    """An asker or a responder: it hears the events of one channel and has one command at a time."""

    def __init__(self, load: Load, token: str, channel: str) -> None:
        self._load = load
        self._token = token
        self._channel = channel
        self._socket: WebSocket | None = None
        self._http: Http | None = None
        self._command = 0
        self._then: Callable[[str], None] | None = None
        self._subscribed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.seq = 0
        self.on_event: Callable[[Event], None] = ignore

    async def open(self) -> None:
        job, dialect = self._load.job, self._load.dialect
        self._socket = await open_websocket(
            job.port, dialect.socket_path, self._token, self._on_message, self._load.fail
        )
        self._socket.send(dialect.subscribe(0, self._channel))
        await self._subscribed
        if job.mode == "rest":
            self._http = await open_http(job.port, self._load.fail)

    def close(self) -> None:
        for connection in (self._socket, self._http):
            if connection is not None:
                connection.close()

    def do(
        self,
        text: Callable[[int, str], bytes],
        call: Callable[[str], tuple[str, bytes]],
        argument: str,
        then: Callable[[str], None],
    ) -> None:
        """Give one command, over the way that the job names; `then` gets the request's id."""
        self._then = then
        if self._http is not None:
            self._post(self._http, *call(argument))
        elif self._socket is not None:
            self._command += 1
            self._socket.send(text(self._command, argument))

    def _post(self, http: Http, path: str, body: bytes) -> None:
        if http.last:
            self._load.spawn(self._post_anew(path, body))
        else:
            http.post(path, self._token, body, self._on_reply)

    async def _post_anew(self, path: str, body: bytes) -> None:
        try:
            self._http = await open_http(self._load.job.port, self._load.fail)
            self._http.post(path, self._token, body, self._on_reply)
        except OSError as error:
            self._load.fail(error)

    def _on_message(self, text: bytes) -> None:
        message = self._load.dialect.read(text)
        if isinstance(message, Event):
            if message.channel != self._channel or message.seq != self.seq + 1:
                raise ConnectionBroken(f"after {self._channel} {self.seq} came {message}")
            self.seq = message.seq
            self.on_event(message)
        elif isinstance(message, Reply):
            if message.id == 0:
                self.seq = message.head
                self._subscribed.set_result(None)
            elif message.id != self._command:
                raise ConnectionBroken(f"a reply to another command than {self._command}")
            else:
                self._done(message.request)

    def _on_reply(self, status: int, body: bytes) -> None:
        self._done(self._load.dialect.read_call(status, body))

    def _done(self, request: str) -> None:
        then, self._then = self._then, None
        if then is None:
            raise ConnectionBroken(f"a second reply for {request}")
        then(request)


class Lane:
    """One lifecycle after the other."""

    def __init__(self, load: Load, spec: LaneSpec) -> None:
        self._load = load
        self._entity = spec.entity
        self._asker = Party(load, spec.asker_token, f"requestor:{spec.asker}")
        self._responder = Party(load, spec.responder_token, f"entity:{spec.entity}")
        self._asker.on_event = self._asker_hears
        self._responder.on_event = self._responder_hears
        self._started = self._seen = self._told = 0.0
        self._request = self._created_id = ""
        self._loose_ends = 0
        self.stage = "idle"
        self.settled = True

    async def open(self) -> None:
        await self._asker.open()
        await self._responder.open()

    def close(self) -> None:
        self._asker.close()
        self._responder.close()

    def begin(self) -> None:
        dialect = self._load.dialect
        self._loose_ends = 3  # the asker is told; the replies to the create and to the answer
        self.settled = False
        self.stage = "created"
        self._started = clock()
        self._asker.do(dialect.create, dialect.create_call, self._entity, self._created)

    def _created(self, request: str) -> None:
        self._created_id = request
        self._end_one()

    def _responder_hears(self, event: Event) -> None:
        if event.kind == "created":
            self._seen = clock()
            self._request = event.request
            self.stage = "claimed"
            dialect = self._load.dialect
            self._responder.do(dialect.claim, dialect.claim_call, event.request, self._claimed)
        elif event.kind == "answered":
            self.settled = True

    def _claimed(self, request: str) -> None:
        self.stage = "answered"
        dialect = self._load.dialect
        self._responder.do(dialect.answer, dialect.answer_call, request, self._answered)

    def _answered(self, _request: str) -> None:
        self._end_one()

    def _asker_hears(self, event: Event) -> None:
        if event.kind == "answered":
            if event.request != self._request:
                raise ConnectionBroken(f"told of {event.request} in place of {self._request}")
            self._told = clock()
            self._end_one()

    def _end_one(self) -> None:
        self._loose_ends -= 1
        if self._loose_ends:
            return
        if self._created_id != self._request:
            raise ConnectionBroken(f"created {self._created_id}, saw {self._request}")
        self._load.ended(self._told - self._started, self._seen - self._started)
        if self._load.running:
            self.begin()
        else:
            self.stage = "idle"


class Load:
    """All lanes of a job, and what is measured of them."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.dialect: Dialect = DIALECTS[job.dialect]()
        self.running = False
        self._measuring = False
        self._whole: list[float] = []
        self._seen: list[float] = []
        self._count = 0
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tasks: set[asyncio.Task[None]] = set()
        self._lanes = [Lane(self, spec) for spec in job.lanes]

    def fail(self, error: Exception) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)

    def spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def ended(self, whole: float, seen: float) -> None:
        self._count += 1
        if self._measuring:
            self._whole.append(whole)
            self._seen.append(seen)

    async def run(self) -> Outcome:
        for lane in self._lanes:
            await lane.open()
        self.running = True
        for lane in self._lanes:
            lane.begin()
        await self._pass(self.job.warmup)
        report("measuring")
        self._measuring = True
        begun, cpu = clock(), cpu_seconds()
        await self._pass(self.job.seconds)
        self._measuring = False
        elapsed, cpu = clock() - begun, cpu_seconds() - cpu
        report("measured")
        await self._finish()
        return self._outcome(elapsed, cpu)

    async def _pass(self, seconds: float) -> None:
        """Let the lanes work for that long, and longer if nothing has ended yet."""
        end, before = clock() + seconds, self._count
        while clock() < end or self._count == before:
            await asyncio.wait([self._failed], timeout=min(0.5, max(0.01, end - clock())))
            if self._failed.done():
                self._failed.result()
            if clock() > end + STALLED_AFTER:
                raise Stalled(self._stages())

    async def _finish(self) -> None:
        """Let every lane end its lifecycle and hear every event."""
        self.running = False
        end = clock() + STALLED_AFTER
        while not all(lane.settled and lane.stage == "idle" for lane in self._lanes):
            await asyncio.wait([self._failed], timeout=0.01)
            if self._failed.done():
                self._failed.result()
            if clock() > end:
                raise Stalled(self._stages())
        for lane in self._lanes:
            lane.close()

    def _stages(self) -> str:
        stages = [lane.stage for lane in self._lanes]
        counts = ", ".join(f"{stages.count(stage)} {stage}" for stage in sorted(set(stages)))
        return f"nothing moves after {self._count} lifecycles; lanes waiting to be: {counts}"

    def _outcome(self, elapsed: float, cpu: float) -> Outcome:
        whole, seen = sorted(self._whole), sorted(self._seen)
        return Outcome(
            lifecycles=len(whole),
            seconds=elapsed,
            rate=len(whole) / elapsed,
            p50_ms=quantile(whole, 0.5) * 1e3,
            p99_ms=quantile(whole, 0.99) * 1e3,
            seen_p50_ms=quantile(seen, 0.5) * 1e3,
            cpu=cpu / elapsed,
        )


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def report(line: object) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


async def work(job: Job) -> Outcome:
    return await Load(job).run()


def main() -> int:
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
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
