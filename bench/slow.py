"""`python -m bench slow`: what readers of a channel feel of one beside them that does not read."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import re
import socket
import statistics
import time
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec import Struct

from bench import table
from bench.connections import WebSocket, open_websocket
from bench.idle import Asker
from bench.load import quantile
from bench.options import Options
from bench.processes import serving
from bench.stack import in_asyncio, open_stack, pxbox_service, token

TITLE: Final = "Slow: the time from a command to the readers of its event"
COLUMNS: Final = ("beside them", "events read", "p50 ms", "p99 ms", "closed as slow", "p99 ratio")
NOBODY: Final = "nobody"
QUICK: Final = "one that reads all"
SLOW: Final = "one that reads nothing"
# Each request is told on so many channels; the one beside watches all of them, the readers one.
CHANNELS: Final = 32
PATH: Final = "/v1/ws"
# The mark of a request in its title, as it stands in an event.
MARK: Final = re.compile(rb'"title":"(\d+) ')


class SlowOptions(Options):
    readers: int
    rate: float
    seconds: float
    rounds: int


class Round(Struct):
    """One round, by who was beside the readers; times in milliseconds."""

    beside: str
    events: int
    p50_ms: float
    p99_ms: float
    closed: int


class Crowd:
    """Readers of one channel, and how long each event took to each of them."""

    def __init__(self) -> None:
        self.sent: dict[int, float] = {}
        self.taken: list[float] = []

    def on_message(self, message: bytes) -> None:
        mark = MARK.search(message)
        if mark is not None:
            self.taken.append(time.perf_counter() - self.sent[int(mark[1])])


def _fail(error: Exception) -> None:
    raise error


def watch(socket: WebSocket, channels: list[str]) -> None:
    for number, channel in enumerate(channels):
        frame = {"type": "subscribe", "id": str(number), "channel": channel}
        socket.send(msgspec.json.encode(frame))


class Beside:
    """Watches channels, and reads all or nothing; it comes again each time it is closed."""

    def __init__(self, port: int, channels: list[str], name: str) -> None:
        self._port = port
        self._channels = channels
        self._name = name
        self.closed = 0

    async def run(self) -> None:
        while True:
            with socket.socket() as plain:
                if self._name == SLOW:
                    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                plain.connect(("127.0.0.1", self._port))
                plain.setblocking(False)
                await self._stay(plain)
            self.closed += 1

    async def _stay(self, plain: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        lost = loop.create_future()

        def on_broken(error: Exception) -> None:
            if not lost.done():
                lost.set_result(error)

        transport, reader = await loop.create_connection(
            lambda: WebSocket(lambda _: None, on_broken), sock=plain
        )
        reader.handshake(PATH, token("slow", "admin"))
        await reader.opened
        watch(reader, self._channels)
        if self._name == SLOW:
            transport.pause_reading()
        # It does not read, so only an error of the connection tells of its end.
        while not lost.done() and not transport.is_closing():
            reader.send(b'{"type":"ping","id":"p"}')
            await asyncio.sleep(0.05)
        transport.abort()


class Play:
    """Rounds with and without a slow reader, which take turns."""

    def __init__(self, args: SlowOptions, port: int, to: list[str]) -> None:
        self._args = args
        self._port = port
        self._to = to
        self._channels = [f"entity:{id}" for id in to]
        self._crowd = Crowd()
        self._numbers = itertools.count()

    async def run(self) -> list[Round]:
        names = [f"reader-{n}" for n in range(self._args.readers)]
        readers = [await self._open(name, self._crowd.on_message) for name in names]
        for reader in readers:
            watch(reader, self._channels[:1])
        asker = await self._open("asker", lambda _: None)
        await self._ask(asker, 2.0)
        rounds = []
        for _ in range(self._args.rounds):
            for name in (NOBODY, QUICK, SLOW):
                rounds.append(await self._round(asker, name))
        for each in (*readers, asker):
            each.close()
        return rounds

    async def _open(self, name: str, on_message: Callable[[bytes], None]) -> WebSocket:
        return await open_websocket(
            self._port, PATH, token(name, "admin request"), on_message, _fail
        )

    async def _round(self, asker: WebSocket, name: str) -> Round:
        self._crowd.taken.clear()
        beside = Beside(self._port, self._channels, name)
        stays = asyncio.ensure_future(beside.run()) if name != NOBODY else None
        await self._ask(asker, self._args.seconds)
        if stays is not None:
            stays.cancel()
        taken = sorted(self._crowd.taken)
        p50, p99 = (quantile(taken, q) * 1e3 for q in (0.5, 0.99))
        return Round(name, len(taken), p50, p99, beside.closed)

    async def _ask(self, asker: WebSocket, seconds: float) -> None:
        """Ask at a steady rate, and wait until everybody was told of it."""
        last = -1
        for _ in range(int(seconds * self._args.rate)):
            last = next(self._numbers)
            data = {"to": self._to, "schema": {"title": f"{last} {'x' * 150}"}}
            frame = {"type": "cmd", "id": f"c{last}", "op": "createRequest", "data": data}
            self._crowd.sent[last] = time.perf_counter()
            asker.send(msgspec.json.encode(frame))
            await asyncio.sleep(1 / self._args.rate)
        wanted = int(seconds * self._args.rate) * self._args.readers
        async with asyncio.timeout(60):
            while len(self._crowd.taken) < wanted:
                await asyncio.sleep(0.01)
        self._crowd.sent.clear()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--readers", type=int, default=200, help="readers of one channel")
    parser.add_argument("--rate", type=float, default=20.0, help="requests a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of a round")
    parser.add_argument("--rounds", type=int, default=3, help="of each kind, taking turns")


async def run(args: SlowOptions) -> None:
    """Measure the readers of one channel, beside a slow one of many channels and without it."""
    async with open_stack(args.directory) as stack:
        service = pxbox_service(stack, await stack.create_database("bench_slow"))
        async with serving(service, stack.directory / "pxbox.log"):
            asker = Asker(service.port)
            bodies = [{"kind": "user", "handle": f"slow-{n}"} for n in range(CHANNELS)]
            to = [str(asker.post("/v1/entities", body)["entityId"]) for body in bodies]
            rounds = await in_asyncio(Play(args, service.port, to).run())
        facts = stack.facts
    if args.json:
        table.show_json("slow", facts, rounds)
        return
    table.show(TITLE, facts, COLUMNS, rows(rounds))


def rows(rounds: list[Round]) -> list[list[str]]:
    """The medians of each kind, and the ratio of the greater times to those beside nobody."""
    names = (NOBODY, QUICK, SLOW)
    kinds = {name: [one for one in rounds if one.beside == name] for name in names}
    p99 = {name: statistics.median(one.p99_ms for one in kinds[name]) for name in names}
    return [
        [
            name,
            table.count(sum(one.events for one in kind)),
            table.milliseconds(statistics.median(one.p50_ms for one in kind)),
            table.milliseconds(p99[name]),
            table.count(sum(one.closed for one in kind)),
            table.ratio(p99[name] / p99[NOBODY]),
        ]
        for name, kind in kinds.items()
    ]
