"""Links for signing in, once: a token of that one purpose, signed with a key of its own (X1).

It stands in the fragment of a URL, which browsers send to nobody and no proxy logs; the page posts
it. Whoever only follows the link, such as a preview in a chat, uses nothing up.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt

from pxbox.auth.keys import derive
from pxbox.auth.tokens import Grant, name_or_refuse
from pxbox.model.errors import Unauthenticated

MOST_LINK: Final = 4096
_ALGORITHM: Final = "HS256"
_COMPACT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Link:
    """What a link grants, and until when. `hash` tells it from every other, and opens nothing."""

    grant: Grant
    expires_at: datetime
    hash: bytes = field(repr=False)


def link_key(secret: str) -> bytes:
    """What links are signed with where this secret signs tokens: neither is taken for the other."""
    return derive(secret, "link")


def make_link(key: bytes, grant: Grant, ttl: timedelta) -> str:
    """A link that grants this once, within `ttl`. Raises Unauthenticated for names that none can
    have."""
    claims = {
        "sub": name_or_refuse(grant.sub, "the link's `sub`"),
        "scope": " ".join(sorted(grant.scopes)),
        "exp": int(time.time() + ttl.total_seconds()),
        "jti": secrets.token_urlsafe(16),
    }
    if grant.entity is not None:
        claims["entity"] = name_or_refuse(grant.entity, "the link's `entity`")
    return jwt.encode(claims, key, _ALGORITHM)


def link_url(origin: str, link: str) -> str:
    """Where a browser is to go with it."""
    return f"{origin.rstrip('/')}/#link={link}"


def read_link(key: bytes, text: str) -> Link:
    """What was signed. Whether it has expired or was used is for the database to say. Raises
    Unauthenticated for what no broker with this key has made."""
    if len(text) > MOST_LINK or not _COMPACT.fullmatch(text):
        raise invalid_link()
    try:
        claims: dict[str, Any] = jwt.decode(
            text,
            key,
            [_ALGORITHM],
            {"verify_exp": False, "require": ["sub", "scope", "exp", "jti"]},
        )
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise invalid_link() from None
    grant = Grant(claims["sub"], frozenset(claims["scope"].split()), claims.get("entity"))
    # By what was signed: its last character can be spelled in several ways.
    hash = hashlib.sha256(claims["jti"].encode()).digest()
    return Link(grant, datetime.fromtimestamp(claims["exp"], UTC), hash)


def invalid_link() -> Unauthenticated:
    """What is told of a link that never was, was used, or has expired: the three are one."""
    return Unauthenticated("the link is not valid: it counts once, and not for long; get a new one")
