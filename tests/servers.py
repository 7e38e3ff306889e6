"""Fixtures: one real PostgreSQL and one real Valkey for the whole run, a fresh database per test.

They are synchronous, so that sync, trio and asyncio tests can all use them. A test that kills,
freezes or restarts a server asks for servers of its own (`disposable_servers`).
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import signal
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg
import psutil
import pytest
import trio

from pxbox.embedded.data_dir import DataDir, hold
from pxbox.embedded.servers import prepare

T = TypeVar("T")

TEMPLATE = "pxbox_template"
REDIS_DATABASES = 16
DEADLINE_SECONDS = 60.0


def run_trio(task: Callable[[], Awaitable[T]]) -> T:
    """Run an async function of trio to its end, in a loop and a thread of its own."""

    async def awaited() -> T:
        return await task()

    def run() -> T:
        result: T = trio.run(awaited)
        return result

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(run).result(DEADLINE_SECONDS)


def _stop_tree(pid: int) -> None:
    """SIGSTOP, and wait until it has come to all: until then one may still answer."""
    _signal_tree(pid, signal.SIGSTOP)
    parent = psutil.Process(pid)
    for process in [parent, *parent.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            while process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
                process.send_signal(signal.SIGSTOP)


def _run_asyncio(task: Callable[[], Coroutine[Any, Any, T]]) -> T:
    # Not by asyncio.run: once trio-asyncio was imported, that makes a loop on trio.
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        return runner.run(task())


class DisposableServers:
    """A PostgreSQL and a Valkey of one test's own, which it may kill, freeze, stop and start.

    The methods block: from an async test call them by `trio.to_thread.run_sync` if its loop has
    to go on meanwhile. The URLs stay the same over a restart. What a test does to the processes
    by their pids is its own affair; `close` cleans up after anything, and `remove` removes the
    data too, some 50 MB.
    """

    def __init__(self, root: Path) -> None:
        self.data_dir = DataDir.at(root)
        self.data_dir.make()
        self._held = ExitStack()
        self._held.enter_context(hold(self.data_dir))
        self._embedded = run_trio(lambda: prepare(self.data_dir))
        self.database_url = ""
        self.redis_url = ""

    @property
    def postgres_pid(self) -> int:
        """The pid of the postmaster."""
        return _known(self._embedded.postgres.pid)

    @property
    def valkey_pid(self) -> int:
        return _known(self._embedded.valkey.pid)

    def start_postgres(self) -> None:
        """Start it, also after it was killed; return when it answers."""
        self.database_url = run_trio(self._embedded.start_postgres)

    def start_valkey(self) -> None:
        """Start it, also after it was killed; return when it answers."""
        self.redis_url = run_trio(self._embedded.start_valkey)

    def stop_postgres(self) -> None:
        """Shut it down in good order, its clients being disconnected."""
        run_trio(self._embedded.postgres.stop)

    def stop_valkey(self) -> None:
        """Shut it down in good order; what it held is gone."""
        run_trio(self._embedded.valkey.stop)

    def kill_postgres(self) -> None:
        """End all its processes by SIGKILL, as a crash of the machine would."""
        _signal_tree(self.postgres_pid, signal.SIGKILL)

    def kill_valkey(self) -> None:
        """End it by SIGKILL."""
        _signal_tree(self.valkey_pid, signal.SIGKILL)

    def freeze_postgres(self) -> None:
        """Stop all its processes (SIGSTOP): connections stay, nothing is answered."""
        _stop_tree(self.postgres_pid)

    def thaw_postgres(self) -> None:
        """Let a frozen one go on."""
        _signal_tree(self.postgres_pid, signal.SIGCONT)

    def freeze_valkey(self) -> None:
        """Stop it (SIGSTOP): connections stay, nothing is answered."""
        _stop_tree(self.valkey_pid)

    def thaw_valkey(self) -> None:
        """Let a frozen one go on."""
        _signal_tree(self.valkey_pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop both, thawed first, and let go of the directory."""
        for pid in (self._embedded.postgres.pid, self._embedded.valkey.pid):
            if pid is not None:
                _signal_tree(pid, signal.SIGCONT)
        run_trio(self._embedded.stop)
        self._held.close()

    def remove(self) -> None:
        """Stop both, and remove the directory with all in it."""
        self.close()
        shutil.rmtree(self.data_dir.root)


def _known(pid: int | None) -> int:
    assert pid is not None, "it does not run"
    return pid


def _signal_tree(pid: int, number: signal.Signals) -> None:
    # The parent first: it must not see its children go, nor replace them.
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        for process in [parent, *parent.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)


class AsyncpgThread:
    """An asyncio loop in a thread, by which sync code runs statements on one connection."""

    def __init__(self, url: str) -> None:
        # Named: trio-asyncio's policy gives loops that cannot be run in another thread.
        self._loop = asyncio.SelectorEventLoop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._connection: asyncpg.Connection[asyncpg.Record] = self._call(asyncpg.connect(url))

    def execute(self, statement: str) -> None:
        """Run one statement to its end."""
        self._call(self._connection.execute(statement))

    def close(self) -> None:
        """Close the connection and end the loop and its thread."""
        self._call(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_SECONDS)
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_SECONDS)


def with_database(url: str, name: str) -> str:
    """Return the URL of another database on the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def flush(redis_url: str, number: int) -> None:
    """Empty one of Redis's numbered databases."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(DEADLINE_SECONDS)
        connection.connect(unquote(urlsplit(redis_url).path))
        connection.sendall(b"SELECT %d\r\nFLUSHDB\r\n" % number)
        with connection.makefile("rb") as replies:
            assert [replies.readline(), replies.readline()] == [b"+OK\r\n"] * 2


@pytest.fixture(scope="session")
def session_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DisposableServers]:
    """The servers of the whole run: not to be killed, frozen or restarted."""
    servers = DisposableServers(tmp_path_factory.mktemp("servers"))
    try:
        yield servers
    finally:
        servers.remove()


@pytest.fixture(scope="session")
def postgres_url(session_servers: DisposableServers) -> str:
    """The URL of the run's PostgreSQL, at a database of nobody's."""
    session_servers.start_postgres()
    return session_servers.database_url


@pytest.fixture(scope="session")
def redis_url(session_servers: DisposableServers) -> str:
    """The URL of the run's Valkey; tests share its databases, see `fresh_redis_url`."""
    session_servers.start_valkey()
    return session_servers.redis_url


@pytest.fixture(scope="session")
def postgres_admin(postgres_url: str) -> Iterator[AsyncpgThread]:
    """A superuser's connection, to make and drop databases with."""
    admin = AsyncpgThread(with_database(postgres_url, "postgres"))
    try:
        yield admin
    finally:
        admin.close()


@pytest.fixture(scope="session")
def template_database(postgres_url: str, postgres_admin: AsyncpgThread) -> str:
    """The name of a migrated, empty database that nobody is connected to."""
    from pxbox.postgres.migrate import migrate

    postgres_admin.execute(f"create database {TEMPLATE}")
    with ThreadPoolExecutor(1) as pool:
        target = with_database(postgres_url, TEMPLATE)
        pool.submit(_run_asyncio, lambda: migrate(target)).result(DEADLINE_SECONDS)
    return TEMPLATE


_numbers = itertools.count(1)


@contextmanager
def _new_database(url: str, admin: AsyncpgThread, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    admin.execute(f"create database {name} template {template}")
    try:
        yield with_database(url, name)
    finally:
        admin.execute(f"drop database {name} with (force)")


@pytest.fixture
def database_url(
    postgres_url: str, postgres_admin: AsyncpgThread, template_database: str
) -> Iterator[str]:
    """The URL of a migrated, empty database of this test's own."""
    with _new_database(postgres_url, postgres_admin, template_database) as url:
        yield url


@pytest.fixture(scope="module")
def shared_database_url(
    postgres_url: str, postgres_admin: AsyncpgThread, template_database: str
) -> Iterator[str]:
    """The URL of a migrated database for all tests of a module that use ids of their own."""
    with _new_database(postgres_url, postgres_admin, template_database) as url:
        yield url


@pytest.fixture
def fresh_redis_url(redis_url: str) -> str:
    """The URL of an empty database of Valkey's (Pub/Sub crosses them)."""
    number = next(_numbers) % REDIS_DATABASES
    flush(redis_url, number)
    return f"{redis_url.partition('?')[0]}?db={number}"


@pytest.fixture
def disposable_servers(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[], DisposableServers]]:
    """A function that returns new, running servers at each call; all are stopped afterwards."""
    with ExitStack() as opened:

        def open_some() -> DisposableServers:
            servers = DisposableServers(tmp_path_factory.mktemp("servers"))
            opened.callback(servers.remove)
            servers.start_postgres()
            servers.start_valkey()
            return servers

        yield open_some
