"""`pxbox watch`: what happens on a channel, a line of JSON each."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from pxbox.cli.calling import call
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.terminal import note, put
from pxbox.cli.where import NOWHERE, Where
from pxbox.client import AsyncPxBox
from pxbox.client.events import Event, Gap, Position


def watch(
    channel: str,
    /,
    *,
    since: Annotated[str | None, Parameter(metavar="N", show_default=False)] = None,
    where: Where = NOWHERE,
) -> int:
    """Print each event of a channel as a line of JSON, until Ctrl-C.

    Lost connections are resumed without a gap. A line with `gap` says that events were missed that
    are kept no more: read again what you keep.

    Parameters
    ----------
    channel
        entity:ADDRESS, request:ID or requestor:SUB.
    since
        Begin after this event: its `seq`, or EPOCH:SEQ; 0 for all that are kept. By default only
        what happens from now on.
    """
    start = None if since is None else _position(since)

    async def follow(px: AsyncPxBox) -> None:
        async with px.events(channel, since=start) as stream:
            note(f"Watching {stream.channel}. Ctrl-C ends it.")
            async for item in stream:
                put(msgspec.json.encode(_line(item)).decode())

    try:
        call(where, follow)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return Exit.DONE


def _position(text: str) -> Position | int:
    try:
        return Position.parse(text) if ":" in text else _number(text)
    except ValueError:
        raise CommandFailed(
            f"--since must be a number from 0 on, or EPOCH:SEQ, not {text[:60]!r}.",
            Exit.WRONG_CALL,
        ) from None


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise ValueError(text)
    return int(text)


def _line(item: Event | Gap) -> dict[str, object]:
    """As the broker's `event` frame; for a gap, what to go on after."""
    place = {"channel": item.channel, "seq": item.seq, "epoch": item.position.epoch}
    if isinstance(item, Gap):
        return {**place, "gap": item.reason}
    return {**place, "data": item.raw}
