"""Telling crowds: many readers of one channel are told of several events at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

import trio

from pxbox.ports import Entry

Tell = Callable[[str, list[Entry]], None]

# Each reader costs a system call, however many events it is told of. So a channel that has just
# told many gathers what comes, until telling them has taken an eighth of the time, ...
SHARE = 8
# ... but not for longer than nobody notices, and not where they are few.
LONGEST_SECONDS = 0.05
SHORTEST_SECONDS = 0.005


@dataclass(slots=True)
class _Rest:
    until: float
    gathered: list[Entry] = field(default_factory=list)


class Crowds:
    """Passes on what was committed, each channel's in its order, to `tell`: at once, or a moment
    later where telling takes long. `tell` must not block or raise; `clock` is what it is timed by.
    """

    def __init__(self, tell: Tell, clock: Callable[[], float] = time.perf_counter) -> None:
        self._tell = tell
        self._clock = clock
        self._resting: dict[str, _Rest] = {}
        self._nap = trio.CancelScope()

    def tell(self, channel: str, entries: list[Entry]) -> None:
        rest = self._resting.get(channel)
        if rest is None:
            self._tell_now(channel, entries)
        else:
            rest.gathered += entries

    def forget(self) -> None:
        """What was gathered is of an epoch that is over (E4)."""
        self._resting.clear()

    async def run(self) -> None:
        """Tell in time what was gathered, until cancelled."""
        while True:
            at = min((rest.until for rest in self._resting.values()), default=inf)
            with trio.CancelScope(deadline=at) as self._nap:
                await trio.sleep_forever()
            now = trio.current_time()
            for channel in [name for name, rest in self._resting.items() if rest.until <= now]:
                rest = self._resting.pop(channel)
                if rest.gathered:
                    self._tell_now(channel, rest.gathered)

    def _tell_now(self, channel: str, entries: list[Entry]) -> None:
        begun = self._clock()
        self._tell(channel, entries)
        seconds = min((self._clock() - begun) * (SHARE - 1), LONGEST_SECONDS)
        if seconds > SHORTEST_SECONDS:
            until = trio.current_time() + seconds
            self._resting[channel] = _Rest(until)
            self._nap.deadline = min(self._nap.deadline, until)
