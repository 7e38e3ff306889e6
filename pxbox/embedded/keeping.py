"""A server that dies while its broker lives is started again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio

from pxbox.embedded.errors import ServerFailed, unusable
from pxbox.embedded.server import Server
from pxbox.observe import Log

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 10.0
# Whoever has lived so long has not died of its start: the next pause is a short one again.
STEADY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Loss:
    """A server that was to run has ended, or could not be started again.

    `failures` counts those since it last ran for a while, `retry_seconds` is the pause before the
    next try; `error` says why it could not be started, None if it ran.
    """

    server: str
    failures: int
    retry_seconds: float
    error: str | None


OnLoss = Callable[[Loss], None]


def logged(log: Log) -> OnLoss:
    """Have it in the log."""

    def lost(loss: Loss) -> None:
        log.error("embedded server lost", server=loss.server, failures=loss.failures,
                  retry_seconds=loss.retry_seconds, error=loss.error)  # fmt: skip

    return lost


class Pauses:
    """The pauses before a thing that failed is tried again: each twice the one before."""

    def __init__(self, first: float, longest: float, steady: float) -> None:
        self.failures = 0
        self._first = first
        self._longest = longest
        self._steady = steady

    def after(self, lived_seconds: float) -> float:
        """It has failed once more, having lived for so long."""
        self.failures = 1 if lived_seconds >= self._steady else self.failures + 1
        # Past 2 ** 20 every pause is the longest.
        return min(self._first * float(2 ** min(self.failures - 1, 20)), self._longest)


async def keep(server: Server, start: Callable[[], Awaitable[str]], on_loss: OnLoss) -> None:
    """Start a running server again whenever it ends, until cancelled."""
    pauses = Pauses(FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, STEADY_SECONDS)
    error: str | None = None
    while True:
        began = trio.current_time()
        if error is None:
            await server.ended()
        pause = pauses.after(trio.current_time() - began)
        on_loss(Loss(server.program.name, pauses.failures, pause, error))
        await trio.sleep(pause)
        error = await _why_not(server, start)


async def _why_not(server: Server, start: Callable[[], Awaitable[str]]) -> str | None:
    """Start it; why that cannot be done, None if it runs."""
    try:
        await start()
    except ServerFailed as failed:
        return str(failed)
    except OSError as failed:
        return str(unusable(server.program.home, failed))
    return None
