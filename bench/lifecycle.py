"""`python -m bench lifecycle`: asked, seen, claimed, answered, told; the broker beside the peer."""

from __future__ import annotations

import argparse
import http.client
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from statistics import median
from typing import Final, Literal

import msgspec
import trio
from msgspec import Struct

from bench import table
from bench.load import Job, LaneSpec, Outcome
from bench.options import Options, numbers, words
from bench.processes import Service, Usage, others, running, serving, usage
from bench.stack import Stack, open_stack, peer_service, pxbox_service, token

TITLE: Final = "Lifecycle: create, seen by the responder, claim, answer, asker told"
PEER_NAME: Final = "Starlette + uvicorn + asyncpg"
COLUMNS: Final = (
    "commands over", "at once", "server", "lifecycles/s", "ratio", "p50 ms", "p99 ms",
    "seen p50 ms", "server CPU", "server RSS MB", "PostgreSQL CPU", "client CPU",
)  # fmt: skip

Mode = Literal["ws", "rest"]


class LifecycleOptions(Options):
    modes: list[Mode]
    concurrency: list[int]
    servers: list[str]
    rounds: int
    warmup: float
    seconds: float


class Sample(Struct):
    """One measured run. CPU in cores while measuring; `other_cpu` is of processes with no part."""

    outcome: Outcome
    server_cpu: float
    postgres_cpu: float
    other_cpu: float
    server_rss_mb: float


class Row(Struct):
    """The medians of the rounds of one cell; `ratio` is to the peer's rate in the same run."""

    mode: str
    concurrency: int
    server: str
    rate: float
    p50_ms: float
    p99_ms: float
    seen_p50_ms: float
    server_cpu: float
    server_rss_mb: float
    postgres_cpu: float
    client_cpu: float
    rates: list[float]
    ratio: float | None = None


@dataclass(slots=True)
class Contender:
    """A server to be measured, with its own database and its lanes' entities."""

    dialect: str
    service: Service
    entities_path: str
    entity_body: dict[str, str]
    log: Path
    lanes: list[LaneSpec] = field(default_factory=list)

    def make_lanes(self, number: int) -> None:
        """Create the entities of as many lanes, over the server's own HTTP interface."""
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30)
        admin = token("bench-admin", "admin")
        headers = {"Authorization": f"Bearer {admin}", "Content-Type": "application/json"}
        for n in range(len(self.lanes), number):
            body = msgspec.json.encode({**self.entity_body, "handle": f"responder-{n}"})
            connection.request("POST", self.entities_path, body, headers)
            reply = connection.getresponse()
            said = reply.read()
            if reply.status != 201:
                raise RuntimeError(f"no entity: {reply.status} {said.decode(errors='replace')}")
            self.lanes.append(lane(n, msgspec.json.decode(said)["entityId"]))
        connection.close()


def lane(n: int, entity: str) -> LaneSpec:
    asker = f"asker-{n}"
    return LaneSpec(
        asker=asker,
        asker_token=token(asker, "request"),
        entity=entity,
        responder_token=token(f"responder-{n}", "respond", entity),
    )


async def open_contenders(stack: Stack, names: Sequence[str]) -> list[Contender]:
    """The servers to be compared, each with an empty database."""
    found = []
    for name in names:
        url = await stack.create_database(f"bench_{name}")
        log = stack.directory / f"{name}.log"
        if name == "pxbox":
            service = pxbox_service(stack, url)
            found.append(Contender(name, service, "/v1/entities", {"kind": "user"}, log))
        else:
            found.append(Contender(name, peer_service(url), "/entities", {}, log))
    return found


async def prepare(contender: Contender, lanes: int) -> None:
    """Make the contender's tables and entities, by starting it once."""
    async with serving(contender.service, contender.log):
        await trio.to_thread.run_sync(contender.make_lanes, lanes)


async def measure(stack: Stack, contender: Contender, job: Job) -> Sample:
    """One run of one server, freshly started, with nothing else running."""
    await stack.checkpoint()
    async with (
        serving(contender.service, contender.log) as server,
        running("bench.load", msgspec.json.encode(job)) as client,
    ):
        await client.line()
        before = usages(server, stack)
        await client.line()
        after = usages(server, stack)
        outcome = msgspec.json.decode(await client.line(), type=Outcome)
    server_cpu, postgres_cpu, other_cpu = (
        (b.cpu_seconds - a.cpu_seconds) / outcome.seconds
        for a, b in zip(before, after, strict=True)
    )
    return Sample(outcome, server_cpu, postgres_cpu, other_cpu, after[0].rss_bytes / 1e6)


def usages(server: int, stack: Stack) -> tuple[Usage, Usage, Usage]:
    return usage(server), usage(stack.postmaster), others()


async def run_cell(
    stack: Stack, contenders: Sequence[Contender], args: LifecycleOptions, cell: tuple[Mode, int]
) -> list[Row]:
    """All rounds of one cell, the servers taking turns, as one row per server."""
    mode, concurrency = cell
    samples: dict[str, list[Sample]] = {contender.dialect: [] for contender in contenders}
    for turn in range(args.rounds):
        for contender in contenders:
            name, lanes = contender.dialect, contender.lanes[:concurrency]
            job = Job(name, contender.service.port, mode, lanes, args.warmup, args.seconds)
            sample = await measure(stack, contender, job)
            samples[name].append(sample)
            table.progress(
                f"{mode} {concurrency:>3} at once, round {turn + 1} of {args.rounds}, {name}: "
                f"{sample.outcome.rate:,.0f}/s, p50 {sample.outcome.p50_ms:.2f} ms"
                f"{table.disturbed(sample.other_cpu)}"
            )
    return summarize(mode, concurrency, samples)


def summarize(mode: str, concurrency: int, samples: dict[str, list[Sample]]) -> list[Row]:
    """The medians of each server's samples, and the broker's rate as a ratio to the peer's."""
    rows = [
        Row(
            mode,
            concurrency,
            server,
            rate=median(s.outcome.rate for s in runs),
            p50_ms=median(s.outcome.p50_ms for s in runs),
            p99_ms=median(s.outcome.p99_ms for s in runs),
            seen_p50_ms=median(s.outcome.seen_p50_ms for s in runs),
            client_cpu=median(s.outcome.cpu for s in runs),
            server_cpu=median(s.server_cpu for s in runs),
            postgres_cpu=median(s.postgres_cpu for s in runs),
            server_rss_mb=median(s.server_rss_mb for s in runs),
            rates=[s.outcome.rate for s in runs],
        )
        for server, runs in samples.items()
    ]
    peers = [row.rate for row in rows if row.server == "peer"]
    for row in rows:
        if peers and row.server != "peer":
            row.ratio = row.rate / peers[0]
    return rows


def cells(row: Row) -> list[str]:
    """A row of the table for people."""
    return [
        "WebSocket" if row.mode == "ws" else "REST",
        str(row.concurrency),
        "PxBox" if row.server == "pxbox" else PEER_NAME,
        table.count(row.rate),
        "" if row.ratio is None else table.ratio(row.ratio),
        table.milliseconds(row.p50_ms),
        table.milliseconds(row.p99_ms),
        table.milliseconds(row.seen_p50_ms),
        table.share(row.server_cpu),
        table.count(row.server_rss_mb),
        table.share(row.postgres_cpu),
        table.client_share(row.client_cpu),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--modes", type=words, default=["ws", "rest"], help="ws,rest")
    parser.add_argument("--concurrency", type=numbers, default=[1, 32, 256], help="1,32,256")
    parser.add_argument("--servers", type=words, default=["pxbox", "peer"], help="pxbox,peer")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server per cell")
    parser.add_argument("--warmup", type=float, default=1.5, help="seconds before each measuring")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of each measuring")


async def run(args: LifecycleOptions) -> None:
    """Measure every cell and print the table."""
    rows: list[Row] = []
    async with open_stack(args.directory) as stack:
        contenders = await open_contenders(stack, args.servers)
        for contender in contenders:
            table.progress(f"preparing {contender.dialect}")
            await prepare(contender, max(args.concurrency))
        for cell in product(args.modes, args.concurrency):
            rows += await run_cell(stack, contenders, args, cell)
        facts = stack.facts
    if args.json:
        table.show_json("lifecycle", facts, rows)
    else:
        table.show(TITLE, facts, COLUMNS, [cells(row) for row in rows])
