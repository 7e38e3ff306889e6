"""How a connection does not come about, and how one ends."""

from __future__ import annotations

from pxbox.client.rest import Answered


class Refused(Exception):
    """The handshake was answered by something other than a WebSocket."""

    def __init__(self, answered: Answered) -> None:
        super().__init__(f"the handshake was answered with {answered.status}")
        self.answered = answered


class Closed(Exception):
    """The connection has ended; `code` is the peer's, 1006 where it gave none."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"the connection was closed with {code} {reason}".rstrip())
        self.code = code
        self.reason = reason
