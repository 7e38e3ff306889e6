"""The trail: who did what, when, by which token, and on whose behalf."""

from __future__ import annotations

from datetime import datetime

from msgspec import Raw, Struct


class Author(Struct, frozen=True):
    """Who has the broker do something: a client, its token, and the entity that it acts for."""

    client: str
    token_id: str
    on_behalf_of: str | None


class TrailEntry(Struct, frozen=True):
    """One thing that was done to `subject`, a request or an entity, which made it `version`.

    `actor` is who did it as events name them; None: time did. `author` members are None where time
    or another actor of the broker's was at work.
    """

    subject: str
    version: int
    type: str
    status: str | None
    at: datetime
    actor: str | None
    client: str | None
    token_id: str | None
    on_behalf_of: str | None
    detail: Raw
