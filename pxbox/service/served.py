"""Which workers' sessions have a connection to this broker, and an ear for their work (F4)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass

from pxbox.domain.routing import work_channel
from pxbox.service.channels import Channels, Ear

Line = Hashable
"""A connection that lasts, such as a WebSocket; or for want of that one call."""


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
        if self.serves(session, line):
            return False
        await self.forget(session)
        self._presences[session] = _Presence(line)
        self._sessions.setdefault(line, set()).add(session)
        return True

    def serves(self, session: str, line: Line) -> bool:
        """Is its worker there by this connection?"""
        presence = self._presences.get(session)
        return presence is not None and presence.line is line

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
        """It has ended, or its worker comes by another connection."""
        presence = self._presences.pop(session, None)
        if presence is None:
            return
        of_line = self._sessions[presence.line]
        of_line.discard(session)
        if not of_line:
            del self._sessions[presence.line]
        if presence.ear is not None:
            await presence.ear.aclose()

    async def end(self, line: Line) -> list[str]:
        """The connection is closed; whose it was."""
        sessions = sorted(self._sessions.get(line, ()))
        for session in sessions:
            if self.serves(session, line):
                await self.forget(session)
        return sessions
