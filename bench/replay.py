"""`python -m bench replay`: clients that come back at one time are given what they missed."""

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
from bench.options import Options, words
from bench.stack import open_stack

TITLE: Final = "Replay: what was missed, to clients that come back at one time"
COLUMNS: Final = (
    "clients", "missed by each", "server", "all have it ms", "ratio", "p50 ms",
    "server CPU ms", "store CPU ms", "client CPU",
)  # fmt: skip


class ReplayOptions(Options):
    clients: int
    missed: int
    servers: list[str]
    rounds: int


class Row(Struct):
    """The medians of one server's rounds, in milliseconds. `ratio`: socket.io's time to this one's;
    `server_ms` and `store_ms` are of CPU."""

    server: str
    all_ms: float = 0.0
    p50_ms: float = 0.0
    server_ms: float = 0.0
    store_ms: float = 0.0
    client_cpu: float = 0.0
    ratio: float | None = None
    missing: str | None = None


def summarize(samples: dict[str, list[Sample]], missing: dict[str, str]) -> list[Row]:
    """The medians of each server's samples, and each time as a ratio to socket.io's."""
    rows = [_row(server, runs) for server, runs in samples.items()]
    peer = next((row.all_ms for row in rows if row.server == "socketio"), None)
    for row in rows:
        if peer is not None and row.server != "socketio":
            row.ratio = peer / row.all_ms
    return rows + [Row(server, missing=why) for server, why in missing.items()]


def _row(server: str, runs: Sequence[Sample]) -> Row:
    return Row(
        server,
        all_ms=median(s.outcome.all_ms for s in runs),
        p50_ms=median(s.outcome.p50_ms for s in runs),
        server_ms=median(s.server_cpu * s.outcome.seconds * 1e3 for s in runs),
        store_ms=median(s.store_cpu * s.outcome.seconds * 1e3 for s in runs),
        client_cpu=median(s.outcome.cpu for s in runs),
    )


def cells(row: Row, args: ReplayOptions) -> list[str]:
    """A row of the table for people."""
    sizes = [str(args.clients), str(args.missed)]
    if row.missing is not None:
        return [*sizes, f"{NAMES[row.server]}: {row.missing}", *[""] * 6]
    return [
        *sizes,
        NAMES[row.server],
        table.milliseconds(row.all_ms),
        "" if row.ratio is None else table.ratio(row.ratio),
        table.milliseconds(row.p50_ms),
        table.milliseconds(row.server_ms),
        table.milliseconds(row.store_ms),
        table.client_share(row.client_cpu),
    ]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clients", type=int, default=200, help="who come back")
    parser.add_argument("--missed", type=int, default=100, help="events that each has missed")
    parser.add_argument("--servers", type=words, default=list(NAMES), help=",".join(NAMES))
    parser.add_argument("--rounds", type=int, default=5, help="runs of each server")


async def run(args: ReplayOptions) -> None:
    """Measure every server and print the table."""
    async with open_stack(args.directory) as stack:
        job = CrowdJob(Place("", 0), args.clients, args.missed, 0.5, missed=args.missed)
        what = f"{args.clients} clients"
        rows = summarize(*await take_turns(stack, args.servers, args.rounds, job, what))
        facts = stack.facts
    if args.json:
        table.show_json("replay", facts, rows)
    else:
        table.show(TITLE, facts, COLUMNS, [cells(row, args) for row in rows])
