"""Which installation this database is: its epoch, and the secret that belongs to it (E4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import asyncpg

from pxbox.model.ids import new_uuid
from pxbox.ports import Era
from pxbox.postgres.connection import CONNECT_SECONDS
from pxbox.postgres.reader import Reader
from pxbox.postgres.statements import sql

# A client may say anything. Where it is right, this is the first time in long; where it lies, it
# has everybody read their lists anew at most this often.
CLIENT_BELIEVED_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Installation:
    """`secret_fingerprint` is that of the secret the first broker on this database had."""

    epoch: str
    secret_fingerprint: str


async def install(reader: Reader, new_epoch: str, secret_fingerprint: str) -> Installation:
    """Say which installation this is, and make it one if it is new.

    The epoch is kept but where this is another database than it was: another system identifier or
    another oid, as after a restore elsewhere. Then it is `new_epoch`, as for a new installation.
    """
    identity = await reader.fetch_one("identify")
    assert identity is not None, "pg_control_system gives a row"
    row = await reader.fetch_one(
        "install",
        new_epoch,
        identity["system_identifier"],
        identity["database_oid"],
        secret_fingerprint,
    )
    assert row is not None, "an upsert that returns gives a row"
    return Installation(row["epoch"], row["secret_fingerprint"])


class Installations:
    """`pxbox.ports.Installations` on PostgreSQL."""

    def __init__(self, reader: Reader, secret_fingerprint: str) -> None:
        self._reader = reader
        self._secret_fingerprint = secret_fingerprint

    async def current(self) -> Era:
        row = await self._reader.fetch_one("epoch")
        if row is None or not row["same_database"]:
            await install(self._reader, new_uuid(), self._secret_fingerprint)
            row = await self._reader.fetch_one("epoch")
        assert row is not None, "install makes it"
        return Era(row["epoch"], row["epoch_reason"])

    async def suspect(self, epoch: str, heads: Mapping[str, int], *, by_client: bool) -> bool:
        reason = "a client was ahead" if by_client else "Redis was ahead"
        age = CLIENT_BELIEVED_EVERY if by_client else timedelta()
        begun = await self._reader.fetch_one(
            "epoch_if_behind", epoch, new_uuid(), reason, age, list(heads), list(heads.values())
        )
        return begun is not None


async def restore_done(url: str) -> str | None:
    """Begin a new epoch, and return it; None where no broker has run on this database yet.

    Raises what is in `probe.FAILURES`.
    """
    connection = await asyncpg.connect(url, timeout=CONNECT_SECONDS)
    try:
        epoch: str | None = await connection.fetchval(sql("restore_done"), new_uuid())
        return epoch
    finally:
        await connection.close()
