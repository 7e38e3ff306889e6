"""When the askers that wait give up.

A cancel scope per ask would do the same and cost more than the rest of the ask (11 to 18 of
some 40 microseconds, trio 0.35): so one task times all of them out, from this heap.
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush

from actors.mailbox import Letter

COMPACT_ABOVE = 256


class Deadlines:
    """The letters that somebody waits for, by the time at which they stop waiting."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Letter]] = []
        self._count = 0
        self._waiting = 0

    def __len__(self) -> int:
        """How many entries are held: those waited for, and at most as many that no longer are."""
        return len(self._heap)

    def add(self, letter: Letter, at: float) -> None:
        """Wake whoever waits for `letter` at time `at`, unless it was removed before."""
        self._count += 1  # breaks ties: letters have no order
        self._waiting += 1
        heappush(self._heap, (at, self._count, letter))

    def remove(self) -> None:
        """Nobody waits any longer for one of the letters added; its `waiter` is None.

        Most asks end long before their deadline. Their entries stay, until they are as many as
        the others, for taking one out of the middle of a heap costs a walk through it.
        """
        self._waiting -= 1
        if len(self._heap) > COMPACT_ABOVE and len(self._heap) > 2 * self._waiting:
            self._heap = [entry for entry in self._heap if entry[2].waiter is not None]
            heapify(self._heap)

    def next(self) -> float:
        """Return the time of the first deadline that still matters; infinity if none does."""
        heap = self._heap
        while heap and heap[0][2].waiter is None:
            heappop(heap)
        return heap[0][0] if heap else math.inf

    def fire(self, now: float) -> None:
        """Wake everybody whose deadline is `now` or earlier."""
        while self.next() <= now:
            heappop(self._heap)[2].wake()
