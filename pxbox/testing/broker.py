"""A broker for tests: `pxbox serve` in a child, with real servers behind it."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

from anyio.from_thread import start_blocking_portal

from pxbox.auth.tokens import Grant, mint
from pxbox.client import AsyncPxBox, PxBox
from pxbox.client.errors import Conflict
from pxbox.testing.responder import Responder, Script, responding

EVERYTHING = "request respond admin override operate"
START_SECONDS = 90.0
STOP_SECONDS = 30.0
_LISTENS = re.compile(rb"PxBox listens on (http://[^;\s]+)")


class BrokerFailed(Exception):
    """The broker could not be started; the message holds what it said."""


class TestBroker:
    """A running broker at `url`. `log` holds what it says; everything is gone afterwards."""

    # Not a test, whatever pytest thinks of the name.
    __test__ = False

    def __init__(self, data_dir: Path, servers: tuple[str, ...]) -> None:
        self._data_dir = data_dir
        self._servers = servers
        self._port = _free_port()
        self._secret = secrets.token_urlsafe(32)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.log = data_dir / "broker.log"

    def token(
        self,
        sub: str,
        scope: str = EVERYTHING,
        *,
        entity: str | None = None,
        ttl: timedelta = timedelta(hours=1),
    ) -> str:
        """A token of this client; it acts as the entity whose handle is `sub`, or as `entity`."""
        return mint(self._secret, Grant(sub, frozenset(scope.split()), entity), ttl)

    def client(self, sub: str, scope: str = EVERYTHING) -> PxBox:
        """A client with such a token, to be used by `with`."""
        return PxBox(self.url, self.token(sub, scope))

    def async_client(self, sub: str, scope: str = EVERYTHING) -> AsyncPxBox:
        """A client with such a token, to be used by `async with`."""
        return AsyncPxBox(self.url, self.token(sub, scope))

    def add_user(self, handle: str) -> None:
        """Make a user who can be asked; also if there is one already."""
        with self.client("testing", "admin") as px, suppress(Conflict):
            px.entities.create("user", handle)

    @contextmanager
    def responder(self, handle: str, script: Script) -> Iterator[Responder]:
        """A user who answers by a script (see `Responder`) while the block lasts.

        What goes wrong with an answer, such as one that its schema refuses, is raised at the end
        of the block.
        """
        self.add_user(handle)
        with (
            start_blocking_portal("asyncio", {"loop_factory": asyncio.SelectorEventLoop}) as portal,
            portal.wrap_async_context_manager(self.async_responder(handle, script)) as responder,
        ):
            yield responder

    def async_responder(
        self, handle: str, script: Script
    ) -> AbstractAsyncContextManager[Responder]:
        """As `responder`, for `async with`; the user is to be there already (`add_user`)."""
        return responding(self.async_client(handle), handle, script)

    def restart(self) -> None:
        """Kill the broker (SIGKILL) and start it again at the same URL, as after a crash."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self.start()

    def start(self) -> None:
        """Start it; return when it serves. Raises BrokerFailed."""
        command = [
            sys.executable, "-m", "pxbox", "serve", "--port", str(self._port),
            "--data-dir", str(self._data_dir), *self._servers,
        ]  # fmt: skip
        inherited = {name: v for name, v in os.environ.items() if not name.startswith("PXBOX_")}
        with self.log.open("ab") as errors:
            self._process = process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                env={**inherited, "PXBOX_SECRET": self._secret},
            )  # fmt: skip
        assert process.stdout is not None
        # A start that hangs ends, and the line with it.
        hanging = threading.Timer(START_SECONDS, process.kill)
        hanging.start()
        with process.stdout as said:
            found = _LISTENS.match(said.readline())
        hanging.cancel()
        if found is None:
            process.kill()
            process.wait()
            raise BrokerFailed(f"the broker did not start:\n{self.log.read_text()}")
        self.url = found[1].decode()

    def stop(self) -> None:
        """Have it end, with the servers that it started."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def open_broker(
    *, database_url: str | None = None, redis_url: str | None = None
) -> Iterator[TestBroker]:
    """A broker that lives as long as the block; make it a fixture of the whole test run.

    Without URLs it starts a PostgreSQL and a Valkey of its own in a temporary directory, which
    takes some seconds. Raises BrokerFailed.
    """
    servers: tuple[str, ...] = ()
    if database_url is not None:
        servers += ("--database-url", database_url)
    if redis_url is not None:
        servers += ("--redis-url", redis_url)
    with tempfile.TemporaryDirectory(prefix="pxbox-", ignore_cleanup_errors=True) as directory:
        broker = TestBroker(Path(directory), servers)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()
