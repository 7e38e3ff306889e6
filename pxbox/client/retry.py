"""When a call is repeated, and how long is waited before."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from pxbox.client.errors import PxBoxError, from_problem

FIRST_SECONDS = 0.25
MOST_SECONDS = 15.0
# Nobody is waited for longer than this, whatever a gateway asks for.
MOST_RETRY_AFTER_SECONDS = 120.0

TRANSIENT = frozenset({408, 423, 425, 429, 500, 502, 503, 504})


class Transient(Exception):
    """This try failed, and another one may succeed; `error` is what to raise if none is made.

    `after` is how many seconds the broker wants to be left alone, 0 where it did not say.
    """

    def __init__(self, error: PxBoxError, after: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


class Backoff:
    """Doubling waits with full jitter, so that many clients do not come back at once."""

    def __init__(self, first: float = FIRST_SECONDS, most: float = MOST_SECONDS) -> None:
        self._first = first
        self._most = most
        self.tries = 0

    def reset(self) -> None:
        """It worked: the next wait is a short one again."""
        self.tries = 0

    def next(self, at_least: float = 0.0) -> float:
        """How many seconds to wait now."""
        # Bounded: 2.0 ** 1024 overflows, after a month of trying.
        longest = min(self._most, self._first * 2.0 ** min(self.tries, 32))
        self.tries += 1
        return at_least + random.uniform(0.0, longest)


def judge(status: int, problem: Mapping[str, object], retry_after: str | None = None) -> Exception:
    """A refusal as what to raise: Transient where repeating may help, else a PxBoxError.

    A problem of the broker's says itself whether it may be repeated; the rest, from whatever
    stands between, goes by its status. `not_answered` and `claimed_by_other` may change too, but
    only by what people do: that is for the caller to wait for.
    """
    error = from_problem(problem)
    known = problem.get("retryable")
    transient = status in TRANSIENT and (known is None or bool(known))
    return Transient(error, seconds_of(retry_after)) if transient else error


def seconds_of(retry_after: str | None) -> float:
    """`Retry-After` in seconds from now, 0 where there is none that can be read (RFC 9110)."""
    if not retry_after:
        return 0.0
    try:
        wanted = float(retry_after)
    except ValueError:
        try:
            at = parsedate_to_datetime(retry_after)
        except ValueError:
            return 0.0
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        wanted = (at - datetime.now(UTC)).total_seconds()
    return min(max(0.0, wanted), MOST_RETRY_AFTER_SECONDS)
