"""Which workers' sessions have a connection to this broker (F4)."""

from __future__ import annotations

from collections.abc import Hashable

Line = Hashable
"""A connection that lasts, such as a WebSocket."""


class Served:
    """Sessions, by the connection that their worker's last command came by."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._sessions: dict[Line, set[str]] = {}

    def begin(self, session: str, line: Line) -> bool:
        """Its worker is there; False: that is known."""
        before = self._lines.get(session)
        if before == line:
            return False
        if before is not None:
            self._drop(session, before)
        self._lines[session] = line
        self._sessions.setdefault(line, set()).add(session)
        return True

    def has(self, line: Line) -> bool:
        """Has any worker come by this connection?"""
        return line in self._sessions

    def forget(self, session: str) -> None:
        """It has ended."""
        line = self._lines.pop(session, None)
        if line is not None:
            self._drop(session, line)

    def end(self, line: Line) -> list[str]:
        """The connection is closed; whose it was."""
        sessions = sorted(self._sessions.pop(line, ()))
        for session in sessions:
            del self._lines[session]
        return sessions

    def _drop(self, session: str, line: Line) -> None:
        of_line = self._sessions[line]
        of_line.discard(session)
        if not of_line:
            del self._sessions[line]
