"""What one responder has made of one inquiry: read it, put it off, thrown it away."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct


class Mark(Struct, frozen=True):
    """Version 0 is what was never touched: unread and in sight. Nobody else is concerned by it."""

    request_id: str
    entity_id: str
    version: int = 0
    read: bool = False
    snoozed_until: datetime | None = None
    deleted: bool = False

    @property
    def id(self) -> str:
        """The id of its row."""
        return f"{self.request_id}:{self.entity_id}"
