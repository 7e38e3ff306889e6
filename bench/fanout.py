"""`python -m bench fanout`: events to many subscribers of one channel, from the command on."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import median
from typing import Final

from msgspec import Struct

from bench import table
from bench.crowd import Place
from bench.crowd_load import CrowdJob
from bench.crowd_runs import Sample, take_turns
from bench.crowd_servers import NAMES
from bench.options import Options, numbers, words
from bench.stack import open_stack

TITLE: Final = "Fan-out: events of one channel to all its subscribers, commit included"
COLUMNS: Final = (
    "subscribers", "server", "events/s", "ratio", "published/s", "bytes an event",
    "server CPU µs an event", "server CPU", "store CPU", "KB an idle connection", "client CPU",
)  # fmt: skip


class FanoutOptions(Options):
    subscribers: list[int]
    servers: list[str]
    bulk: int
    rounds: int
    warmup: float
    seconds: float


class Row(Struct):
    """The medians of one server's rounds. `ratio`: to the broker's rate without batches;
    `cpu_us`: of the server's CPU, per event that a subscriber got."""

    subscribers: int
    server: str
    rate: float = 0.0
    published: float = 0.0
    size_bytes: float = 0.0
    cpu_us: float = 0.0
    server_cpu: float = 0.0
    store_cpu: float = 0.0
    idle_kb: float = 0.0
    client_cpu: float = 0.0
    rates: list[float] = []
    ratio: float | None = None
    missing: str | None = None


def summarize(
    subscribers: int, samples: dict[str, list[Sample]], missing: dict[str, str]
) -> list[Row]:
    """The medians of each server's samples, and each rate as a ratio to socket.io's."""
    rows = [_row(subscribers, server, runs) for server, runs in samples.items()]
    peer = next((row.rate for row in rows if row.server == "socketio"), None)
    for row in rows:
        if peer is not None and row.server != "socketio":
            row.ratio = row.rate / peer
    return rows + [Row(subscribers, server, missing=why) for server, why in missing.items()]


def _row(subscribers: int, server: str, runs: Sequence[Sample]) -> Row:
    return Row(
        subscribers,
        server,
        rate=median(s.outcome.rate for s in runs),
        published=median(s.outcome.published for s in runs),
        size_bytes=median(s.outcome.size_bytes for s in runs),
        cpu_us=median(s.server_cpu / s.outcome.rate * 1e6 for s in runs),
        server_cpu=median(s.server_cpu for s in runs),
        store_cpu=median(s.store_cpu for s in runs),
        idle_kb=median(s.idle_kb for s in runs),
        client_cpu=median(s.outcome.cpu for s in runs),
        rates=[s.outcome.rate for s in runs],
    )


def cells(row: Row) -> list[str]:
    """A row of the table for people."""
    if row.missing is not None:
        return [str(row.subscribers), f"{NAMES[row.server]}: {row.missing}", *[""] * 9]
    return [
        str(row.subscribers),
        NAMES[row.server],
        table.count(row.rate),
        "" if row.ratio is None else table.ratio(row.ratio),
        table.count(row.published),
        table.count(row.size_bytes),
        f"{row.cpu_us:.2f}",
        table.share(row.server_cpu),
        table.share(row.store_cpu),
        f"{row.idle_kb:.1f}",
        table.client_share(row.client_cpu),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--subscribers", type=numbers, default=[500], help="500,5000")
    parser.add_argument("--servers", type=words, default=list(NAMES), help=",".join(NAMES))
    parser.add_argument("--bulk", type=int, default=100, help="events that are made at a time")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server")
    parser.add_argument("--warmup", type=float, default=1.0, help="seconds before each measuring")
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds of each measuring")


async def run(args: FanoutOptions) -> None:
    """Measure every server with every number of subscribers and print the table."""
    rows: list[Row] = []
    async with open_stack(args.directory) as stack:
        for number in args.subscribers:
            job = CrowdJob(Place("", 0), number, args.bulk, args.warmup, args.seconds)
            what = f"{number} subscribers"
            rows += summarize(
                number, *await take_turns(stack, args.servers, args.rounds, job, what)
            )
        facts = stack.facts
    if args.json:
        table.show_json("fanout", facts, rows)
    else:
        table.show(TITLE, facts, COLUMNS, [cells(row) for row in rows])
