"""A request's channel read over REST: one long poll after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pxbox.client import timing
from pxbox.client.events import Position
from pxbox.client.rest import Prefer
from pxbox.model import wire

if TYPE_CHECKING:
    from pxbox.client.link import Link


async def read_page(link: Link, request_id: str, since: int, wait: bool) -> wire.EventPage:
    """The events after `since`; `wait` for one if there is none yet. Raises PxBoxErrors, and
    Transient."""
    input = msgspec.json.encode({"id": request_id, "since": since, "limit": 200})
    prefer = Prefer(timing.POLL_SECONDS) if wait else None
    reply = await link.rest("listRequestEvents", input, None, prefer)
    return msgspec.json.decode(reply, type=wire.EventPage)


def missed(page: wire.EventPage, position: Position) -> str | None:
    """Why the page does not go on from `position`; None where it does."""
    if page.epoch != position.epoch:
        return "epoch"
    if position.seq < page.floor:
        return "trimmed"
    return "future" if position.seq > page.head else None
