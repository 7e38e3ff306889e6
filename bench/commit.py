"""`python -m bench commit`: the broker's group commit beside one transaction per commit."""

from __future__ import annotations

import argparse
import time
from contextlib import AsyncExitStack
from itertools import product
from statistics import median
from typing import Final, Literal

import asyncpg
import msgspec
import trio
from msgspec import Struct

from bench import table
from bench.commit_load import Job, Outcome
from bench.commits import EVENTS_PER_COMMIT, SCHEMA_HASH, crowd
from bench.options import Options, numbers
from bench.peers.steps import SQL
from bench.processes import Client, RunFailed, Usage, others, running, usage
from bench.stack import Stack, in_asyncio, open_stack
from pxbox.postgres.migrate import migrate
from pxbox.postgres.statements import sql

TITLE: Final = (
    "Commit: rows with their guards, 3 events on 3 channels (2 of them hot), an alarm or a response"
)
TEMPLATE: Final = "bench_template"
NAMES: Final = {"journal": "PxBox's journal", "plain": "asyncpg, a transaction each"}
COLUMNS: Final = (
    "processes", "waiting in each", "committed by", "commits/s", "ratio", "p50 ms", "p99 ms",
    "commits a transaction", "CPU of a process", "PostgreSQL CPU",
)  # fmt: skip

Side = Literal["journal", "plain"]


class CommitOptions(Options):
    processes: list[int]
    waiting: list[int]
    rounds: int
    warmup: float
    seconds: float


class Sample(Struct):
    """One run: the processes' outcomes together. CPU in cores, `cpu` per process."""

    rate: float
    p50_ms: float
    p99_ms: float
    batch: float
    cpu: float
    postgres_cpu: float


class Row(Struct):
    """The medians of the rounds of one cell; `ratio` is to the peer's rate in the same run."""

    processes: int
    waiting: int
    side: str
    rate: float
    p50_ms: float
    p99_ms: float
    batch: float
    cpu: float
    postgres_cpu: float
    rates: list[float]
    ratio: float | None = None


async def make_template(stack: Stack) -> None:
    """A migrated database that each run starts with a copy of."""
    url = await stack.create_database(TEMPLATE)
    await in_asyncio(_prepare(url))


async def _prepare(url: str) -> None:
    await migrate(url)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql("keep_schema"), SCHEMA_HASH, "2020-12", "true")
    finally:
        await connection.close()


async def measure(stack: Stack, side: Side, cell: tuple[int, int], args: CommitOptions) -> Sample:
    """One run in a database of its own, and the check of what it left."""
    processes, waiting = cell
    name = f"bench_{side}_{time.monotonic_ns()}"
    url = await stack.create_database(name, TEMPLATE)
    await stack.checkpoint()
    text = msgspec.json.encode(Job(side, url, crowd(), waiting, args.seconds))
    async with AsyncExitStack() as ending:
        clients = [
            await ending.enter_async_context(running("bench.commit_load", text))
            for _ in range(processes)
        ]
        before, after = await conduct(stack, clients, args)
        outcomes = [msgspec.json.decode(await client.line(), type=Outcome) for client in clients]
    await in_asyncio(_check(url, outcomes))
    await stack.execute(f"drop database {name}")
    postgres_cpu, other_cpu = (
        (b.cpu_seconds - a.cpu_seconds) / args.seconds for a, b in zip(before, after, strict=True)
    )
    table.progress(
        f"{processes} processes, {waiting} waiting in each, {side}: "
        f"{sum(o.rate for o in outcomes):,.0f}/s{table.disturbed(other_cpu)}"
    )
    return combine(outcomes, postgres_cpu)


async def conduct(
    stack: Stack, clients: list[Client], args: CommitOptions
) -> tuple[tuple[Usage, Usage], tuple[Usage, Usage]]:
    """Start all clients at one time; what PostgreSQL and others had used before and after."""
    for client in clients:
        await client.line()
    start = time.time() + args.warmup
    for client in clients:
        await client.say(str(start).encode())
    await trio.sleep(max(0.0, start - time.time()))
    before = usage(stack.postmaster), others()
    await trio.sleep(max(0.0, start + args.seconds - time.time()))
    return before, (usage(stack.postmaster), others())


async def _check(url: str, outcomes: list[Outcome]) -> None:
    """Every channel counts 1..n up to its head, and every acknowledged event is there."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetchrow(SQL["check_channels"])
    finally:
        await connection.close()
    acknowledged = sum(outcome.acknowledged for outcome in outcomes) * EVENTS_PER_COMMIT
    assert found is not None
    if found["wrong"] or found["events"] != acknowledged:
        raise RunFailed(
            f"{found['wrong']} channels with a gap or a repeat; {found['events']} events in "
            f"place of {acknowledged}"
        )


def combine(outcomes: list[Outcome], postgres_cpu: float) -> Sample:
    """The processes of one run together: rates add up, of latencies the worst one counts."""
    return Sample(
        rate=sum(outcome.rate for outcome in outcomes),
        p50_ms=max(outcome.p50_ms for outcome in outcomes),
        p99_ms=max(outcome.p99_ms for outcome in outcomes),
        batch=sum(outcome.batch for outcome in outcomes) / len(outcomes),
        cpu=sum(outcome.cpu for outcome in outcomes) / len(outcomes),
        postgres_cpu=postgres_cpu,
    )


def summarize(cell: tuple[int, int], samples: dict[Side, list[Sample]]) -> list[Row]:
    """The medians of each side's runs, and the journal's rate as a ratio to the peer's."""
    rows = [
        Row(
            *cell,
            side,
            rate=median(s.rate for s in runs),
            p50_ms=median(s.p50_ms for s in runs),
            p99_ms=median(s.p99_ms for s in runs),
            batch=median(s.batch for s in runs),
            cpu=median(s.cpu for s in runs),
            postgres_cpu=median(s.postgres_cpu for s in runs),
            rates=[s.rate for s in runs],
        )
        for side, runs in samples.items()
    ]
    journal, plain = rows
    journal.ratio = journal.rate / plain.rate
    return rows


def cells(row: Row) -> list[str]:
    """A row of the table for people."""
    return [
        str(row.processes),
        str(row.waiting),
        NAMES[row.side],
        table.count(row.rate),
        "" if row.ratio is None else table.ratio(row.ratio),
        table.milliseconds(row.p50_ms),
        table.milliseconds(row.p99_ms),
        table.count(row.batch),
        table.share(row.cpu),
        table.share(row.postgres_cpu),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", type=numbers, default=[1, 3], help="1,3")
    parser.add_argument("--waiting", type=numbers, default=[1, 32, 256], help="1,32,256")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each side per cell")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before each measuring")
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of each measuring")


async def run(args: CommitOptions) -> None:
    """Measure every cell, the two sides taking turns, and print the table."""
    rows: list[Row] = []
    async with open_stack(args.directory) as stack:
        await make_template(stack)
        for cell in product(args.processes, args.waiting):
            samples: dict[Side, list[Sample]] = {"journal": [], "plain": []}
            for _ in range(args.rounds):
                for side, measured in samples.items():
                    measured.append(await measure(stack, side, cell, args))
            rows += summarize(cell, samples)
        facts = stack.facts
    if args.json:
        table.show_json("commit", facts, rows)
    else:
        table.show(TITLE, facts, COLUMNS, [cells(row) for row in rows])
