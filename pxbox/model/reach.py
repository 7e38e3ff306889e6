"""How far a request has got to those who are asked."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum

from msgspec import Struct


class Reach(IntEnum):
    """Each includes those before it."""

    NONE = 0
    NOTIFIED = 1
    SEEN = 2
    OPENED = 3


class Delivery(Struct, frozen=True, rename="camel"):
    """Since when; None: not yet, as far as is known."""

    notified_at: datetime | None = None
    seen_at: datetime | None = None
    opened_at: datetime | None = None

    @property
    def reach(self) -> Reach:
        times = (self.notified_at, self.seen_at, self.opened_at)
        return max((Reach(n) for n, at in enumerate(times, 1) if at), default=Reach.NONE)
