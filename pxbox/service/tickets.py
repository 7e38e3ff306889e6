"""Tickets for browsers' WebSockets: made over REST, taken by a handshake on any process (X1)."""

from __future__ import annotations

from datetime import timedelta

from pxbox.auth.tickets import new_ticket, ticket_hash, unknown_ticket
from pxbox.auth.tokens import require_current
from pxbox.model import wire
from pxbox.model.principal import Principal
from pxbox.service.core import Call, Outcome, Parts

TICKET_SECONDS = 30


async def create(parts: Parts, call: Call) -> Outcome:
    """Make a ticket that stands for the caller's token; when it is given out, it is kept."""
    ticket = new_ticket()
    until = await parts.views.keep_ticket(
        ticket_hash(ticket), call.caller.principal, timedelta(seconds=TICKET_SECONDS)
    )
    return Outcome(wire.Ticket(ticket=ticket, expires_at=until))


async def redeem(parts: Parts, ticket: str) -> Principal:
    """Who made this ticket; it is used up by that, whatever becomes of the connection.

    Raises Unauthenticated for one that never was, was used or has expired, TokenExpired where the
    token that it stands for has, and Unavailable.
    """
    principal = await parts.views.take_ticket(ticket_hash(ticket))
    if principal is None:
        raise unknown_ticket()
    require_current(principal)
    return principal
