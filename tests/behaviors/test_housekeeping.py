"""Housekeeping goes on until nothing is left, and over failures."""

from __future__ import annotations

import trio
import trio.testing

from pxbox.behaviors.housekeeping import MOST_AT_ONCE, PAUSE_SECONDS, purge_at_times


async def test_it_purges_until_less_than_it_may_is_left_and_survives_failures(
    autojump_clock: trio.testing.MockClock,
) -> None:
    left = [2 * MOST_AT_ONCE + 5]
    failures: list[Exception] = []
    calls = 0

    async def purge(most: int) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("away")
        gone = min(most, left[0])
        left[0] -= gone
        return gone

    with trio.move_on_after(4 * PAUSE_SECONDS):
        await purge_at_times(purge, failures.append)
    assert left == [0]
    assert [str(failure) for failure in failures] == ["away"]
