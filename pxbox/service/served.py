"""Which workers' sessions have a connection to this broker, and an ear for their work (F4)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from pxbox.domain.routing import work_channel
from pxbox.service.channels import Channels, Ear


class Line(Protocol):
    """A connection that lasts, such as a WebSocket; or for want of that one call."""

    @property
    def open(self) -> bool:
        """Is anybody there still?"""
        ...


@dataclass(slots=True)
class _Presence:
    line: Line
    ear: Ear | None = None


class Served:
    """Sessions, by the connection that their worker's last command came by."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        self._presences: dict[str, _Presence] = {}
        self._sessions: dict[Line, set[str]] = {}

    async def begin(self, session: str, line: Line) -> bool:
        """Its worker is there; False: that is known."""
        before = self._presences.get(session)
        if before is not None and before.line is line:
            return False
        # Both without a pause between them: another command may begin the same.
        gone = self._taken_out(session)
        self._presences[session] = _Presence(line)
        self._sessions.setdefault(line, set()).add(session)
        if gone is not None:
            await gone.aclose()
        return True

    def knows(self, session: str) -> bool:
        """Is its worker there by any connection?"""
        return session in self._presences

    def serves(self, session: str, line: Line) -> bool:
        """Is its worker there, by this connection?"""
        return line.open and self._of(session, line)

    def has(self, line: Line) -> bool:
        """Has any worker come by this connection?"""
        return line in self._sessions

    async def ear(self, session: str, kinds: Iterable[str]) -> Ear:
        """What hears that flows of these kinds may wait for a worker, as long as this one is there.
        Raises what `Channels.listen` raises."""
        presence = self._presences[session]
        if presence.ear is None:
            ear = await self._channels.listen([work_channel(kind) for kind in kinds])
            # There may be something already.
            ear.came.set()
            if presence.ear is None and self._presences.get(session) is presence:
                presence.ear = ear
            else:
                await ear.aclose()
        return presence.ear or ear

    async def forget(self, session: str) -> None:
        """It has ended."""
        gone = self._taken_out(session)
        if gone is not None:
            await gone.aclose()

    async def end(self, line: Line) -> list[str]:
        """The connection is closed; whose it was."""
        sessions = sorted(self._sessions.get(line, ()))
        for session in sessions:
            if self._of(session, line):
                await self.forget(session)
        return sessions

    def _of(self, session: str, line: Line) -> bool:
        presence = self._presences.get(session)
        return presence is not None and presence.line is line

    def _taken_out(self, session: str) -> Ear | None:
        """It is not there any more; the ear that it had is to be closed."""
        presence = self._presences.pop(session, None)
        if presence is None:
            return None
        of_line = self._sessions[presence.line]
        of_line.discard(session)
        if not of_line:
            del self._sessions[presence.line]
        return presence.ear
