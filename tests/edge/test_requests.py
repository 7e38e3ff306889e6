"""Ordinary requests through the edge: what HTTP/1.1 promises, on real sockets."""

from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from pxbox.edge import EdgeLimits
from tests.edge.running import PATIENCE_SECONDS, running_edge

GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"


def post(body: bytes, *headers: str, path: str = "/echo") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def chunked(*chunks: bytes, headers: str = "") -> bytes:
    head = f"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{headers}\r\n"
    framed = [b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks]
    return head.encode() + b"".join(framed) + b"0\r\n\r\n"


async def test_requests_on_one_connection_are_answered_one_after_the_other() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        for size in (0, 1, 1000, 1024 * 1024):
            await peer.send(post(b"x" * size))
            response, body = await peer.response("POST")
            assert response.status_code == 200
            assert len(body) == size
        assert edge.edge.stats.accepted_total == 1


async def test_a_connection_serves_more_than_a_thousand_requests() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        for _ in range(1100):
            await peer.send(GET)
            response, _ = await peer.response()
        assert (b"connection", b"close") not in list(response.headers)


async def test_the_server_does_not_name_its_software() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(GET)
        response, _ = await peer.response()
        names = [name for name, _ in response.headers]
        assert b"date" in names
        assert b"server" not in names


async def test_pipelined_requests_are_answered_in_order() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(b"".join(post(b"%d" % n) for n in range(20)) + GET)
        bodies = [(await peer.response("POST"))[1] for _ in range(20)]
        assert bodies == [b"%d" % n for n in range(20)]
        assert (await peer.response())[1] == b"hello"


async def test_a_pipelined_request_does_not_begin_before_its_turn() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
        await edge.app.waiting.wait()
        await edge.answers()
        assert edge.app.started == ["/wait", "/hello"]
        edge.app.go_on.set()
        assert (await peer.response())[1] == b"went on"
        assert (await peer.response())[1] == b"hello"


async def test_a_chunked_body_arrives_whole() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(chunked(b"one ", b"two ", b"three") + GET)
        assert (await peer.response("POST"))[1] == b"one two three"
        assert (await peer.response())[1] == b"hello"


@pytest.mark.parametrize("framing", ["Content-Length: 4", "Transfer-Encoding: chunked"])
async def test_a_body_is_sent_after_the_server_has_said_continue(framing: str) -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        head = f"POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n{framing}\r\n\r\n"
        await peer.send(head.encode())
        assert (await peer.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        await peer.send(b"body" if "Length" in framing else b"4\r\nbody\r\n0\r\n\r\n")
        response, body = await peer.response("POST")
        assert (response.status_code, body) == (200, b"body")
        await peer.send(GET)
        assert (await peer.response())[1] == b"hello"


async def test_a_response_without_a_body_leaves_at_once() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n")
        response, body = await peer.response()
        assert (response.status_code, body) == (204, b"")
        await peer.send(b"HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n")
        response, body = await peer.response("HEAD")
        assert (response.status_code, body) == (200, b"")


async def test_a_streamed_response_is_not_held_back() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await peer.until(b"first ")).startswith(b"HTTP/1.1 200")
        edge.app.go_on.set()
        assert b"second" in await peer.until(b"0\r\n\r\n")


async def test_a_large_response_arrives_whole_at_a_reader_with_a_small_window() -> None:
    async with running_edge() as edge:
        peer = await edge.peer(receive_buffer_bytes=4096)
        await peer.send(b"GET /large?bytes=3000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        _, body = await peer.response()
        assert len(body) == 3_000_000


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"GET /hello HTTP/1.0\r\n\r\n",
    ],
)
async def test_a_connection_that_is_not_kept_alive_is_closed_after_its_response(
    request_bytes: bytes,
) -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(request_bytes)
        response, body = await peer.response()
        assert body == b"hello"
        assert (b"connection", b"close") in list(response.headers)
        assert await peer.rest() == b""


async def test_an_app_is_told_when_its_caller_leaves() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        await edge.app.waiting.wait()
        await peer.stream.aclose()
        with trio.fail_after(PATIENCE_SECONDS):
            await edge.app.left.wait()


async def test_a_caller_that_leaves_in_the_middle_of_its_body_hurts_nobody() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(post(b"x" * 1000)[:-500])
        await peer.stream.aclose()
        await edge.answers()


async def test_an_answer_that_comes_before_the_end_of_the_body_is_seen() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        head = b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"
        await peer.send(head + b"x" * 1000)
        response, body = await peer.response("POST")
        assert (response.status_code, body) == (401, b"not you")
        await peer.send(b"x" * 500_000)
        assert await peer.rest() == b""


async def test_an_app_that_reads_nothing_answers_who_sends_all_before_it_reads() -> None:
    """As browsers do. What the app was still to be given fills its queue, and holds nothing up."""
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(b"POST /deaf HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        for _ in range(14):
            await peer.send(b"x" * 10_000)
            await wait_all_tasks_blocked()
        edge.app.go_on.set()
        with trio.fail_after(PATIENCE_SECONDS):
            response, body = await peer.response("POST")
            assert (response.status_code, body) == (401, b"not you")
            assert await peer.rest() == b""


async def test_a_connection_that_asks_nothing_is_closed_after_its_idle_time() -> None:
    async with running_edge(EdgeLimits(idle_seconds=0.05)) as edge:
        silent, kept_alive = await edge.peer(), await edge.peer()
        await kept_alive.send(GET)
        assert (await kept_alive.response())[1] == b"hello"
        assert await silent.rest() == b""
        assert await kept_alive.rest() == b""


async def test_time_that_the_app_takes_is_not_idle_time() -> None:
    async with running_edge(EdgeLimits(idle_seconds=0.05)) as edge:
        waiting, silent = await edge.peer(), await edge.peer()
        await waiting.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
        await edge.app.waiting.wait()
        assert await silent.rest() == b""
        edge.app.go_on.set()
        assert (await waiting.response())[1] == b"went on"


async def test_connections_beyond_the_limit_are_turned_away_and_the_others_served() -> None:
    async with running_edge(EdgeLimits(connections=3)) as edge:
        inside = [await edge.peer() for _ in range(2)]
        for peer in inside:
            await peer.send(GET)
            assert (await peer.response())[1] == b"hello"
        third = await edge.peer()
        await third.send(GET)
        await third.response()
        outside = await edge.peer()
        status, problem = await outside.problem()
        assert (status, problem["code"]) == (503, "overloaded")
        assert await outside.rest() == b""
        await third.stream.aclose()
        for peer in inside:
            await peer.send(GET)
            assert (await peer.response())[1] == b"hello"
        assert edge.edge.stats.turned_away_total == 1
