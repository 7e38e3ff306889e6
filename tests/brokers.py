"""Broker processes for tests, started as a user starts them, and clients that speak to them.

Starting and stopping is synchronous, so that fixtures of any scope can use it; from an async test
call it by `trio.to_thread.run_sync` where its loop has to go on meanwhile.
"""

from __future__ import annotations

import os
import re
import selectors
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from pxbox.auth.tokens import Grant, mint
from tests.servers import AsyncpgThread, with_database

SECRET = "a secret that every broker of the tests shares"
PXBOX = (sys.executable, "-m", "pxbox")
EVERYTHING = "request respond admin override operate"

# Far above what a quiet machine needs: these only end what would never end.
START_SECONDS = 90.0
STOP_SECONDS = 40.0
REPLY_SECONDS = 60.0
CLOSE_SECONDS = 2.0

# Brokers speak no TLS; without this, each client reads all of the system's certificates.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

_LISTENS = re.compile(rb"PxBox listens on (http://[^;]+);")


class BrokerFailed(Exception):
    """A broker could not be started; the message holds what it said."""


class Process(Protocol):
    """A child as `subprocess.Popen` has it."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def send_signal(self, sig: int) -> None: ...


class Readable(Protocol):
    """What a process is heard by: a pipe or a socket."""

    def fileno(self) -> int: ...


@dataclass(slots=True)
class Broker:
    """A broker process that has said where it listens. `log` holds its standard error."""

    process: Process
    url: str
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def ws_url(self) -> str:
        return f"ws{self.url.removeprefix('http')}/v1/ws"

    def token(
        self,
        sub: str,
        scope: str = EVERYTHING,
        entity: str | None = None,
        ttl: timedelta = timedelta(hours=1),
    ) -> str:
        """A token that this broker, and every other with the shared secret, accepts."""
        return mint(SECRET, Grant(sub, frozenset(scope.split()), entity), ttl)

    def rest(self, token: str | None = None) -> httpx.AsyncClient:
        """A REST client with this token; to be used as a context manager."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        return httpx.AsyncClient(
            base_url=self.url, headers=headers, timeout=REPLY_SECONDS, verify=NO_TLS
        )

    @asynccontextmanager
    async def websocket(self, token: str) -> AsyncIterator[Socket]:
        """A WebSocket connection with this token, open as long as the block lasts.

        Raises OSError or trio_websocket's HandshakeError if there is none to be had; what the
        block raises comes out as it is, in no group.
        """
        headers = [(b"authorization", f"Bearer {token}".encode())]
        where = urlsplit(self.url)
        failure: Exception | None = None
        # By hand: trio_websocket's own way leaves the socket open where the handshake fails.
        stream = await trio.open_tcp_stream(where.hostname or "", where.port or 0)
        async with stream, trio.open_nursery() as nursery:
            try:
                connection = await wrap_client_stream(
                    nursery, stream, where.netloc, "/v1/ws", extra_headers=headers
                )
                socket = Socket(connection)
                nursery.start_soon(socket.read)
                yield socket
                with trio.move_on_after(CLOSE_SECONDS):
                    await connection.aclose()
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    def kill(self) -> None:
        """End it by SIGKILL; nothing happens where it has ended already."""
        self.process.send_signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """Have it drain (SIGTERM), and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for its end and return its exit code, negative for a signal."""
        return self.process.wait(seconds)

    @property
    def running(self) -> bool:
        return self.process.poll() is None


class Refused(Exception):
    """A command over WebSocket was answered with this problem."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem['code']}: {problem['detail']}")
        self.code: str = problem["code"]
        self.problem = problem


class Socket:
    """One end of a WebSocket. `events` are the event frames in the order in which they came,
    `others` what nobody asked for: heartbeats, notices, errors without an id.

    `close_code` is the server's once `closed` is set; 1006 where there was none.
    """

    def __init__(self, connection: WebSocketConnection) -> None:
        self.connection = connection
        self.events: list[dict[str, Any]] = []
        self.others: list[dict[str, Any]] = []
        self.closed = trio.Event()
        self.close_code: int | None = None
        self._replies: dict[str, dict[str, Any]] = {}
        self._news = trio.Event()
        self._last_id = 0

    async def ask(self, **frame: Any) -> dict[str, Any]:
        """Send a frame with an id of its own, and return the one that answers it.

        An `error` is returned like any other. Raises ConnectionError if the connection ends.
        """
        self._last_id += 1
        id = f"f{self._last_id}"
        await self.send({**frame, "id": id})
        await self.until(lambda: id in self._replies)
        return self._replies.pop(id)

    async def send(self, frame: Mapping[str, Any]) -> None:
        """Send a frame as it is. Raises ConnectionError if the connection has ended."""
        try:
            await self.connection.send_message(msgspec.json.encode(frame).decode())
        except ConnectionClosed as error:
            raise ConnectionError(str(error)) from None

    async def command(self, op: str, data: Mapping[str, Any], key: str | None = None) -> Any:
        """Carry out an operation; `key` is an idempotency key. Raises Refused."""
        meta = {"meta": {"idempotencyKey": key}} if key else {}
        reply = await self.ask(type="cmd", op=op, data=data, **meta)
        if reply["type"] == "error":
            raise Refused(reply["data"])
        return reply["data"]

    async def subscribe(self, channel: str) -> dict[str, Any]:
        """Watch a channel from its head on; return the `subscribed` frame. Raises Refused."""
        reply = await self.ask(type="subscribe", channel=channel)
        if reply["type"] == "error":
            raise Refused(reply["data"])
        return reply

    async def resume(self, channel: str, since: int, epoch: str) -> dict[str, Any]:
        """Watch a channel from a position on; return the `recovered` frame. Raises Refused."""
        reply = await self.ask(type="resume", channel=channel, since=since, epoch=epoch)
        if reply["type"] == "error":
            raise Refused(reply["data"])
        return reply

    async def until(self, holds: Callable[[], bool], seconds: float = REPLY_SECONDS) -> None:
        """Return once `holds()`, which is asked after every frame. Raises ConnectionError if the
        connection ends before, trio.TooSlowError past the deadline."""
        with trio.fail_after(seconds):
            while not holds():
                if self.closed.is_set():
                    raise ConnectionError(f"closed with {self.close_code}")
                await self._news.wait()

    async def event(self, type: str, seconds: float = REPLY_SECONDS) -> dict[str, Any]:
        """The first event frame of this type, waited for if it has not come yet."""

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if event["data"]["type"] == type]

        await self.until(lambda: bool(found()), seconds)
        return found()[0]

    async def read(self) -> None:
        """Take in frames until the connection ends."""
        try:
            while True:
                self._take(msgspec.json.decode(await self.connection.get_message()))
        except ConnectionClosed as error:
            self.close_code = 1006 if error.reason is None else error.reason.code
            self.closed.set()
            self._tell()

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "event":
            self.events.append(frame)
        elif "id" in frame:
            self._replies[frame["id"]] = frame
        else:
            self.others.append(frame)
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = trio.Event()


@dataclass(slots=True)
class Brokers:
    """Starts brokers on one database and one Redis, and ends those that are left."""

    database_url: str
    redis_url: str
    data_dir: Path
    started: list[Broker] = field(default_factory=list)

    def __call__(
        self, *flags: str, command: Sequence[str] = PXBOX, environ: Mapping[str, str] | None = None
    ) -> Broker:
        """Start one more, with these flags beside the usual ones. Raises BrokerFailed."""
        urls = ("--database-url", self.database_url, "--redis-url", self.redis_url)
        broker = start_broker(
            self.data_dir, *urls, *flags, command=command, environ=_with_secret(environ)
        )
        self.started.append(broker)
        return broker

    def close(self) -> None:
        """End them all, by SIGKILL."""
        for broker in self.started:
            end(broker.process)


def _with_secret(environ: Mapping[str, str] | None) -> dict[str, str]:
    return {"PXBOX_SECRET": SECRET, **(environ or {})}


def start_broker(
    data_dir: Path,
    *flags: str,
    command: Sequence[str] = PXBOX,
    environ: Mapping[str, str] | None = None,
) -> Broker:
    """Run `pxbox serve` on a free port, and return once it says that it listens.

    It sees no PXBOX_ variable but those given. Raises BrokerFailed with its log if it ends first,
    or does not get there in time; it is then ended.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    log = new_log(data_dir)
    arguments = [*command, "serve", "--port", "0", "--data-dir", str(data_dir), *flags]
    inherited = {n: v for n, v in os.environ.items() if not n.startswith("PXBOX_")}
    with log.open("wb") as errors:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**inherited, **(environ or {})},
        )
    assert process.stdout is not None
    with process.stdout as said:
        return listening(process, said, log)


def new_log(directory: Path) -> Path:
    """Where a new broker's standard error goes."""
    return directory / f"broker-{uuid4().hex[:8]}.log"


def listening(process: Process, said: Readable, log: Path) -> Broker:
    """The broker, once its first line says where it listens. It is ended, and BrokerFailed
    raised, where it says something else, or nothing in time."""
    line = first_line(said)
    found = _LISTENS.match(line)
    if found is None:
        end(process)
        raise BrokerFailed(f"{line.decode()!r}, exit code {process.poll()}\n{log.read_text()}")
    return Broker(process, found[1].decode(), log)


def end(process: Process) -> None:
    """End it by SIGKILL, frozen or not; nothing happens where it has ended already."""
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        process.wait(STOP_SECONDS)


def first_line(said: Readable) -> bytes:
    """The first line of what a process says, less where it ends, or is late."""
    deadline = time.monotonic() + START_SECONDS
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(said, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                break
            # One by one: what follows the line is somebody else's.
            byte = os.read(said.fileno(), 1)
            if not byte:
                break
            line += byte
    return line


@pytest.fixture
def brokers(
    database_url: str, fresh_redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Brokers]:
    """A function that starts brokers on one fresh database and one empty Redis, per test."""
    starter = Brokers(database_url, fresh_redis_url, tmp_path_factory.mktemp("brokers"))
    try:
        yield starter
    finally:
        starter.close()


@pytest.fixture
def broker(brokers: Brokers) -> Broker:
    """One broker on a fresh database and an empty Redis; `brokers` starts others beside it."""
    return brokers()


@pytest.fixture(scope="module")
def module_brokers(
    postgres_url: str,
    postgres_admin: AsyncpgThread,
    template_database: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Brokers]:
    """As `brokers`, for all tests of a module: they tell their things apart by names of their
    own. Other tests may empty its Redis, which loses nothing."""
    name = f"module_{uuid4().hex}"
    postgres_admin.execute(f"create database {name} template {template_database}")
    urls = (with_database(postgres_url, name), f"{redis_url.partition('?')[0]}?db=0")
    starter = Brokers(*urls, tmp_path_factory.mktemp("brokers"))
    with ExitStack() as stack:
        stack.callback(postgres_admin.execute, f"drop database {name} with (force)")
        stack.callback(starter.close)
        yield starter


@pytest.fixture(scope="module")
def module_broker(module_brokers: Brokers) -> Broker:
    """One broker for all tests of a module."""
    return module_brokers()
