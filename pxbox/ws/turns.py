"""Frames about one channel take effect in the order in which they came, whatever each waits for."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio


@dataclass(frozen=True, slots=True, eq=False)
class Turn:
    """The turn of one frame. It has come when the one before it has ended."""

    channel: str | None
    before: trio.Event | None
    over: trio.Event = field(default_factory=trio.Event)

    async def come(self) -> None:
        """Wait for it."""
        if self.before is not None:
            await self.before.wait()


class Turns:
    """Gives out turns, one row of them for each channel."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: dict[str, Turn] = {}

    def next(self, channel: str | None) -> Turn:
        """The turn after all that were given out for this channel; None: it waits for none."""
        if channel is None:
            return Turn(None, None)
        before = self._last.get(channel)
        turn = self._last[channel] = Turn(channel, before.over if before else None)
        return turn

    def end(self, turn: Turn) -> None:
        """Let the next one begin; idempotent."""
        turn.over.set()
        if turn.channel is not None and self._last.get(turn.channel) is turn:
            del self._last[turn.channel]
            if not self._last:
                self._last = {}  # an emptied dict keeps the room that it had
