"""The place of a worker among several, as the broker's process sees it."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Protocol

from pxbox.listening import Share


class Berth(Protocol):
    """The place of a worker among several that one supervisor has started."""

    def listeners(self) -> list[socket.socket]: ...

    def share(self) -> Share:
        """From now on this process counts among those that accept."""
        ...

    async def run(self, figures: Callable[[], bytes]) -> None:
        """Converse with the supervisor, this process being able to serve now."""
        ...

    async def figures(self, mine: bytes) -> bytes:
        """The figures of all workers."""
        ...
