"""The PostgreSQL and the Valkey that a run's servers share, and the servers themselves."""

from __future__ import annotations

import itertools
import os
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg
import jwt
import psutil
import trio
import uvloop

from bench.processes import Service, free_port
from bench.table import machine
from pxbox.embedded import open_servers

T = TypeVar("T")

SECRET: Final = secrets.token_urlsafe(32)
TOKEN_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Stack:
    """The shared servers of a run, in a directory that goes with it."""

    directory: Path
    database_url: str
    redis_url: str
    postmaster: int
    facts: dict[str, str]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def next_number(self) -> int:
        """A number of its own for whatever needs a name of its own."""
        return next(self._numbers)

    async def create_database(self, name: str, template: str = "template1") -> str:
        """Make a database, empty or a copy of `template`, and return its URL."""
        await self.execute(f"create database {name} template {template}")
        head, _, query = self.database_url.partition("?")
        return f"{head.rpartition('/')[0]}/{name}?{query}"

    async def checkpoint(self) -> None:
        """Write out what earlier runs have left to write, so that no run pays for another."""
        await self.execute("checkpoint")

    async def execute(self, statement: str) -> None:
        await in_asyncio(execute(self.database_url, statement))


async def in_asyncio(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine of asyncio's to its end, in a thread and a loop of its own."""
    # Not asyncio.run: with trio-asyncio imported, its loops are trio's.
    return await trio.to_thread.run_sync(uvloop.run, work)


async def execute(database_url: str, statement: str) -> None:
    """Run one statement on a connection of its own."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def _postmaster(database_url: str) -> int:
    connection = await asyncpg.connect(database_url)
    try:
        backend = await connection.fetchval("select pg_backend_pid()")
        return psutil.Process(backend).ppid()
    finally:
        await connection.close()


@asynccontextmanager
async def open_stack(parent: Path | None) -> AsyncIterator[Stack]:
    """Start both servers in a new directory under `parent` (the system's temporary one)."""
    with tempfile.TemporaryDirectory(prefix="pxbox-bench-", dir=parent) as path:
        directory = Path(path)
        async with open_servers(directory / "servers") as servers:
            assert servers.database_url is not None
            assert servers.redis_url is not None
            url = servers.database_url
            postmaster = await in_asyncio(_postmaster(url))
            facts = await in_asyncio(machine(url, directory))
            yield Stack(directory, url, servers.redis_url, postmaster, facts)


def token(sub: str, scope: str, entity: str | None = None) -> str:
    """A token that both servers accept, for a day."""
    now = int(time.time())
    claims = {"sub": sub, "scope": scope, "iat": now, "exp": now + TOKEN_SECONDS}
    if entity is not None:
        claims["entity"] = entity
    return jwt.encode(claims, SECRET, "HS256")


def pxbox_service(stack: Stack, database_url: str) -> Service:
    """The broker as a user starts it, on servers of their own."""
    port = free_port()
    command = [sys.executable, "-m", "pxbox", "serve", "--port", str(port)]
    command += ["--data-dir", str(stack.directory / "pxbox")]
    command += ["--database-url", database_url, "--redis-url", stack.redis_url]
    command += ["--log-level", "warning"]
    return Service("pxbox", command, {**os.environ, "PXBOX_SECRET": SECRET}, port, "/readyz")


def peer_service(database_url: str) -> Service:
    """The peer with uvicorn's fast settings, in one process."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "bench.peers.starlette_app:app"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--loop", "uvloop"]
    command += ["--http", "httptools", "--ws", "websockets-sansio"]
    command += ["--ws-per-message-deflate", "false", "--no-access-log"]
    command += ["--log-level", "warning", "--backlog", "4096", "--timeout-keep-alive", "75"]
    env = {**os.environ, "PEER_DATABASE_URL": database_url, "PEER_SECRET": SECRET}
    return Service("peer", command, env, port, "/healthz")
