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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import httpx
import pytest

from pxbox.auth.tokens import Grant, mint
from tests.servers import AsyncpgThread, with_database
from tests.sockets import CLOSE_SECONDS as CLOSE_SECONDS
from tests.sockets import HANDSHAKE_SECONDS, open_socket
from tests.sockets import REPLY_SECONDS as REPLY_SECONDS
from tests.sockets import Refused as Refused
from tests.sockets import Socket as Socket

SECRET = "a secret that every broker of the tests shares"
PXBOX = (sys.executable, "-m", "pxbox")
EVERYTHING = "request respond admin override operate audit flow worker:*"

# Far above what a quiet machine needs: these only end what would never end.
START_SECONDS = 90.0
STOP_SECONDS = 40.0

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

    def websocket(
        self, token: str, patience: float = HANDSHAKE_SECONDS
    ) -> AbstractAsyncContextManager[Socket]:
        """A WebSocket connection with this token; see `open_socket`."""
        return open_socket(self.url, token, patience)

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
