"""The flows' load client: flows in lanes, from one process of its own, the same for every engine.

`python -m bench.flow_load` reads a `FlowJob` as a line of JSON from standard input and writes one
line for each phase: `"measuring"`, `"measured"`, and in the end a `FlowOutcome`.

A lane starts a flow, hears that it waits, answers, hears that it is complete, and begins again.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from abc import ABC, abstractmethod
from typing import Final, Literal

import msgspec
import uvloop
from msgspec import UNSET, Struct, UnsetType

from bench.connections import ConnectionBroken, Http, Stream, WebSocket, open_http, open_websocket
from bench.dialects import ANSWER, PAYLOAD, check_status
from bench.load import Stalled, clock, cpu_seconds, quantile, report

STALLED_AFTER: Final = 30.0
ANSWER_BYTES: Final = msgspec.json.encode(ANSWER)


class FlowLane(Struct):
    """Whose flows a lane starts and answers."""

    entity: str
    token: str


class FlowJob(Struct):
    """What to do; `warmup` and `seconds` are in seconds, the warm-up is not measured.

    `port` is where flows are started; of Restate, `line_port` is where its service says that one
    waits.
    """

    engine: Literal["pxbox", "line", "restate"]
    port: int
    lanes: list[FlowLane]
    warmup: float = 1.0
    seconds: float = 5.0
    line_port: int = 0


class FlowOutcome(Struct):
    """What was measured. Latencies in milliseconds: `p50_ms` from start to end, `resumed_p50_ms`
    from sending the answer to hearing of the end; `cpu` in cores."""

    flows: int
    seconds: float
    rate: float
    p50_ms: float
    p99_ms: float
    resumed_p50_ms: float
    cpu: float


class Lane(ABC):
    """One flow after the other. A subclass says how one is started and answered."""

    def __init__(self, load: FlowLoad) -> None:
        self._load = load
        self._started = self._answered = 0.0
        self.busy = False

    @abstractmethod
    async def open(self) -> None: ...

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def answer(self, about: str) -> None: ...

    @abstractmethod
    def close(self) -> None: ...

    def begin(self) -> None:
        self.busy = True
        self._started = clock()
        self.start()

    def waits(self, about: str) -> None:
        """The flow waits; `about` is what an answer names."""
        self._answered = clock()
        self.answer(about)

    def ended(self) -> None:
        now = clock()
        self.busy = False
        self._load.ended(now - self._started, now - self._answered)
        if self._load.running:
            self.begin()


class _Data(Struct, rename="camel"):
    type: str = ""
    request_id: str = ""
    status: str = ""


class _Message(Struct):
    type: str
    id: str = ""
    channel: str = ""
    data: _Data | UnsetType = UNSET


_MESSAGES: Final = msgspec.json.Decoder(_Message)


class PxBoxLane(Lane):
    """A WebSocket to the broker: the lane's entity owns the flows and is asked by them."""

    def __init__(self, load: FlowLoad, lane: FlowLane) -> None:
        super().__init__(load)
        self._lane = lane
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def open(self) -> None:
        self._socket: WebSocket = await open_websocket(
            self._load.job.port, "/v1/ws", self._lane.token, self._on_message, self._load.fail
        )
        channel = f"entity:{self._lane.entity}"
        self._socket.send(f'{{"type":"subscribe","id":"s","channel":"{channel}"}}'.encode())
        await self._opened

    def start(self) -> None:
        flow = f'{{"kind":"bench","version":1,"input":"{self._lane.entity}"}}'
        self._send("createFlow", flow)

    def answer(self, about: str) -> None:
        self._send("postResponse", f'{{"id":"{about}","payload":{PAYLOAD}}}')

    def close(self) -> None:
        self._socket.close()

    def _send(self, op: str, data: str) -> None:
        self._socket.send(f'{{"type":"cmd","id":"c","op":"{op}","data":{data}}}'.encode())

    def _on_message(self, text: bytes) -> None:
        message = _MESSAGES.decode(text)
        if message.type == "ack" and not self._opened.done():
            self._opened.set_result(None)
        elif message.type == "error":
            raise ConnectionBroken(text[:500].decode(errors="replace"))
        elif message.type == "event" and message.data is not UNSET:
            if message.data.type == "request.created":
                self.waits(message.data.request_id)
            elif message.data.type == "flow.completed":
                self.ended()
            elif message.data.type in ("flow.failed", "flow.cancelled"):
                raise ConnectionBroken(text[:500].decode(errors="replace"))


class Lines(Stream):
    """A TCP connection to a peer's process, which hears and says words in lines."""

    def __init__(self, load: FlowLoad) -> None:
        super().__init__(load.fail)
        self._load = load

    def take(self, data: bytes) -> None:
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            word, lane, *about = line.decode().split(" ", 2)
            if word == "waits":
                self._load.lanes[int(lane)].waits(about[0])
            elif word == "ended":
                self._load.lanes[int(lane)].ended()
            else:
                raise ConnectionBroken(line.decode())


class LineLane(Lane):
    """All lanes share one connection: `start LANE`, `answer LANE ABOUT JSON`."""

    def __init__(self, load: FlowLoad, number: int) -> None:
        super().__init__(load)
        self._number = number

    async def open(self) -> None:
        await self._load.open_lines(self._load.job.port)

    def start(self) -> None:
        self._say(f"start {self._number}\n".encode())

    def answer(self, about: str) -> None:
        self._say(f"answer {self._number} {about} {PAYLOAD}\n".encode())

    def _say(self, line: bytes) -> None:
        assert self._load.lines is not None
        self._load.lines.write(line)

    def close(self) -> None:
        if self._load.lines is not None:
            self._load.lines.close()


class RestateLane(Lane):
    """Restate's own HTTP: the call that starts a flow is answered when it ends."""

    def __init__(self, load: FlowLoad, number: int) -> None:
        super().__init__(load)
        self._number = number
        self._flows = 0

    async def open(self) -> None:
        await self._load.open_lines(self._load.job.line_port)
        self._starts: Http = await open_http(self._load.job.port, self._load.fail)
        self._answers: Http = await open_http(self._load.job.port, self._load.fail)

    def start(self) -> None:
        body = str(self._number).encode()
        self._starts.post("/bench/run", "none", body, self._on_end)

    def _on_end(self, status: int, body: bytes) -> None:
        check_status(status, body)
        self.ended()

    def answer(self, about: str) -> None:
        path = f"/restate/awakeables/{about}/resolve"
        self._answers.post(path, "none", ANSWER_BYTES, self._on_answered)

    @staticmethod
    def _on_answered(status: int, body: bytes) -> None:
        if status != 202:
            check_status(status, body)

    def close(self) -> None:
        self._starts.close()
        self._answers.close()
        if self._load.lines is not None:
            self._load.lines.close()


class FlowLoad:
    """All lanes of a job, and what is measured of them."""

    def __init__(self, job: FlowJob) -> None:
        self.job = job
        self.running = False
        self.lines: Lines | None = None
        self._measuring = False
        self._count = 0
        self._whole: list[float] = []
        self._resumed: list[float] = []
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.lanes: list[Lane] = [self._lane(n, lane) for n, lane in enumerate(job.lanes)]

    def _lane(self, number: int, lane: FlowLane) -> Lane:
        if self.job.engine == "pxbox":
            return PxBoxLane(self, lane)
        if self.job.engine == "line":
            return LineLane(self, number)
        return RestateLane(self, number)

    async def open_lines(self, port: int) -> None:
        if self.lines is None:
            loop = asyncio.get_running_loop()
            _, self.lines = await loop.create_connection(lambda: Lines(self), "127.0.0.1", port)

    def fail(self, error: Exception) -> None:
        if not self._failed.done():
            self._failed.set_exception(error)

    def ended(self, whole: float, resumed: float) -> None:
        self._count += 1
        if self._measuring:
            self._whole.append(whole)
            self._resumed.append(resumed)

    async def run(self) -> FlowOutcome:
        for lane in self.lanes:
            await lane.open()
        self.running = True
        for lane in self.lanes:
            lane.begin()
        await self._pass(self.job.warmup)
        report("measuring")
        self._measuring = True
        begun, cpu = clock(), cpu_seconds()
        await self._pass(self.job.seconds)
        self._measuring = False
        elapsed, cpu = clock() - begun, cpu_seconds() - cpu
        report("measured")
        self.running = False
        await self._finish()
        return self._outcome(elapsed, cpu)

    async def _pass(self, seconds: float) -> None:
        """Let the lanes work for that long, and longer if nothing has ended yet."""
        end, before = clock() + seconds, self._count
        while clock() < end or self._count == before:
            await self._watch(min(0.5, max(0.01, end - clock())), end)

    async def _finish(self) -> None:
        end = clock()
        while any(lane.busy for lane in self.lanes):
            await self._watch(0.01, end)
        for lane in self.lanes:
            lane.close()

    async def _watch(self, seconds: float, end: float) -> None:
        await asyncio.wait([self._failed], timeout=seconds)
        if self._failed.done():
            self._failed.result()
        if clock() > end + STALLED_AFTER:
            busy = sum(lane.busy for lane in self.lanes)
            raise Stalled(f"nothing moves after {self._count} flows; {busy} lanes wait")

    def _outcome(self, elapsed: float, cpu: float) -> FlowOutcome:
        whole, resumed = sorted(self._whole), sorted(self._resumed)
        return FlowOutcome(
            flows=len(whole),
            seconds=elapsed,
            rate=len(whole) / elapsed,
            p50_ms=quantile(whole, 0.5) * 1e3,
            p99_ms=quantile(whole, 0.99) * 1e3,
            resumed_p50_ms=quantile(resumed, 0.5) * 1e3,
            cpu=cpu / elapsed,
        )


async def work(job: FlowJob) -> FlowOutcome:
    return await FlowLoad(job).run()


def main() -> int:
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=FlowJob)
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
