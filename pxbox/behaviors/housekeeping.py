"""What is kept for a time only is deleted when that is over, a little at a time."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import trio

PAUSE_SECONDS = 600.0
MOST_AT_ONCE = 2_000
MOST_EVENTS_AT_ONCE = 500
"""Fewer: the counters of their channels are locked meanwhile, and commits wait for those."""


async def purge_at_times(
    purge: Callable[[int], Awaitable[int]],
    on_failure: Callable[[Exception], None],
    most: int = MOST_AT_ONCE,
) -> None:
    """Call `purge(most)` every ten minutes or so until it deletes less than it may; never ends.

    Every process does it, not in step with the others: what one has deleted the next one skips.
    """
    while True:
        await trio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))
        try:
            while await purge(most) == most:
                await trio.lowlevel.checkpoint()
        except Exception as error:
            on_failure(error)
