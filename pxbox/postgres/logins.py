"""Logins of browsers and the links that were used for them; only hashes are kept (X1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

import asyncpg
import msgspec

from pxbox.model.principal import Principal
from pxbox.postgres.reader import Reader

_decode_principal = msgspec.json.Decoder(Principal).decode


@dataclass(frozen=True, slots=True)
class Login:
    """`principal` expires with the login; `ends_at` is how far it can be renewed. `counts`: it has
    not expired, by the database's clock."""

    principal: Principal
    expires_at: datetime
    ends_at: datetime
    counts: bool = True


@dataclass(frozen=True, slots=True)
class Lasting:
    """How long a new login lasts, and how long with all its renewals."""

    at_once: timedelta
    at_most: timedelta


class Logins:
    """Every method raises Unavailable while the database cannot be reached."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def keep(self, hash: bytes, principal: Principal, lasting: Lasting) -> Login:
        """Keep a login by its hash; it ends with the principal at the latest."""
        row = await self._reader.fetch_one(
            "keep_login", hash, _text(principal), lasting.at_once, lasting.at_most,
            principal.expires_at,
        )  # fmt: skip
        assert row is not None, "an insert gives a row"
        return _made(row, principal)

    async def keep_by_link(
        self, hash: bytes, principal: Principal, lasting: Lasting, link: tuple[bytes, datetime]
    ) -> Login | None:
        """The same for a link, by its hash and its expiry, which is used up by that; None: it was
        used before, or has expired."""
        row = await self._reader.fetch_one(
            "keep_login_by_link", *link, hash, _text(principal), lasting.at_once, lasting.at_most
        )
        return None if row is None else _made(row, principal)

    async def find(self, hash: bytes) -> Login | None:
        return _login(await self._reader.fetch_one("login", hash))

    async def renew(self, hash: bytes, lasting: timedelta) -> Login | None:
        """Put its expiry off to `lasting` from now, if its end allows; None: none counts."""
        return _login(await self._reader.fetch_one("renew_login", hash, lasting))

    async def forget(self, hash: bytes) -> None:
        await self._reader.fetch("forget_login", hash)

    async def purge(self, most: int) -> int:
        """Delete up to `most` logins, and links, of old; return how many."""
        row = await self._reader.fetch_one("purge_logins", most)
        assert row is not None, "an aggregate gives a row"
        return cast(int, row["gone"])


def _text(principal: Principal) -> str:
    return msgspec.json.encode(principal).decode()


def _made(row: asyncpg.Record, principal: Principal) -> Login:
    until = row["expires_at"]
    return Login(_until(principal, until), until, row["ends_at"])


def _login(row: asyncpg.Record | None) -> Login | None:
    if row is None:
        return None
    until = row["expires_at"]
    principal = _until(_decode_principal(row["principal"]), until)
    return Login(principal, until, row["ends_at"], row["counts"])


def _until(principal: Principal, expires_at: datetime) -> Principal:
    return Principal(
        principal.sub, principal.entity, principal.scopes, expires_at, principal.token_id
    )
