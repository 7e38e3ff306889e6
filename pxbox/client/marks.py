"""`px.marks`: what a responder does in its own inbox. Its other clients hear of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from pxbox.model import wire

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox

Action = Literal["markRead", "markUnread", "snooze", "wake", "delete", "restore"]


class Marks:
    """Of the entity that the client acts as; each can be repeated. Raises NotFound for what is not
    in its inbox."""

    def __init__(self, px: AsyncPxBox) -> None:
        self._px = px

    async def read(self, id: str) -> wire.InquiryState:
        """Mark it as read."""
        return await self._do("markRead", id)

    async def unread(self, id: str) -> wire.InquiryState:
        return await self._do("markUnread", id)

    async def snooze(self, id: str, until: datetime | timedelta) -> wire.InquiryState:
        """Out of sight until then, when a reminder comes. Raises ValidationFailed for a time after
        the deadline."""
        input = {"id": id, "remindAt": _moment(until)}
        return await self._px.carry_out("snooze", input, wire.InquiryState)

    async def wake(self, id: str) -> wire.InquiryState:
        """Have it in sight again before its time."""
        return await self._do("wake", id)

    async def delete(self, id: str) -> wire.InquiryState:
        """Throw it out of the inbox, until it is restored."""
        return await self._do("deleteInquiry", id)

    async def restore(self, id: str) -> wire.InquiryState:
        return await self._do("restoreInquiry", id)

    async def update(
        self, action: Action, ids: Sequence[str], until: datetime | timedelta | None = None
    ) -> wire.InquiriesUpdated:
        """Do the same to up to 1,000; each has its own outcome. `until` comes with `snooze`."""
        input = {"action": action, "ids": list(ids)}
        more = {} if until is None else {"remindAt": _moment(until)}
        return await self._px.carry_out("updateInquiries", input | more, wire.InquiriesUpdated)

    async def _do(self, op: str, id: str) -> wire.InquiryState:
        return await self._px.carry_out(op, {"id": id}, wire.InquiryState)


def _moment(until: datetime | timedelta) -> datetime:
    return datetime.now(UTC) + until if isinstance(until, timedelta) else until
