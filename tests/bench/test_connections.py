"""The load client's hand-written connections, fed as a network would."""

from __future__ import annotations

import asyncio

import pytest

from bench.connections import CLOSE, PING, TEXT, ConnectionBroken, Http, WebSocket, frame

UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n"


class Wire(asyncio.Transport):
    """The other end of a connection under test: what was written, and whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True


def server_frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        return bytes((opcode, size)) + payload
    if size < 65_536:
        return bytes((opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((opcode, 127)) + size.to_bytes(8, "big") + payload


async def feed_socket(chunks: list[bytes]) -> tuple[list[bytes], list[Exception], Wire]:
    heard: list[bytes] = []
    broken: list[Exception] = []
    socket, wire = WebSocket(heard.append, broken.append), Wire()
    socket.connection_made(wire)
    socket.data_received(UPGRADED)
    for chunk in chunks:
        socket.data_received(chunk)
    return heard, broken, wire


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1_000_000])
def test_messages_of_every_length_arrive_whole_however_they_are_cut(size: int) -> None:
    messages = [b"a" * length for length in (0, 1, 125, 126, 127, 300, 65_535, 65_536)]
    data = b"".join(server_frame(TEXT, message) for message in messages)

    heard, broken, _ = asyncio.run(feed_socket(pieces(data, size)))

    assert heard == messages
    assert broken == []


@pytest.mark.parametrize("length", [0, 125, 126, 60_000])
def test_a_client_frame_says_its_length_and_is_masked(length: int) -> None:
    made = frame(TEXT, b"x" * length)

    assert made[1] & 0x80, "a client must mask (RFC 6455, 5.1)"
    said = made[1] & 0x7F
    assert said == (length if length < 126 else 126)
    if length >= 126:
        assert int.from_bytes(made[2:4], "big") == length
    assert made.endswith(bytes(4) + b"x" * length)


def test_a_ping_is_answered_with_its_payload() -> None:
    _, broken, wire = asyncio.run(feed_socket([server_frame(PING, b"are you there")]))

    assert wire.written.endswith(frame(0x8A, b"are you there"))
    assert broken == []


def test_a_close_breaks_the_connection_with_its_code() -> None:
    payload = (4000).to_bytes(2, "big") + b"slow reader"

    _, (error,), wire = asyncio.run(feed_socket([server_frame(CLOSE, payload)]))

    assert "4000 slow reader" in str(error)
    assert wire.closed


def test_an_unfinished_message_is_refused_rather_than_guessed() -> None:
    _, (error,), _ = asyncio.run(feed_socket([server_frame(0x01, b"half")]))

    assert isinstance(error, ConnectionBroken)


def test_a_refused_upgrade_says_what_the_server_said() -> None:
    async def refused() -> None:
        socket = WebSocket(print, print)
        socket.connection_made(Wire())
        socket.data_received(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
        await socket.opened

    with pytest.raises(ConnectionBroken, match="401 Unauthorized"):
        asyncio.run(refused())


Replies = list[tuple[int, bytes]]


def feed_http(data: bytes, size: int) -> tuple[Replies, list[Exception], Http]:
    replies: Replies = []
    broken: list[Exception] = []
    http = Http(broken.append)
    http.connection_made(Wire())
    http.post("/requests", "token", b"{}", lambda status, body: replies.append((status, body)))
    for piece in pieces(data, size):
        http.data_received(piece)
    return replies, broken, http


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_reply_arrives_whole_however_it_is_cut(size: int) -> None:
    data = b'HTTP/1.1 201 Created\r\nContent-Length: 8\r\nX-Other: 1\r\n\r\n{"id":1}'

    replies, broken, http = feed_http(data, size)

    assert replies == [(201, b'{"id":1}')]
    assert broken == []
    assert not http.last


def test_the_last_reply_of_a_connection_is_given_and_marked() -> None:
    data = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"

    replies, broken, http = feed_http(data, 1000)
    http.connection_lost(None)

    assert replies == [(200, b"{}")]
    assert http.last
    assert broken == []


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_a_reply_that_cannot_be_read_or_was_not_asked_for_breaks_the_connection(
    data: bytes,
) -> None:
    replies, broken, _ = feed_http(data, 1000)

    assert len(broken) == 1
    assert replies == []


def test_a_connection_closed_while_idle_is_marked_and_breaks_nothing() -> None:
    _, broken, http = feed_http(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 1000)
    http.connection_lost(None)

    assert http.last
    assert broken == []


def test_a_connection_closed_before_the_reply_is_broken() -> None:
    _, broken, http = feed_http(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhal", 1000)
    http.connection_lost(None)

    assert len(broken) == 1
