"""The token of one live connection: its end is announced, put off by another token, and then
enforced (X1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import trio

from pxbox.auth import Authenticator
from pxbox.auth.tokens import require_current
from pxbox.model.errors import AnotherClient
from pxbox.model.principal import Principal

# The clock of the machine decides; it may be set, and it goes on while the machine is suspended.
_LOOK_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class TokenTimes:
    """How long before a token's expiry its connection is told, and how long after it is closed."""

    notice_seconds: float = 60.0
    grace_seconds: float = 10.0


class LiveToken:
    """Who a connection acts as now, and for how long."""

    def __init__(
        self, authenticator: Authenticator, principal: Principal, times: TokenTimes
    ) -> None:
        self.principal = principal
        self._authenticator = authenticator
        self._times = times
        self._renewed = trio.Event()

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
        self._renewed.set()
        return principal

    async def run_out(self, announce: Callable[[datetime], None]) -> None:
        """Return once the token has expired and its grace is over; each token's end is announced
        before. A new one, come in time, begins it all anew."""
        while True:
            self._renewed = trio.Event()
            expiry = self.principal.expires_at
            if expiry is None:
                await self._renewed.wait()
            elif not await self._renewed_by(expiry, -self._times.notice_seconds):
                announce(expiry)
                if not await self._renewed_by(expiry, self._times.grace_seconds):
                    return

    async def _renewed_by(self, expiry: datetime, seconds_after: float) -> bool:
        """Whether another token comes before this many seconds after the expiry."""
        while (left := (expiry - datetime.now(UTC)).total_seconds() + seconds_after) > 0:
            with trio.move_on_after(min(left, _LOOK_SECONDS)):
                await self._renewed.wait()
                return True
        return False
