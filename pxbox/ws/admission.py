"""How many WebSockets are taken in, and how fast: a storm of reconnects is told when to come."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

import trio

from pxbox.model.errors import Overloaded, PxError, TooManyConnections

_FULL_SECONDS = (5, 30)
# Whoever comes to his turn so late, though he waited for nothing else, has met a busy broker.
_BUSY_SECONDS = 0.05
_SLOWER, _FASTER = 1.5, 0.98


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """`per_client`: WebSockets of one `sub`. `per_second` handshakes are taken in, after a burst
    of `at_once`, and down to `least_per_second` while the broker is busy; one waits for its turn up
    to `patience_seconds`, others are refused."""

    per_client: int = 1000
    per_second: float = 400.0
    least_per_second: float = 50.0
    at_once: int = 50
    patience_seconds: float = 3.0


class Refused(Exception):
    """This connection is not taken in now; `retry_seconds`: when to try again."""

    def __init__(self, error: PxError, retry_seconds: int) -> None:
        super().__init__(error.detail)
        self.error = error
        self.retry_seconds = retry_seconds


class Place:
    """One of the connections that a client has open, until it is left."""

    __slots__ = ("_client", "_open")

    def __init__(self, open_: Counter[str], client: str) -> None:
        self._open = open_
        self._client = client
        open_[client] += 1

    def __enter__(self) -> None:
        return

    def __exit__(self, *exc_info: object) -> None:
        self._open[self._client] -= 1
        if not self._open[self._client]:
            del self._open[self._client]


class Admission:
    """Takes in the connections of one process."""

    def __init__(
        self, limits: AdmissionLimits, jitter: Callable[[float, float], float] = random.uniform
    ) -> None:
        self._limits = limits
        self._jitter = jitter
        self._open: Counter[str] = Counter()
        self._interval = 1 / limits.per_second
        self._next = self._promised = float("-inf")

    async def turn(self) -> None:
        """Wait for one's turn to be looked at. Raises Refused at once where that is too far."""
        now = trio.current_time()
        limits = self._limits
        turn = max(self._next, now - limits.at_once * self._interval) + self._interval
        if turn - now > limits.patience_seconds:
            raise Refused(
                Overloaded("too many connect at once; try again after Retry-After"),
                self._promise(now),
            )
        self._next = turn
        await trio.sleep_until(max(now, turn))
        self._adapt(trio.current_time() - max(now, turn))

    def place(self, client: str) -> Place:
        """A place for a connection of this client (`sub`), to be left by `with`. Raises
        Refused."""
        if self._open[client] >= self._limits.per_client:
            raise Refused(
                TooManyConnections(
                    f"this client has {self._limits.per_client} WebSockets open here, which is as "
                    "many as one may have"
                ),
                ceil(self._jitter(*_FULL_SECONDS)),
            )
        return Place(self._open, client)

    def _adapt(self, late_seconds: float) -> None:
        limits = self._limits
        if late_seconds > _BUSY_SECONDS:
            self._interval = min(self._interval * _SLOWER, 1 / limits.least_per_second)
        else:
            self._interval = max(self._interval * _FASTER, 1 / limits.per_second)

    def _promise(self, now: float) -> int:
        """When one who is refused now comes early enough to be taken in, and late enough not to
        meet those who were refused before."""
        self._promised = max(self._promised, self._next) + self._interval
        later = self._promised - now
        return ceil(self._jitter(later, later * 1.5))
