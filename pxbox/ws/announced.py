"""What a client says of itself in the query of its handshake."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from pxbox.model.errors import InvalidRequest

_KNOWN = ("ticket", "session", "batch")
MOST_NAME = 128
_NAME = re.compile(rf"[!-~]{{1,{MOST_NAME}}}")


@dataclass(frozen=True, slots=True)
class Announced:
    """`session`: the name under which acknowledgements are kept (E8). `batch`: it reads `events`
    frames."""

    session: str | None = None
    batch: bool = False


def announced(query: str) -> Announced:
    """Read the query of a handshake. Raises InvalidRequest; the ticket in it is for others."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict")
    except ValueError:
        raise InvalidRequest("the query cannot be read") from None
    given = dict(pairs)
    if len(given) < len(pairs):
        raise InvalidRequest("each parameter is given once")
    for name in given:
        if name not in _KNOWN:
            raise InvalidRequest(f"there is no parameter {name[:64]!r}; see the contract")
    return Announced(_session(given.get("session")), _batch(given.get("batch", "false")))


def _session(name: str | None) -> str | None:
    if name is not None and not _NAME.fullmatch(name):
        raise InvalidRequest("`session` is 1 to 128 printable ASCII characters without spaces")
    return name


def _batch(word: str) -> bool:
    if word not in ("true", "false"):
        raise InvalidRequest("`batch` is `true` or `false`")
    return word == "true"
