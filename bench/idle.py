"""`python -m bench idle`: what the broker's memory holds while many requests wait."""

from __future__ import annotations

import argparse
import http.client
import itertools
from typing import Final

import msgspec
import trio
from msgspec import Struct

from bench import table
from bench.dialects import SCHEMA
from bench.options import Options
from bench.processes import serving, usage
from bench.stack import open_stack, pxbox_service, token

TITLE: Final = "Idle: the broker's memory with open requests and no traffic"
COLUMNS: Final = ("the broker", "open requests", "RSS MB", "CPU")
BULK: Final = 1000


class IdleOptions(Options):
    requests: int
    entities: int
    settle: float


class Row(Struct):
    """The broker at one time: `rss_mb` at the end of a quiet while, `cpu` in cores during it."""

    when: str
    open_requests: int
    rss_mb: float
    cpu: float


class Asker:
    """Creates entities and requests over REST."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self._token = token("bench", "request admin")

    def post(self, path: str, body: object) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        self._connection.request("POST", path, msgspec.json.encode(body), headers)
        reply = self._connection.getresponse()
        said = reply.read()
        if reply.status not in (200, 201):
            raise RuntimeError(f"{path}: {reply.status} {said[:500].decode(errors='replace')}")
        return msgspec.json.decode(said, type=dict[str, object])

    def create(self, requests: int, entities: int) -> None:
        """Create so many open requests by bulk, spread over so many entities."""
        ids = [
            str(self.post("/v1/entities", {"kind": "user", "handle": f"idle-{n}"})["entityId"])
            for n in range(entities)
        ]
        to = itertools.cycle(ids)
        for done in range(0, requests, BULK):
            size = min(BULK, requests - done)
            items = [{"to": next(to), "schema": SCHEMA} for _ in range(size)]
            created = self.post("/v1/requests/bulk", {"items": items})["created"]
            if created != size:
                raise RuntimeError(f"{created} of {size} requests were created")
            table.progress(f"{done + size:,} of {requests:,} requests")


async def observe(pid: int, when: str, open_requests: int, settle: float) -> Row:
    """Leave the broker alone for a while and see what it uses then."""
    before = usage(pid)
    await trio.sleep(settle)
    after = usage(pid)
    cpu = (after.cpu_seconds - before.cpu_seconds) / settle
    return Row(when, open_requests, after.rss_bytes / 1e6, cpu)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--requests", type=int, default=100_000, help="open requests")
    parser.add_argument("--entities", type=int, default=100, help="who they are addressed to")
    parser.add_argument(
        "--settle", type=float, default=90.0, help="seconds without traffic before each reading"
    )


async def run(args: IdleOptions) -> None:
    """Measure the broker empty, after it created the requests, and started anew beside them."""
    rows: list[Row] = []
    async with open_stack(args.directory) as stack:
        service = pxbox_service(stack, await stack.create_database("bench_idle"))
        log = stack.directory / "pxbox.log"
        async with serving(service, log) as pid:
            rows.append(await observe(pid, "just started", 0, min(args.settle, 5.0)))
            asker = Asker(service.port)
            await trio.to_thread.run_sync(asker.create, args.requests, args.entities)
            table.progress(f"waiting {args.settle:g} s")
            rows.append(await observe(pid, "that created them", args.requests, args.settle))
        async with serving(service, log) as pid:
            table.progress("started anew")
            rows.append(await observe(pid, "started anew", args.requests, min(args.settle, 5.0)))
        facts = stack.facts
    if args.json:
        table.show_json("idle", facts, rows)
        return
    shown = [
        [row.when, table.count(row.open_requests), table.count(row.rss_mb), table.share(row.cpu)]
        for row in rows
    ]
    table.show(TITLE, facts, COLUMNS, shown)
