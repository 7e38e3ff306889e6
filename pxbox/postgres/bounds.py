"""The bounds of channels, read for all who ask at once in one query: reconnects come in storms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from pxbox.model.channel import Bounds

ReadBounds = Callable[[Sequence[str]], Awaitable[dict[str, Bounds]]]
"""Reads the bounds of these channels; those that it does not give have no event yet."""


class BoundsReader:
    """One query at a time; who comes meanwhile shares the next one, which begins after they came:
    an answer is never older than its question."""

    def __init__(self, read: ReadBounds) -> None:
        self._read = read
        self._turn = trio.Lock()
        self._next: _Batch | None = None

    async def bounds(self, channel: str) -> Bounds:
        """The channel's bounds as of after this call. Raises what the query raises."""
        while True:
            if self._next is None:
                batch = self._next = _Batch(channel)
                await self._lead(batch)
            else:
                batch = self._next
                batch.channels.add(channel)
                await batch.over.wait()
            if batch.error is not None:
                raise batch.error
            if batch.found is not None:
                return batch.found.get(channel, Bounds(0, 0))
            # Whoever was to read for all of them was cancelled.

    async def _lead(self, batch: _Batch) -> None:
        try:
            async with self._turn:
                self._next = None
                batch.found = await self._read(list(batch.channels))
        except Exception as error:
            batch.error = error
        finally:
            if self._next is batch:
                self._next = None
            batch.over.set()


class _Batch:
    def __init__(self, channel: str) -> None:
        self.channels = {channel}
        self.over = trio.Event()
        self.found: dict[str, Bounds] | None = None
        self.error: Exception | None = None
