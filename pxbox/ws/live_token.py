"""The tokens of live connections: their end is announced, put off by another token, and then
enforced (X1)."""

from __future__ import annotations

import math
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import trio

from pxbox.auth import Authenticator
from pxbox.auth.tokens import require_current
from pxbox.model.errors import AnotherClient
from pxbox.model.principal import Principal

# The clock of the machine decides; it may be set, and it goes on while the machine is suspended.
_LOOK_SECONDS = 300.0
# Between two looks at all connections (X4).
_PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class TokenTimes:
    """How long before a token's expiry its connection is told, and how long after it is closed."""

    notice_seconds: float = 60.0
    grace_seconds: float = 10.0


class LiveToken:
    """Who a connection acts as now, and for how long."""

    __slots__ = ("_announced", "_authenticator", "_times", "principal")

    def __init__(
        self, authenticator: Authenticator, principal: Principal, times: TokenTimes
    ) -> None:
        self.principal = principal
        self._authenticator = authenticator
        self._times = times
        self._announced = False

    def current(self) -> Principal:
        """The principal. Raises TokenExpired once its token counts no more."""
        require_current(self.principal)
        return self.principal

    async def renew(self, token: str) -> Principal:
        """Go on as who bears this token.

        Raises AnotherClient for another `sub`, and what `Authenticator.verify` raises; nothing has
        changed then.
        """
        principal = await self._authenticator.verify(token)
        if principal.sub != self.principal.sub:
            raise AnotherClient("the new token has another `sub` than this connection's")
        self.principal = principal
        self._announced = False
        return principal

    def next_look(self) -> float:
        """When something is due of it, as POSIX time."""
        if self.principal.expires_at is None:
            return math.inf
        expiry = self.principal.expires_at.timestamp()
        times = self._times
        return expiry + times.grace_seconds if self._announced else expiry - times.notice_seconds

    def look(self, now: float, bearer: Bearer) -> None:
        """Tell `bearer` what is due of it."""
        while now >= self.next_look():
            if self._announced:
                bearer.expire()
                return
            self._announced = True
            assert self.principal.expires_at is not None
            bearer.announce_expiry(self.principal.expires_at)


class Bearer(Protocol):
    """A connection that lives as long as its token. Neither call may wait or raise."""

    @property
    def token(self) -> LiveToken: ...

    def announce_expiry(self, at: datetime) -> None: ...

    def expire(self) -> None:
        """Its time is over; it may be told more than once."""
        ...


class Expiries:
    """Looks after the tokens of all connections: a task of its own for each would take more memory
    than all else of a connection that is idle."""

    def __init__(self, bearers: Collection[Bearer]) -> None:
        self._bearers = bearers
        self._next = math.inf
        self._sooner = trio.Event()

    def note(self, token: LiveToken) -> None:
        """This one has come, or was renewed."""
        if token.next_look() < self._next:
            self._next = token.next_look()
            self._sooner.set()

    async def run(self) -> None:
        """Look whenever something is due, until cancelled."""
        while True:
            self._sooner = trio.Event()
            now = time.time()
            self._next = self._look(now)
            with trio.move_on_after(min(self._next - now, _LOOK_SECONDS)):
                await self._sooner.wait()
            await trio.sleep(_PAUSE_SECONDS)

    def _look(self, now: float) -> float:
        """When to look again."""
        soonest = math.inf
        for bearer in list(self._bearers):
            bearer.token.look(now, bearer)
            due = bearer.token.next_look()
            if now < due < soonest:
                soonest = due
        return soonest
