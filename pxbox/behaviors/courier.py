"""Messages between actors, delivered until they are received (S5)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import msgspec


@dataclass(frozen=True, slots=True)
class CancelMessage:
    """Cancel: its sender needs it no more (F6). Whoever gets it receives it in a commit."""

    message: UUID
    by: str
    reason: str | None


class _Body(msgspec.Struct):
    by: str
    reason: str | None = None


def read_message(id: UUID, body: bytes) -> CancelMessage:
    """The message as its actor takes it. Raises msgspec.MsgspecError for what no actor sent."""
    read = msgspec.json.decode(body, type=_Body)
    return CancelMessage(id, read.by, read.reason)
