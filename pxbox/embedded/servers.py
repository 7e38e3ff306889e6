"""Both servers of a data directory, held by one broker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import trio

from pxbox.embedded import binaries, postgres, valkey
from pxbox.embedded.account import Account, choose_account
from pxbox.embedded.data_dir import DataDir, hold
from pxbox.embedded.errors import ServerFailed, unusable
from pxbox.embedded.keeping import Loss, OnLoss, keep
from pxbox.embedded.server import Program, Server


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers are reached: over Unix sockets, by this user (and root) alone.

    `database_url` is for asyncpg and psql, `redis_url` for redis-py; None: not running.
    """

    database_url: str | None
    redis_url: str | None


@dataclass(frozen=True, slots=True)
class Embedded:
    """The servers of a data directory that the caller holds, each to be started and stopped."""

    data_dir: DataDir
    account: Account
    sockets: Path
    postgres: Server
    valkey: Server

    async def start_postgres(self) -> str:
        """Return the database's URL once it answers. Raises ServerFailed."""
        programs = binaries.postgres_programs()
        await postgres.make_cluster(self.data_dir, self.account, programs)
        arguments = postgres.arguments(self.data_dir, self.sockets)
        await self.postgres.start(programs / "postgres", arguments)
        return postgres.url(self.sockets)

    async def start_valkey(self) -> str:
        """Return Valkey's URL once it answers. Raises ServerFailed."""
        program = binaries.valkey_program()
        valkey.make_home(self.data_dir, self.account)
        arguments = valkey.arguments(self.data_dir, self.sockets)
        await self.valkey.start(program, arguments)
        return valkey.url(self.sockets)

    async def stop(self) -> None:
        """Stop both, in bounded time, whatever happens to the caller."""
        with trio.CancelScope(shield=True):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.postgres.stop)
                nursery.start_soon(self.valkey.stop)
            self.data_dir.drop_short_sockets()


async def prepare(data_dir: DataDir, *, postgres: bool = True, valkey: bool = True) -> Embedded:
    """Make the directories, and find out as whom the servers that are wanted can run.

    Nothing is started. The caller holds the data directory. Raises ServerFailed.
    """
    programs = []
    if postgres:
        programs.append(binaries.postgres_programs() / "postgres")
    if valkey:
        programs.append(binaries.valkey_program())
    account = await choose_account(data_dir, tuple(programs))
    try:
        return _embed(data_dir, account)
    except OSError as error:
        raise unusable(data_dir.root, error) from error


def _embed(data_dir: DataDir, account: Account) -> Embedded:
    account.let_in(data_dir.root)
    sockets = data_dir.make_sockets(account.owner)
    account.give(sockets)
    return Embedded(
        data_dir,
        account,
        sockets,
        Server(postgres.program(data_dir, sockets), account),
        Server(valkey.program(data_dir, sockets), account),
    )


def _unheard(loss: Loss) -> None:
    """For callers who need not know."""


@asynccontextmanager
async def open_servers(
    data_dir: Path, *, postgres: bool = True, valkey: bool = True, on_loss: OnLoss = _unheard
) -> AsyncIterator[Servers]:
    """Run the servers of a data directory as long as the block lasts.

    The directory is made (0700) with all that belongs in it; what a killed broker left running
    there is taken over. Both are started at once, and stopped, in bounded time, when the block
    is left in whatever way. One that dies meanwhile is started again, at the same URL, as often
    as it takes; `on_loss` hears of it. Raises DataDirInUse if another process holds the
    directory, ServerFailed if a server that is wanted cannot be had; then nothing is left running.
    """
    where = DataDir.at(data_dir)
    where.make()
    with hold(where):
        embedded = await prepare(where, postgres=postgres, valkey=valkey)
        try:
            servers = await _start(embedded, postgres=postgres, valkey=valkey)
            async with trio.open_nursery() as nursery:
                if postgres:
                    nursery.start_soon(keep, embedded.postgres, embedded.start_postgres, on_loss)
                if valkey:
                    nursery.start_soon(keep, embedded.valkey, embedded.start_valkey, on_loss)
                yield servers
                nursery.cancel_scope.cancel()
        finally:
            await embedded.stop()


@asynccontextmanager
async def open_missing(
    data_dir: Path, database_url: str | None, redis_url: str | None, on_loss: OnLoss
) -> AsyncIterator[tuple[str, str]]:
    """The URLs of the database and of Redis: those given, or of embedded ones, as `open_servers`
    runs them."""
    if database_url is not None and redis_url is not None:
        yield database_url, redis_url
        return
    wanted = {"postgres": database_url is None, "valkey": redis_url is None}
    async with open_servers(data_dir, **wanted, on_loss=on_loss) as servers:
        urls = database_url or servers.database_url, redis_url or servers.redis_url
        assert urls[0] is not None
        assert urls[1] is not None
        yield urls[0], urls[1]


def running_urls(data_dir: Path) -> Servers:
    """Say what runs and answers in a data directory now, whoever holds it; start nothing.

    It takes a few milliseconds, and at most some seconds where a server is frozen. Raises
    PermissionError if the directory is another user's.
    """
    where = DataDir.at(data_dir)
    sockets = where.recorded_sockets()
    return Servers(
        postgres.url(sockets) if _serves(postgres.program(where, sockets)) else None,
        valkey.url(sockets) if _serves(valkey.program(where, sockets)) else None,
    )


def _serves(program: Program) -> bool:
    return program.running() is not None and program.answers(program.socket)


async def _start(embedded: Embedded, *, postgres: bool, valkey: bool) -> Servers:
    urls: dict[str, str] = {}
    failed: list[ServerFailed] = []

    async def attempt(server: str, start: Callable[[], Awaitable[str]]) -> None:
        try:
            urls[server] = await start()
        except ServerFailed as error:
            failed.append(error)
        except OSError as error:
            failed.append(unusable(embedded.data_dir.root, error))
        # One that fails makes the other's start needless; the caller hears of the first failure.
        if failed:
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        if postgres:
            nursery.start_soon(attempt, "postgres", embedded.start_postgres)
        if valkey:
            nursery.start_soon(attempt, "valkey", embedded.start_valkey)
    if failed:
        raise failed[0]
    return Servers(urls.get("postgres"), urls.get("valkey"))
