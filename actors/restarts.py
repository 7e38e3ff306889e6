"""How often an actor may crash before it is left alone for a while (A4)."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass

from actors.address import Address


@dataclass(frozen=True, slots=True)
class RestartLimit:
    """More than `crashes` of one address within `window_seconds` make it fail at once.

    Only the `tracked` addresses that crashed last are remembered: past that the oldest is
    forgiven early, so that memory stays bounded whatever crashes.
    """

    crashes: int = 5
    window_seconds: float = 10.0
    tracked: int = 1024

    def __post_init__(self) -> None:
        if self.crashes < 0 or not self.window_seconds > 0 or self.tracked < 1:
            raise ValueError(f"impossible restart limit: {self}")


class Restarts:
    """The recent crashes of each address, and what follows from them."""

    def __init__(self, limit: RestartLimit) -> None:
        self._limit = limit
        # In the order of the last crash, so that what can be forgotten is in front.
        self._recent: OrderedDict[Address, deque[float]] = OrderedDict()

    def __bool__(self) -> bool:
        """Whether any crash is remembered."""
        return bool(self._recent)

    def __len__(self) -> int:
        """How many addresses are remembered; at most `tracked`."""
        return len(self._recent)

    def note(self, address: Address, now: float) -> None:
        """Remember that `address` crashed at `now`, in seconds of a clock that never goes back."""
        times = self._recent.get(address)
        if times is None:
            times = self._recent[address] = deque(maxlen=self._limit.crashes + 1)
        times.append(now)
        self._recent.move_to_end(address)
        self._forget(now)

    def retry_after(self, address: Address, now: float) -> float:
        """Return for how many seconds from `now` nothing is to be tried; 0 if it may be."""
        times = self._recent.get(address)
        if times is None or len(times) <= self._limit.crashes:
            return 0.0
        return max(0.0, times[0] + self._limit.window_seconds - now)

    def _forget(self, now: float) -> None:
        past = now - self._limit.window_seconds
        while self._recent:
            times = next(iter(self._recent.values()))
            if times[-1] > past and len(self._recent) <= self._limit.tracked:
                return
            self._recent.popitem(last=False)
