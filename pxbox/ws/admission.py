"""How many WebSockets are taken in, and how fast: a storm of reconnects is told when to come.

Some handshakes are served in each pass of the event loop, in the order of their coming, so that
the pace is what the broker can do with all else it has to do, and nobody waits for more than those
few. A pace by the clock was tried: too high a one has everybody wait, and a lower one, taken while
turns came late, kept clients waiting for nothing.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil

import trio

from pxbox.model.errors import Overloaded, PxError, TooManyConnections

_FULL_SECONDS = (5, 30)
# How much the newest pass counts in what one is taken to last, and how much longer it is believed
# to have been than those before: a machine may stand still for a moment.
_NEWEST_PART = 0.05
_MOST_LONGER = 4.0


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """`per_client`: WebSockets of one `sub`. So many handshakes are served `per_pass` of the event
    loop; one waits for its turn where that is likely to come within `patience_seconds`, others are
    refused. Until more is known, `per_second` are taken to be served."""

    per_client: int = 1000
    per_pass: int = 4
    per_second: float = 400.0
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
        self,
        limits: AdmissionLimits,
        jitter: Callable[[float, float], float] = random.uniform,
        pass_over: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint,
    ) -> None:
        """`pass_over` waits until the event loop has been everywhere once more."""
        self._limits = limits
        self._jitter = jitter
        self._pass_over = pass_over
        self._open: Counter[str] = Counter()
        self._waiting: OrderedDict[trio.Event, None] = OrderedDict()
        self._came = trio.Event()
        self._interval = 1 / limits.per_second  # from one turn to the next, while there is a storm
        self._promised = float("-inf")

    async def turn(self) -> None:
        """Wait for one's turn, which `run` gives. Raises Refused at once where that is far."""
        wait_seconds = len(self._waiting) * self._interval
        if wait_seconds > self._limits.patience_seconds:
            raise Refused(
                Overloaded("too many connect at once; try again after Retry-After"),
                self._promise(wait_seconds),
            )
        mine = trio.Event()
        self._waiting[mine] = None
        self._came.set()
        try:
            await mine.wait()
        finally:
            self._waiting.pop(mine, None)

    async def run(self) -> None:
        """Give turns, until cancelled."""
        while True:
            if not self._waiting:
                self._came = trio.Event()
                await self._came.wait()
            began = trio.current_time()
            for _ in range(min(self._limits.per_pass, len(self._waiting))):
                self._waiting.popitem(last=False)[0].set()
            await self._pass_over()
            # Only where others wait does a pass tell how many can be served.
            if self._waiting:
                took = (trio.current_time() - began) / self._limits.per_pass
                longer = min(took, self._interval * _MOST_LONGER) - self._interval
                self._interval += longer * _NEWEST_PART

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

    def _promise(self, wait_seconds: float) -> int:
        """When one who is refused now comes early enough to be taken in, and late enough not to
        meet those who were refused before."""
        now = trio.current_time()
        self._promised = max(self._promised, now + wait_seconds) + self._interval
        later = self._promised - now
        return ceil(self._jitter(later, later * 1.5))
