"""`python -m bench flows`: suspend, answer, resume, complete; beside engines of durable flows."""

from __future__ import annotations

import argparse
import http.client
import os
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from statistics import median
from typing import Final

import msgspec
import trio
from msgspec import Struct
from msgspec.structs import replace

from bench import table
from bench.flow_load import FlowJob, FlowLane, FlowOutcome
from bench.flow_peers import PEERS, Engine
from bench.installed import MissingPeer
from bench.options import Options, numbers, words
from bench.processes import Process, Usage, others, running, serving, starting, usage
from bench.stack import Stack, open_stack, pxbox_service, token

TITLE: Final = "Flows: start, ask and suspend, answer, resume, complete"
COLUMNS: Final = (
    "at once", "engine", "flows/s", "ratio", "p50 ms", "p99 ms", "answer to end p50 ms",
    "server CPU", "worker CPU", "PostgreSQL CPU", "CPU ms a flow", "client CPU",
)  # fmt: skip
KIND: Final = "bench"


class FlowOptions(Options):
    concurrency: list[int]
    engines: list[str]
    rounds: int
    warmup: float
    seconds: float


class Sample(Struct):
    """One measured run. CPU in cores; `other_cpu` is of processes with no part in it."""

    outcome: FlowOutcome
    server_cpu: float
    worker_cpu: float
    postgres_cpu: float
    other_cpu: float


class Row(Struct):
    """The medians of the rounds of one cell. `ratio`: the broker's rate to this engine's; `cpu_ms`
    is of server, worker and PostgreSQL together. `missing`: why nothing was measured."""

    concurrency: int
    engine: str
    rate: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    resumed_p50_ms: float = 0.0
    server_cpu: float = 0.0
    worker_cpu: float = 0.0
    postgres_cpu: float = 0.0
    cpu_ms: float = 0.0
    client_cpu: float = 0.0
    rates: list[float] = []
    ratio: float | None = None
    missing: str | None = None


def make_lanes(port: int, number: int) -> list[FlowLane]:
    """Create an entity for each lane; it owns the lane's flows, and is asked by them."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    admin = token("bench-admin", "admin")
    headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
    lanes = []
    for n in range(number):
        body = msgspec.json.encode({"kind": "user", "handle": f"lane-{n}"})
        connection.request("POST", "/v1/entities", body, headers)
        reply = connection.getresponse()
        said = reply.read()
        if reply.status != 201:
            raise RuntimeError(f"no entity: {reply.status} {said.decode(errors='replace')}")
        entity = msgspec.json.decode(said)["entityId"]
        lanes.append(FlowLane(entity, token(f"lane-{n}", "flow respond", entity)))
    connection.close()
    return lanes


def worker_process(port: int) -> Process:
    """A worker as a user starts it."""
    command = [sys.executable, "-m", "pxbox", "worker", "bench.flow_code"]
    made = {
        "PXBOX_URL": f"http://127.0.0.1:{port}",
        "PXBOX_TOKEN": token("bench-worker", f"worker:{KIND} flow request"),
    }
    return Process("pxbox worker", command, {**os.environ, **made})


@asynccontextmanager
async def pxbox(stack: Stack, lanes: int) -> AsyncIterator[Engine]:
    """The broker and one worker, on a database of their own."""
    name = f"flows_{stack.next_number()}"
    service = pxbox_service(stack, await stack.create_database(name))
    async with serving(service, stack.directory / "pxbox.log") as server:
        made = await trio.to_thread.run_sync(make_lanes, service.port, lanes)
        process = worker_process(service.port)
        async with starting(process, stack.directory / "worker.log") as worker:
            yield Engine(server, FlowJob("pxbox", service.port, made), worker)


async def measure(stack: Stack, engine: str, lanes: int, args: FlowOptions) -> Sample:
    """One run of one engine, freshly started."""
    async with pxbox(stack, lanes) if engine == "pxbox" else PEERS[engine](stack) as at:
        await stack.checkpoint()
        made = at.job.lanes or [FlowLane("", "")] * lanes
        job = replace(at.job, lanes=made, warmup=args.warmup, seconds=args.seconds)
        async with running("bench.flow_load", msgspec.json.encode(job)) as client:
            await client.line()
            before = usages(at, stack)
            await client.line()
            after = usages(at, stack)
            outcome = msgspec.json.decode(await client.line(), type=FlowOutcome)
    cpu = [
        (b.cpu_seconds - a.cpu_seconds) / outcome.seconds
        for a, b in zip(before, after, strict=True)
    ]
    return Sample(outcome, *cpu)


def usages(at: Engine, stack: Stack) -> tuple[Usage, Usage, Usage, Usage]:
    worker = Usage(0.0, 0) if at.worker is None else usage(at.worker)
    return usage(at.server), worker, usage(stack.postmaster), others()


async def run_cell(stack: Stack, concurrency: int, args: FlowOptions) -> list[Row]:
    """All rounds at one concurrency, the engines taking turns, as one row per engine."""
    samples: dict[str, list[Sample]] = {engine: [] for engine in args.engines}
    missing: dict[str, str] = {}
    for turn in range(args.rounds):
        for engine in args.engines:
            if engine in missing:
                continue
            try:
                sample = await measure(stack, engine, concurrency, args)
            except MissingPeer as reason:
                missing[engine] = str(reason)
                continue
            samples[engine].append(sample)
            table.progress(
                f"{concurrency:>3} at once, round {turn + 1} of {args.rounds}, {engine}: "
                f"{sample.outcome.rate:,.0f}/s, p50 {sample.outcome.p50_ms:.2f} ms"
                f"{table.disturbed(sample.other_cpu)}"
            )
    return summarize(concurrency, samples, missing)


def summarize(
    concurrency: int, samples: dict[str, list[Sample]], missing: dict[str, str]
) -> list[Row]:
    """The medians of each engine's samples, and the broker's rate as a ratio to the others'."""
    rows = [_row(concurrency, engine, runs) for engine, runs in samples.items() if runs]
    ours = next((row.rate for row in rows if row.engine == "pxbox"), None)
    for row in rows:
        if ours is not None and row.engine != "pxbox":
            row.ratio = ours / row.rate
    return rows + [Row(concurrency, engine, missing=why) for engine, why in missing.items()]


def _row(concurrency: int, engine: str, runs: Sequence[Sample]) -> Row:
    row = Row(
        concurrency,
        engine,
        rate=median(s.outcome.rate for s in runs),
        p50_ms=median(s.outcome.p50_ms for s in runs),
        p99_ms=median(s.outcome.p99_ms for s in runs),
        resumed_p50_ms=median(s.outcome.resumed_p50_ms for s in runs),
        server_cpu=median(s.server_cpu for s in runs),
        worker_cpu=median(s.worker_cpu for s in runs),
        postgres_cpu=median(s.postgres_cpu for s in runs),
        client_cpu=median(s.outcome.cpu for s in runs),
        rates=[s.outcome.rate for s in runs],
    )
    row.cpu_ms = (row.server_cpu + row.worker_cpu + row.postgres_cpu) / row.rate * 1e3
    return row


NAMES: Final = {"pxbox": "PxBox", "dbos": "DBOS", "restate": "Restate", "absurd": "Absurd"}


def cells(row: Row) -> list[str]:
    """A row of the table for people."""
    if row.missing is not None:
        return [str(row.concurrency), f"{NAMES[row.engine]}: {row.missing}", *[""] * 10]
    return [
        str(row.concurrency),
        NAMES[row.engine],
        table.count(row.rate),
        "" if row.ratio is None else table.ratio(row.ratio),
        table.milliseconds(row.p50_ms),
        table.milliseconds(row.p99_ms),
        table.milliseconds(row.resumed_p50_ms),
        table.share(row.server_cpu),
        table.share(row.worker_cpu) if row.worker_cpu else "",
        table.share(row.postgres_cpu),
        table.milliseconds(row.cpu_ms),
        table.client_share(row.client_cpu),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--concurrency", type=numbers, default=[1, 32, 256], help="1,32,256")
    parser.add_argument("--engines", type=words, default=list(NAMES), help=",".join(NAMES))
    parser.add_argument("--rounds", type=int, default=3, help="runs of each engine per cell")
    parser.add_argument("--warmup", type=float, default=1.5, help="seconds before each measuring")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of each measuring")


async def run(args: FlowOptions) -> None:
    """Measure every engine at every concurrency and print the table."""
    rows: list[Row] = []
    async with open_stack(args.directory) as stack:
        for concurrency in args.concurrency:
            rows += await run_cell(stack, concurrency, args)
        facts = stack.facts
    if args.json:
        table.show_json("flows", facts, rows)
    else:
        table.show(TITLE, facts, COLUMNS, [cells(row) for row in rows])
