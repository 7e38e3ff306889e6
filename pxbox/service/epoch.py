"""The epoch that the positions of this process are of (E4); it may change while that runs."""

from __future__ import annotations

import trio


class Epoch:
    """`name` is what positions carry; `ended` is set when another epoch has begun."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.ended = trio.Event()

    def begin(self, name: str) -> None:
        """Have what was so until now be of another epoch."""
        ended, self.ended = self.ended, trio.Event()
        self.name = name
        ended.set()
