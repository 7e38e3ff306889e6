"""Which installation this database is: its epoch, and the secret that belongs to it (E4)."""

from __future__ import annotations

from dataclasses import dataclass

from pxbox.postgres.reader import Reader


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
