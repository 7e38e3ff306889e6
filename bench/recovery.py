"""`python -m bench recovery`: kill all but PostgreSQL beside suspended flows, and start again."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack
from typing import Final

import asyncpg
import msgspec
import trio
from msgspec import Struct

from bench import table
from bench.connections import WebSocket, open_websocket
from bench.dialects import PAYLOAD
from bench.flows import KIND, make_lanes, worker_process
from bench.options import Options
from bench.peers.steps import SQL
from bench.processes import RunFailed, serving, starting, usage
from bench.stack import Stack, in_asyncio, open_stack, pxbox_service

TITLE: Final = "Recovery: SIGKILL of broker and worker beside suspended flows, and a start"
COLUMNS: Final = (
    "suspended flows", "ready s", "answer to end ms", "broker RSS MB before", "after",
    "worker RSS MB before", "after",
)  # fmt: skip
AT_ONCE: Final = 64
WAIT_SECONDS: Final = 600.0


class RecoveryOptions(Options):
    flows: int
    copied: int


class Row(Struct):
    """`ready_s`: from starting the broker until it says that it is ready. `resumed_ms`: from the
    first answer, sent when the worker has come too, until its flow has ended."""

    suspended: int
    ready_s: float
    resumed_ms: float
    broker_before_mb: float
    broker_after_mb: float
    worker_before_mb: float
    worker_after_mb: float


class Owner:
    """The entity that owns the flows and is asked by them, on a WebSocket."""

    def __init__(self, port: int, entity: str, token: str) -> None:
        self._port = port
        self._entity = entity
        self._token = token
        self._failed: Exception | None = None
        self.asked: list[str] = []
        self.ended = 0

    async def open(self) -> None:
        # Made here: each opening is in an event loop of its own.
        self._moved = asyncio.Event()
        self._socket: WebSocket = await open_websocket(
            self._port, "/v1/ws", self._token, self._on_message, self._fail
        )
        channel = f"entity:{self._entity}"
        self._socket.send(f'{{"type":"subscribe","id":"s","channel":"{channel}"}}'.encode())

    def close(self) -> None:
        self._socket.close()

    def _fail(self, error: Exception) -> None:
        self._failed = error
        self._moved.set()

    def _on_message(self, text: bytes) -> None:
        message = msgspec.json.decode(text)
        kind = message["type"] if message["type"] != "event" else message["data"]["type"]
        if kind == "error":
            raise RunFailed(text.decode(errors="replace"))
        if kind == "request.created":
            self.asked.append(message["data"]["requestId"])
        elif kind == "flow.completed":
            self.ended += 1
        self._moved.set()

    def start_flow(self) -> None:
        data = f'{{"kind":"{KIND}","version":1,"input":"{self._entity}"}}'
        self._send("createFlow", data)

    def answer(self, request: str) -> None:
        self._send("postResponse", f'{{"id":"{request}","payload":{PAYLOAD}}}')

    def _send(self, op: str, data: str) -> None:
        self._socket.send(f'{{"type":"cmd","id":"c","op":"{op}","data":{data}}}'.encode())

    async def until_asked(self, number: int) -> None:
        while len(self.asked) < number:
            await self._move()

    async def until_ended(self, number: int) -> None:
        while self.ended < number:
            await self._move()

    async def _move(self) -> None:
        self._moved.clear()
        await asyncio.wait_for(self._moved.wait(), WAIT_SECONDS)
        if self._failed is not None:
            raise self._failed


async def suspend(owner: Owner, number: int) -> None:
    """Start so many flows, some at a time, and wait until each has asked."""
    await owner.open()
    for started in range(number):
        owner.start_flow()
        await owner.until_asked(max(0, started + 1 - AT_ONCE))
    await owner.until_asked(number)
    owner.close()


async def resume_one(owner: Owner, request: str) -> float:
    """Answer this request; how many milliseconds it takes until its flow has ended."""
    await owner.open()
    begun = time.perf_counter()
    owner.answer(request)
    await owner.until_ended(1)
    owner.close()
    return (time.perf_counter() - begun) * 1e3


async def sessions(url: str) -> set[str]:
    """The workers that have come, those that were killed included."""
    connection = await asyncpg.connect(url)
    try:
        return {row["id"] for row in await connection.fetch("select id from worker_session")}
    finally:
        await connection.close()


async def until_come(url: str, before: set[str]) -> None:
    """Return once there is a worker that was not there before."""
    while await sessions(url) <= before:
        await asyncio.sleep(0.01)


async def multiply(url: str, copies: int) -> None:
    """Copy every row that the flows left, under other ids, so often."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(SQL["make_twins"])
        await connection.execute(SQL["fill_twins"], copies)
        for name in ("copy_flows", "copy_waits", "copy_requests", "copy_inquiries"):
            await connection.execute(SQL[name], timeout=WAIT_SECONDS)
        await connection.execute("analyze")
    finally:
        await connection.close()


class Trial:
    """One database with suspended flows, killed and started again."""

    def __init__(self, stack: Stack, url: str) -> None:
        self._stack = stack
        self._url = url
        self._service = pxbox_service(stack, url)

    async def fill(self, flows: int) -> tuple[float, float]:
        """Suspend flows and kill both processes; the memory of each in MB before that."""
        stack = self._stack
        async with (
            serving(self._service, stack.directory / "pxbox.log") as broker,
            starting(worker_process(self._service.port), stack.directory / "worker.log") as worker,
        ):
            (lane,) = await trio.to_thread.run_sync(make_lanes, self._service.port, 1)
            self._owner = Owner(self._service.port, lane.entity, lane.token)
            await in_asyncio(suspend(self._owner, flows))
            before = usage(broker).rss_bytes / 1e6, usage(worker).rss_bytes / 1e6
            for pid in (broker, worker):
                os.kill(pid, signal.SIGKILL)
        return before

    async def recover(self, suspended: int, before: tuple[float, float]) -> Row:
        """Start both, and answer one flow as soon as both are there."""
        stack, owner = self._stack, self._owner
        await stack.checkpoint()
        gone = await in_asyncio(sessions(self._url))
        async with AsyncExitStack() as ending:
            begun = time.perf_counter()
            log = stack.directory / "pxbox.log"
            broker = await ending.enter_async_context(serving(self._service, log))
            ready = time.perf_counter() - begun
            process, log = worker_process(self._service.port), stack.directory / "worker.log"
            worker = await ending.enter_async_context(starting(process, log))
            await in_asyncio(until_come(self._url, gone))
            owner.ended = 0
            resumed = await in_asyncio(resume_one(owner, owner.asked.pop()))
            after = usage(broker).rss_bytes / 1e6, usage(worker).rss_bytes / 1e6
        return Row(suspended, ready, resumed, before[0], after[0], before[1], after[1])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--flows", type=int, default=10_000, help="flows that really suspend")
    parser.add_argument(
        "--copied", type=int, default=0, help="flows to copy their rows up to: 1000000"
    )


async def run(args: RecoveryOptions) -> None:
    """Suspend flows, kill, start; and once more with copied rows."""
    async with open_stack(args.directory) as stack:
        url = await stack.create_database("bench_recovery")
        trial = Trial(stack, url)
        table.progress(f"suspending {args.flows:,} flows")
        before = await trial.fill(args.flows)
        rows = [await trial.recover(args.flows, before)]
        if args.copied > args.flows:
            copies = args.copied // args.flows - 1
            table.progress(f"copying their rows {copies} times")
            await in_asyncio(multiply(url, copies))
            rows.append(await trial.recover(args.flows * (copies + 1), before))
        facts = stack.facts
    if args.json:
        table.show_json("recovery", facts, rows)
        return
    table.show(TITLE, facts, COLUMNS, [cells(row) for row in rows])


def cells(row: Row) -> list[str]:
    """A row of the table for people."""
    return [
        table.count(row.suspended),
        f"{row.ready_s:.2f}",
        table.milliseconds(row.resumed_ms),
        table.count(row.broker_before_mb),
        table.count(row.broker_after_mb),
        table.count(row.worker_before_mb),
        table.count(row.worker_after_mb),
    ]
