"""What one peer, and all peers together, may take at the edge (X4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from pxbox.ws.handover import WebSocketLimits


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """Bounds of the listener and of a connection while it speaks HTTP. Times are in seconds.

    `payload_bytes` bounds a body where the host says that it carries a payload, `file_bytes` where
    it is a file, `body_bytes` any other.

    `head_seconds` counts from a head's first byte; `idle_seconds` is how long a connection may
    wait for one. A body has `body_seconds`, and a second more for every
    `body_bytes_per_second` that it announces. `stall_seconds`: how long a peer may read nothing
    of what it is sent. `linger_*`: what a refused peer may still send, so that it sees why.
    `grace_seconds`: from the start of draining to the cut; `drain_stall_seconds`: the same as
    `stall_seconds`, while draining.
    """

    connections: int = 10_000
    head_bytes: int = 32 * 1024
    head_lines: int = 200
    head_seconds: float = 10.0
    idle_seconds: float = 75.0
    body_bytes: int = 1024 * 1024
    payload_bytes: int = 16 * 1024 * 1024
    file_bytes: int = 5 * 1024 * 1024 * 1024
    body_chunks: int = 8192
    body_seconds: float = 30.0
    body_bytes_per_second: int = 32 * 1024
    stall_seconds: float = 30.0
    linger_seconds: float = 2.0
    linger_bytes: int = 1024 * 1024
    grace_seconds: float = 20.0
    drain_stall_seconds: float = 2.0
    websocket: WebSocketLimits = field(default_factory=WebSocketLimits)

    def patience_for_body(self, size_bytes: int) -> float:
        """How many seconds a body of this size may take to arrive."""
        return self.body_seconds + size_bytes / self.body_bytes_per_second
