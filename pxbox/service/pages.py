"""Pages of channels for those who catch up: read once for all who come for the same one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import trio

from pxbox.behaviors.channel import PAGE, Events
from pxbox.model.channel import Several

KEPT_BYTES = 8 * 1024 * 1024
PIECE_BYTES = 64 * 1024
"""So much of a page is sent at a time."""


@dataclass(frozen=True, slots=True)
class Page:
    """Events that follow each other, as they are sent: from number `first` to `last`, in pieces of
    at most `PIECE_BYTES` or one event. What all readers get is joined once for all of them."""

    first: int
    last: int
    pieces: list[Several]


class Pages:
    """After a broker has restarted, all of a channel's readers ask for the same events at once.

    Events never change within an epoch, so that a page can be given for as long as it is kept.
    """

    def __init__(self, events: Events, kept_bytes: int = KEPT_BYTES) -> None:
        self._events = events
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[tuple[str, str, int], Page] = OrderedDict()
        self._size_bytes = 0
        self._reading: dict[tuple[str, str, int], trio.Event] = {}

    async def read(self, epoch: str, channel: str, after: int) -> Page:
        """Events of the channel after `after`, without a gap between them; at most a page.

        Empty where there are none. The first has a greater number than `after + 1` where retention
        has removed that one. Raises LogUnavailable.
        """
        key = (epoch, channel, after)
        if key in self._reading:
            await self._reading[key].wait()
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        if key in self._reading:
            return await self._read(channel, after)
        read = self._reading[key] = trio.Event()
        try:
            page = await self._read(channel, after)
            if page.pieces:
                self._keep(key, page)
            return page
        finally:
            del self._reading[key]
            read.set()

    async def _read(self, channel: str, after: int) -> Page:
        entries = await self._events.read(channel, after, PAGE)
        frames = [self._events.encode(channel, entry) for entry in entries]
        first = entries[0].seq if entries else after + 1
        return Page(first, first + len(frames) - 1, [Several(piece) for piece in _pieces(frames)])

    def _keep(self, key: tuple[str, str, int], page: Page) -> None:
        self._kept[key] = page
        self._size_bytes += _size(page)
        while self._size_bytes > self._kept_bytes:
            _, oldest = self._kept.popitem(last=False)
            self._size_bytes -= _size(oldest)


def _pieces(frames: list[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size_bytes = 0
    for frame in frames:
        if piece and size_bytes + len(frame) > PIECE_BYTES:
            yield piece
            piece, size_bytes = [], 0
        piece.append(frame)
        size_bytes += len(frame)
    if piece:
        yield piece


def _size(page: Page) -> int:
    # What a frame costs beside its bytes, and a page beside its frames. They are there twice: as
    # they are, and joined.
    return 256 + sum(2 * len(frame) + 64 for piece in page.pieces for frame in piece.encoded)
