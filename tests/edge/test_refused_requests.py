"""What the edge refuses by itself: shapes that smuggle, protocols it does not speak, excess."""

from __future__ import annotations

from contextlib import suppress

import pytest
import trio

from tests.edge.running import HANDSHAKE, RunningEdge, running_edge

GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"

MALFORMED_HEADS = {
    "content length and chunked": CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
    "two different content lengths": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"
    ),
    "two equal content lengths": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\ncontent-length: 5\r\n\r\nhello"
    ),
    "a list of content lengths": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5, 5\r\n\r\nhello"
    ),
    "a signed content length": b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello",
    "chunked in HTTP/1.0": (
        b"POST /echo HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "a folded header": b"GET /hello HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a line that ends with a bare LF": b"GET /hello HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "nothing but bare LF": b"GET /hello HTTP/1.1\nHost: x\n\n",
    "a bare CR": b"GET /hello HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
    "white space before the colon": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length : 5\r\n\r\nhello"
    ),
    "no host": b"GET /hello HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    "an empty line first": b"\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "a TLS client hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no HTTP at all": b"hello\r\n\r\n",
    "a target that is no path": b"GET hello HTTP/1.1\r\nHost: x\r\n\r\n",
    "a NUL in a header": b"GET /hello HTTP/1.1\r\nHost: x\r\nA: b\x00\r\n\r\n",
}

MALFORMED_BODIES = {
    "a chunk size that is no number": b"zz\r\nhello\r\n0\r\n\r\n",
    "a signed chunk size": b"+5\r\nhello\r\n0\r\n\r\n",
    "a prefixed chunk size": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a chunk size that ends with a bare LF": b"5\nhello\r\n0\r\n\r\n",
    "a chunk longer than stated": b"5\r\nhello!\r\n0\r\n\r\n",
    "an end of chunks with a bare LF": b"5\r\nhello\r\n0\r\n\n",
    "trailers": b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
    "trailers that end with a bare LF": b"5\r\nhello\r\n0\r\nA: b\n\r\n",
}

NOT_SPOKEN = {
    "prior knowledge of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    "an upgrade to h2c": (
        b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n"
    ),
    "h2c without Connection": b"GET /hello HTTP/1.1\r\nHost: x\r\nUpgrade:H2C\r\n\r\n",
    "another upgrade": (
        b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"
    ),
    "a proxy": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n",
    "a coding": (
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
    ),
    "HTTP/3.0": b"GET /hello HTTP/3.0\r\nHost: x\r\n\r\n",
}


async def refusal(edge: RunningEdge, request: bytes) -> tuple[int, str]:
    """What this request is refused with; the connection must be closed after it, cleanly."""
    peer = await edge.peer()
    await peer.send(request)
    status, problem = await peer.problem()
    assert await peer.rest() == b""
    await edge.answers()
    return status, problem["code"]


@pytest.mark.parametrize("name", MALFORMED_HEADS)
async def test_a_malformed_head_is_refused_before_the_app_sees_it(name: str) -> None:
    async with running_edge() as edge:
        assert await refusal(edge, MALFORMED_HEADS[name]) == (400, "malformed_http")
        assert set(edge.app.started) == {"/hello"}, "only from other peers"
        assert edge.app.started.count("/hello") == 1


@pytest.mark.parametrize("name", MALFORMED_BODIES)
async def test_a_malformed_chunked_body_is_refused_before_the_app_is_asked(name: str) -> None:
    async with running_edge() as edge:
        request = CHUNKED + b"\r\n" + MALFORMED_BODIES[name]
        assert await refusal(edge, request) == (400, "malformed_http")
        assert edge.app.started == ["/hello"]


@pytest.mark.parametrize("name", MALFORMED_BODIES)
async def test_a_chunked_body_that_turns_malformed_is_refused(name: str) -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(CHUNKED + b"Expect: 100-continue\r\n\r\n")
        await peer.until(b"HTTP/1.1 100 \r\n")
        await peer.send(b"3\r\nabc\r\n" + MALFORMED_BODIES[name])
        await peer.until(b"\r\n\r\n")
        status, problem = await peer.problem()
        assert (status, problem["code"]) == (400, "malformed_http")
        assert await peer.rest() == b""


async def test_a_body_that_turns_malformed_behind_its_response_only_ends_the_connection() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(CHUNKED.replace(b"/echo", b"/stream") + b"\r\n3\r\nabc\r\n")
        await peer.until(b"first ")
        await peer.send(b"zz\r\n")
        assert await peer.rest() == b"\r\n"


@pytest.mark.parametrize("name", NOT_SPOKEN)
async def test_other_protocols_are_refused(name: str) -> None:
    async with running_edge() as edge:
        assert await refusal(edge, NOT_SPOKEN[name]) == (501, "not_supported")
        assert edge.app.started == ["/hello"]


@pytest.mark.parametrize(
    "name", [*MALFORMED_HEADS, *NOT_SPOKEN], ids=lambda name: name.replace(" ", "-")
)
async def test_a_bad_second_request_is_refused_after_the_first_is_answered(name: str) -> None:
    bad = {**MALFORMED_HEADS, **NOT_SPOKEN}[name]
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + bad)
        await edge.app.waiting.wait()
        edge.app.go_on.set()
        assert (await peer.response())[1] == b"went on"
        status, _ = await peer.problem()
        assert status in (400, 501)
        assert await peer.rest() == b""


async def test_a_refusal_does_not_repeat_what_was_sent() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization Bearer secret\r\n\r\n")
        _, problem = await peer.problem()
        assert "secret" not in str(problem)


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["unfinished", "finished"])
async def test_a_head_that_is_too_long_is_refused(end: bytes) -> None:
    async with running_edge() as edge:
        request = b"GET /hello HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 33_000 + end
        assert await refusal(edge, request) == (431, "head_too_large")


async def test_a_head_with_too_many_lines_is_refused() -> None:
    async with running_edge() as edge:
        request = b"GET /hello HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 250 + b"\r\n"
        assert await refusal(edge, request) == (431, "head_too_large")


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent() -> None:
    async with running_edge() as edge:
        head = (
            b"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n"
        )
        assert await refusal(edge, head + b"\r\n") == (413, "payload_too_large")
        assert edge.app.started == ["/hello"]


async def test_a_sender_of_a_body_that_is_too_large_sees_why_while_it_is_still_sending() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        size = 1_500_000
        await peer.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(8):
            await peer.send(b"x" * 100_000)
        status, problem = await peer.problem()
        assert (status, problem["code"]) == (413, "payload_too_large")


async def test_a_chunked_body_that_grows_too_large_is_stopped() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(CHUNKED + b"\r\n")
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        for _ in range(33):
            await peer.send(chunk)
        status, problem = await peer.problem()
        assert (status, problem["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    "flood",
    [b"1\r\nx\r\n" * 9000, (b"1;" + b"e" * 30_000 + b"\r\nx\r\n") * 80],
    ids=["tiny chunks", "long chunk extensions"],
)
async def test_a_chunked_body_cannot_cost_more_than_its_bytes(flood: bytes) -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(CHUNKED + b"\r\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send_until_refused, peer.stream, flood)
            status, problem = await peer.problem()
            nursery.cancel_scope.cancel()
        assert (status, problem["code"]) == (413, "payload_too_large")


async def send_until_refused(stream: trio.SocketStream, data: bytes) -> None:
    with suppress(trio.BrokenResourceError):
        await stream.send_all(data)


async def test_a_handshake_in_a_pipeline_flood_is_answered_in_its_turn() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(GET * 50 + HANDSHAKE)
        for _ in range(50):
            assert (await peer.response())[1] == b"hello"
        assert (await peer.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
