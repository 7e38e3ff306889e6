"""Logins: a browser's token, or a one-time link, becomes what its cookie holds (X1).

A login is a row, so that signing out ends it everywhere at once; the cookie's value is kept as a
hash. It may do what a page is for, and of that only what its token or link had.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from pxbox.auth.links import Link, invalid_link
from pxbox.model import wire
from pxbox.model.errors import TokenExpired, Unauthenticated
from pxbox.model.principal import ADMIN, FLOW, REQUEST, RESPOND, Principal
from pxbox.postgres.logins import Lasting, Login
from pxbox.service.core import Parts

LOGIN_SECONDS: Final = 12 * 3600
LOGIN_MOST_SECONDS: Final = 7 * 24 * 3600
SCOPES: Final = frozenset((REQUEST, RESPOND, FLOW, ADMIN))

_LASTING = Lasting(timedelta(seconds=LOGIN_SECONDS), timedelta(seconds=LOGIN_MOST_SECONDS))
_BYTES = 32
NOBODY: Final = wire.Login(
    signed_in=False, sub=None, entity=None, handle=None, scopes=[], expires_at=None,
    renewable_until=None,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`value` is for the cookie alone."""

    value: str = field(repr=False)
    login: Login


async def sign_in(parts: Parts, principal: Principal) -> SignedIn:
    """Make a login for who bears a token; it ends with the token at the latest.

    Raises Forbidden where it names a group or a role, and Unavailable.
    """
    value, hash, limited = await _new(parts, principal)
    return SignedIn(value, await parts.logins.keep(hash, limited, _LASTING))


async def sign_in_by_link(parts: Parts, link: Link) -> SignedIn:
    """The same for a link, which is used up by it.

    Raises Unauthenticated for one that was used or has expired, and what `sign_in` raises.
    """
    grant = link.grant
    named = Principal(grant.sub, grant.entity, grant.scopes, None, "")
    value, hash, limited = await _new(parts, named)
    used = link.hash, link.expires_at
    login = await parts.logins.keep_by_link(hash, limited, _LASTING, used)
    if login is None:
        raise invalid_link()
    return SignedIn(value, login)


async def principal_of(parts: Parts, value: str) -> Principal:
    """Who has signed in with what a cookie holds; expires with the login.

    Raises TokenExpired, Unauthenticated for none that counts, and Unavailable.
    """
    login = await parts.logins.find(_hash(value))
    if login is None:
        raise _signed_out()
    if not login.counts:
        raise TokenExpired("the login has expired; sign in again")
    return login.principal


async def show(parts: Parts, value: str | None) -> wire.Login:
    """Who has signed in; nobody where there is no login, or none that counts any more."""
    login = None if value is None else await parts.logins.find(_hash(value))
    return await describe(parts, login) if login is not None and login.counts else NOBODY


async def describe(parts: Parts, login: Login) -> wire.Login:
    principal = login.principal
    entity = (await parts.directory.caller(principal)).entity
    return wire.Login(
        signed_in=True,
        sub=principal.sub,
        entity=entity.id if entity else None,
        handle=entity.handle if entity else None,
        scopes=sorted(principal.scopes),
        expires_at=login.expires_at,
        renewable_until=login.ends_at,
    )


async def renew(parts: Parts, value: str) -> Login:
    """Put a login's expiry off. Raises Unauthenticated, TokenExpired and Unavailable."""
    login = await parts.logins.renew(_hash(value), _LASTING.at_once)
    if login is None:
        await principal_of(parts, value)  # says why
        raise _signed_out()
    return login


async def sign_out(parts: Parts, value: str) -> None:
    """End a login, everywhere; nothing happens where there is none. Raises Unavailable."""
    await parts.logins.forget(_hash(value))


async def _new(parts: Parts, principal: Principal) -> tuple[str, bytes, Principal]:
    # Who could do nothing with it is told now, while a link is still good.
    await parts.directory.caller(principal)
    value = secrets.token_urlsafe(_BYTES)
    hash = _hash(value)
    return value, hash, replace(
        principal, scopes=principal.scopes & SCOPES, token_id=hash.hex()[:16]
    )  # fmt: skip


def _hash(value: str) -> bytes:
    return hashlib.sha256(value.encode()).digest()


def _signed_out() -> Unauthenticated:
    return Unauthenticated("nobody has signed in with this browser; sign in")
