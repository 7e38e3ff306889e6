"""Brokers and workers that are launched to end themselves, seen from a test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest

from tests.brokers import (
    SECRET,
    START_SECONDS,
    STOP_SECONDS,
    Broker,
    Brokers,
    first_line,
    listening,
    new_log,
)  # fmt: skip
from tests.crash.launcher import LAST_WORDS, Launch, Point


class Launched:
    """A process that the launcher has forked; it is heard over a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid = int(first_line(connection))
        self.last_words = b""
        self._ended = False

    def poll(self) -> int | None:
        """0 once its end was heard of, whatever it was."""
        return 0 if self._ended else None

    def wait(self, timeout: float | None = None) -> int:
        """Hear it to its end. Raises TimeoutError."""
        if not self._ended:
            self._connection.settimeout(timeout)
            while heard := self._connection.recv(4096):
                self.last_words += heard
            self._connection.close()
            self._ended = True
        return 0

    def send_signal(self, sig: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, sig)

    def died_at(self, point: Point) -> bool:
        """Wait for its end, and say whether it was its own doing at this point."""
        self.wait(STOP_SECONDS)
        return self.last_words == LAST_WORDS + point.encode() + b"\n"


class Launcher:
    """The process that brokers and workers are forked from."""

    def __init__(self, directory: Path) -> None:
        self._socket = directory / "launcher"
        self._log = directory / "launcher.log"
        command = [sys.executable, "-m", "tests.crash.launcher", str(self._socket)]
        environ = {n: v for n, v in os.environ.items() if not n.startswith("PXBOX_")}
        with self._log.open("wb") as errors:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                env=environ, start_new_session=True,
            )  # fmt: skip
        assert self._process.stdout is not None
        with self._process.stdout as said:
            assert first_line(said) == b"ready\n", self._log.read_text()

    def __call__(
        self, brokers: Brokers, point: Point | None = None, *, replies: bool = True
    ) -> tuple[Broker, Launched]:
        """Start a broker beside `brokers`; see `Launch`. Raises BrokerFailed."""
        log = new_log(brokers.data_dir)
        launch = Launch(serving(brokers, 0), {"PXBOX_SECRET": SECRET}, str(log), point, replies)
        return self.broker(brokers, launch)

    def broker(self, brokers: Brokers, launch: Launch) -> tuple[Broker, Launched]:
        """Start this one, to be ended with `brokers`. Raises BrokerFailed."""
        connection, process = self.process(launch)
        broker = listening(process, connection, Path(launch.log))
        brokers.started.append(broker)
        return broker, process

    def process(self, launch: Launch) -> tuple[socket.socket, Launched]:
        """Start a process, and return what it prints to, beside it."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(START_SECONDS)
        connection.connect(str(self._socket))
        connection.sendall(msgspec.json.encode(launch) + b"\n")
        return connection, Launched(connection)

    def close(self) -> None:
        """End it, and all that it has forked."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(STOP_SECONDS)


def serving(brokers: Brokers, port: int) -> list[str]:
    """The arguments of a broker beside `brokers`."""
    return [
        "serve", "--port", str(port), "--data-dir", str(brokers.data_dir),
        "--database-url", brokers.database_url, "--redis-url", brokers.redis_url,
    ]  # fmt: skip


@pytest.fixture(scope="session")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Launches brokers that may be told to end themselves."""
    opened = Launcher(tmp_path_factory.mktemp("launcher"))
    try:
        yield opened
    finally:
        opened.close()
