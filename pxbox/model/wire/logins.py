"""How a browser gets in: tickets and logins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import Meta

from pxbox.model.wire.base import Input, Reply


class CreateTicket(Input):
    """Make a ticket for a browser's WebSocket."""


class SignIn(Input):
    """Sign a browser in: by a link, by a token, or (neither) as who makes the call."""

    link: Annotated[str, Meta(max_length=4096)] | None = None
    token: Annotated[str, Meta(max_length=8192)] | None = None


class Ticket(Reply):
    """Opens one WebSocket, once, until `expires_at`."""

    ticket: str
    expires_at: datetime


class Login(Reply):
    """Who has signed in with a browser; all but `signed_in` is empty where nobody has.

    `entity` is the id of whom it acts as, and `handle` the name of that one.
    """

    signed_in: bool
    sub: str | None
    entity: str | None
    handle: str | None
    scopes: list[str]
    expires_at: datetime | None
    renewable_until: datetime | None
