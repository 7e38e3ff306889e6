"""Bring a database to the shape that this version of the broker needs."""

from __future__ import annotations

import asyncpg

from pxbox.postgres import statements

# One migration at a time, whichever process runs it: an advisory lock under a number of our own.
_LOCK = 0x70786D69
_LEDGER = """
create table if not exists migration (
    name text primary key,
    applied_at timestamptz not null default clock_timestamp()
)
"""


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing, each migration in a transaction; return the names applied.

    Safe to run from several processes at once. Raises one of `probe.FAILURES`: nothing of the
    migration that failed is kept.
    """
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(_LEDGER)
        rows = await connection.fetch("select name from migration")
        missing = [
            (name, text)
            for name, text in statements.migrations()
            if name not in {row["name"] for row in rows}
        ]
        for name, text in missing:
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute("insert into migration (name) values ($1)", name)
        return [name for name, _ in missing]
    finally:
        await connection.close()


async def pending(connection: asyncpg.Connection) -> list[str]:
    """The migrations that this database lacks."""
    if not await connection.fetchval("select to_regclass('migration') is not null"):
        return [name for name, _ in statements.migrations()]
    rows = await connection.fetch("select name from migration")
    applied = {row["name"] for row in rows}
    return [name for name, _ in statements.migrations() if name not in applied]
