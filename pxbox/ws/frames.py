"""Finished WebSocket frames of a server (RFC 6455, section 5.2): unmasked, unfragmented.

An event is encoded once and the same bytes go to every subscriber; a library that encodes per
connection would do that work once per subscriber.
"""

from __future__ import annotations

_TEXT = 0x81
_PONG = 0x8A

PING = b"\x89\x00"
"""A Ping without a payload; a peer answers it by a Pong as soon as it reads it (5.5.2)."""


def text_frame(payload: bytes) -> bytes:
    """One text message in one frame. `payload` is UTF-8 (not checked) of less than 2^63 bytes."""
    size = len(payload)
    if size < 126:
        return bytes((_TEXT, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload


def pong_frame(payload: bytes) -> bytes:
    """The answer to a Ping with this payload, which has at most 125 bytes."""
    return bytes((_PONG, len(payload))) + payload


def payload_of(frame: bytes) -> bytes:
    """The payload that `text_frame` made this frame of."""
    size = frame[1]
    if size < 126:
        return frame[2:]
    return frame[4:] if size == 126 else frame[10:]


def is_close(frame: bytes) -> bool:
    """Whether these bytes begin with a Close frame, after which nothing may be sent."""
    return frame[:1] == b"\x88"
