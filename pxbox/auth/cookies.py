"""The cookie of a browser that has signed in (RFC 6265)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from pxbox.auth.headers import CallerHeaders

SECURE_NAME: Final = "__Host-pxbox"
_PLAIN_NAME: Final = "pxbox-"
_VALUE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_PORT = re.compile(r":([0-9]{1,5})\Z", re.ASCII)


def login_value(named: CallerHeaders) -> str | None:
    """What the login's cookie holds, None where there is none that could be ours."""
    sent: dict[str, str] = {}
    for line in named.values.get(b"cookie", []):
        for pair in line.decode("latin-1").split(";"):
            name, _, value = pair.strip().partition("=")
            # Of several with one name the first has the longest path: the one that was meant.
            sent.setdefault(name, value)
    for name in (SECURE_NAME, _plain_name(named)):
        if _VALUE.fullmatch(sent.get(name, "")):
            return sent[name]
    return None


def login_cookie(named: CallerHeaders, value: str, expires_at: datetime) -> str:
    """The Set-Cookie that has this browser keep `value` until then."""
    seconds = max(0, int((expires_at - datetime.now(UTC)).total_seconds()))
    return f"{_name(named)}={value}; Max-Age={seconds}; {_attributes(named)}"


def no_cookie(named: CallerHeaders) -> str:
    """The Set-Cookie that has this browser forget it."""
    return f"{_name(named)}=; Max-Age=0; {_attributes(named)}"


def _attributes(named: CallerHeaders) -> str:
    return "Path=/; HttpOnly; SameSite=Strict" + ("; Secure" if _by_tls(named) else "")


def _name(named: CallerHeaders) -> str:
    return SECURE_NAME if _by_tls(named) else _plain_name(named)


def _by_tls(named: CallerHeaders) -> bool:
    """Whether the page came by https. TLS ends at a proxy, and browsers say it by Origin."""
    return (named.one(b"origin") or "").lower().startswith("https:")


def _plain_name(named: CallerHeaders) -> str:
    """With the port, which cookies do not tell apart: brokers on one machine would share theirs."""
    port = _PORT.search(named.one(b"host") or "")
    return _PLAIN_NAME + (port[1] if port else "80")
