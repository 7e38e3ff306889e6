"""Frames as clients send them, and the reading of what a server sends back."""

from __future__ import annotations

from tests.edge.running import Peer

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA
CONTINUATION = 0x0


def masked(opcode: int, payload: bytes, *, final: bool = True, reserved: int = 0) -> bytes:
    """A client's frame, masked by zeros."""
    first = (0x80 if final else 0) | reserved | opcode
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 65536:
        head = bytes((first, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + bytes(4) + payload


def close_frame(code: int = 1000) -> bytes:
    return masked(CLOSE, code.to_bytes(2, "big"))


async def read_frame(peer: Peer) -> tuple[int, bytes]:
    """The opcode and payload of the next frame."""
    first, second = await peer.exactly(2)
    assert first & 0x80, "a server's frames are not fragmented here"
    size = second
    if size == 126:
        size = int.from_bytes(await peer.exactly(2), "big")
    elif size == 127:
        size = int.from_bytes(await peer.exactly(8), "big")
    return first & 0x0F, await peer.exactly(size)


async def read_close(peer: Peer) -> int:
    """The code of the next frame, a Close; the server closes the connection after it."""
    opcode, payload = await read_frame(peer)
    assert opcode == CLOSE, (opcode, payload)
    return int.from_bytes(payload[:2], "big")


async def upgraded(peer: Peer, handshake: bytes) -> Peer:
    """Shake hands and leave the peer at the first frame."""
    await peer.send(handshake)
    assert (await peer.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
    return peer
