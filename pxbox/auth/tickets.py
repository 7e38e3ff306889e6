"""Tickets: what a browser opens a WebSocket with in place of a token, once (X1).

A URL gets logged, by proxies and by browsers: a ticket that is found there afterwards is used up.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final
from urllib.parse import parse_qs

from pxbox.auth.headers import Headers, caller_headers
from pxbox.model.errors import Unauthenticated

_BYTES: Final = 32
_TICKET = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
_MOST_MEMBERS: Final = 100


def new_ticket() -> str:
    """A ticket that nobody can guess: 43 characters that a URL takes as they are."""
    return secrets.token_urlsafe(_BYTES)


def ticket_hash(ticket: str) -> bytes:
    """What is kept of a ticket: who reads the table can open nothing with it."""
    return hashlib.sha256(ticket.encode()).digest()


def ticket_of(query: str, headers: Headers) -> str | None:
    """The ticket in the query of a handshake with these headers, None where there is none.

    Raises Unauthenticated for what cannot be a ticket, for several, and for one beside a token.
    """
    try:
        named = parse_qs(query, keep_blank_values=True, max_num_fields=_MOST_MEMBERS)
    except ValueError:
        raise Unauthenticated("the query cannot be read") from None
    tickets = named.get("ticket", [])
    if not tickets:
        return None
    if len(tickets) > 1 or caller_headers(headers).token() is not None:
        raise Unauthenticated("a ticket and a token, or several tickets, were sent; send one")
    if not _TICKET.fullmatch(tickets[0]):
        raise unknown_ticket()
    return tickets[0]


def unknown_ticket() -> Unauthenticated:
    """What is told of a ticket that never was, was used, or has expired: the three are one."""
    return Unauthenticated("the ticket is not valid: it counts once, within 30 seconds")
