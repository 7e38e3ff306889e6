"""What a database is like, for `pxbox doctor`. Reads only."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from pxbox.postgres.migrate import pending, unknown
from pxbox.postgres.statements import sql

FIRST_MIGRATION_WITH_SECRET = "0001_core"  # noqa: S105 (a migration's name)

FAILURES = (OSError, ValueError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""What a connect or a statement can raise; `why_unreachable` puts it into words."""


class DatabaseUnreachable(Exception):
    """No answer that could be used; the message says why, without the URL's password."""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """One look at a database.

    `skew` is how far its clock is ahead of this machine's, right to within `round_trip`.
    `pending` names the migrations that it lacks, `unknown` those that this version does not know.
    `secret_fingerprint` is None until a broker
    has run on it.
    """

    version: str
    version_number: int
    encoding: str
    synchronous_commit: str
    fsync: bool
    full_page_writes: bool
    read_only: bool
    may_create: bool
    skew: timedelta
    round_trip: timedelta
    pending: list[str]
    unknown: list[str]
    secret_fingerprint: str | None


async def probe(dsn: str, timeout: float) -> DatabaseFacts:
    """Look at the database within `timeout` seconds. Raises DatabaseUnreachable."""
    try:
        async with asyncio.timeout(timeout):
            connection = await asyncpg.connect(dsn, timeout=timeout)
            try:
                return await _facts(connection)
            finally:
                connection.terminate()
    except FAILURES as error:
        raise DatabaseUnreachable(why_unreachable(error)) from None


def why_unreachable(error: Exception) -> str:
    """Say what a failed connect or statement means, without the URL's password."""
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, asyncpg.InterfaceError | ValueError):
        # Their text may repeat the URL.
        return "its URL is not one that can be used"
    return str(error)


async def _facts(connection: asyncpg.Connection) -> DatabaseFacts:
    before = datetime.now(UTC)
    row = await connection.fetchrow(sql("probe"))
    round_trip = datetime.now(UTC) - before
    if row is None:
        raise DatabaseUnreachable("it answers without a row")
    facts = dict(row)
    skew = facts.pop("now") - (before + round_trip / 2)
    lacking = await pending(connection)
    secret = None
    if FIRST_MIGRATION_WITH_SECRET not in lacking:
        secret = await connection.fetchval(sql("secret_fingerprint"))
    return DatabaseFacts(
        **facts,
        skew=skew,
        round_trip=round_trip,
        pending=lacking,
        unknown=await unknown(connection),
        secret_fingerprint=secret,
    )
