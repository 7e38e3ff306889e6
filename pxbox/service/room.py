"""How much of the process's memory large payloads may take together (X4)."""

from __future__ import annotations

from types import TracebackType

from pxbox.model.errors import Overloaded

ROOM_BYTES = 128 * 1024 * 1024
"""Counted by what is sent; while one is dealt with it takes some five times that."""


class Room:
    """A number of bytes that several share."""

    def __init__(self, most_bytes: int = ROOM_BYTES) -> None:
        self.free_bytes = most_bytes

    def hold(self, size_bytes: int = 0) -> Held:
        """Take so much of it. Raises Overloaded."""
        held = Held(self)
        held.grow(size_bytes)
        return held


class Held:
    """A share of a room, given back at the end of its `with` block or by `release`."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size_bytes = 0

    def grow(self, more_bytes: int) -> None:
        """Take more. Raises Overloaded, and holds what it held before."""
        if more_bytes > self._room.free_bytes:
            raise Overloaded("too many large payloads are under way; try again in a moment")
        self._room.free_bytes -= more_bytes
        self._size_bytes += more_bytes

    def release(self) -> None:
        """Give all of it back; idempotent."""
        self._room.free_bytes += self._size_bytes
        self._size_bytes = 0

    def __enter__(self) -> Held:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()
