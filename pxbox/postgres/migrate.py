"""Bring a database to the shape that this version of the broker needs."""

from __future__ import annotations

import asyncpg

from pxbox.postgres import statements
from pxbox.postgres.statements import sql

# One migration at a time, whichever process runs it: an advisory lock under a number of our own.
_LOCK = 0x70786D69


async def migrate(dsn: str) -> list[str]:
    """Apply what is missing, each migration in a transaction; return the names applied.

    Safe to run from several processes at once. Raises one of `probe.FAILURES`: nothing of the
    migration that failed is kept.
    """
    connection = await asyncpg.connect(dsn, timeout=10)
    try:
        await connection.execute(sql("migration_lock"), _LOCK)
        await connection.execute(sql("migration_ledger"))
        rows = await connection.fetch(sql("migrations_applied"))
        missing = [
            (name, text)
            for name, text in statements.migrations()
            if name not in {row["name"] for row in rows}
        ]
        for name, text in missing:
            async with connection.transaction():
                await connection.execute(text)
                await connection.execute(sql("migration_record"), name)
        return [name for name, _ in missing]
    finally:
        await connection.close()


async def unknown(connection: asyncpg.Connection) -> list[str]:
    """The migrations that this database has and this version does not know: a newer one's."""
    if not await connection.fetchval(sql("migration_ledger_exists")):
        return []
    ours = {name for name, _ in statements.migrations()}
    rows = await connection.fetch(sql("migrations_applied"))
    return sorted(row["name"] for row in rows if row["name"] not in ours)


async def pending(connection: asyncpg.Connection) -> list[str]:
    """The migrations that this database lacks."""
    if not await connection.fetchval(sql("migration_ledger_exists")):
        return [name for name, _ in statements.migrations()]
    rows = await connection.fetch(sql("migrations_applied"))
    applied = {row["name"] for row in rows}
    return [name for name, _ in statements.migrations() if name not in applied]
