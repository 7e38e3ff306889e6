"""Frames about one channel take effect in the order in which they came, whatever each waits for."""

from __future__ import annotations

import trio


class Turn:
    """The turn of one frame. It has come when the one before it has ended."""

    def __init__(self, before: trio.Event | None) -> None:
        self._before = before
        self.over = trio.Event()

    async def come(self) -> None:
        """Wait for it."""
        if self._before is not None:
            await self._before.wait()

    def end(self) -> None:
        """Let the next one begin; idempotent."""
        self.over.set()


class Turns:
    """Gives out turns, one row of them for each channel."""

    def __init__(self) -> None:
        self._last: dict[str, Turn] = {}

    def next(self, channel: str | None) -> Turn:
        """The turn after all that were given out for this channel; None: it waits for none."""
        if channel is None:
            return Turn(None)
        self._last = {name: turn for name, turn in self._last.items() if not turn.over.is_set()}
        before = self._last.get(channel)
        turn = Turn(before.over if before else None)
        self._last[channel] = turn
        return turn
