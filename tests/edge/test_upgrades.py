"""A WebSocket on the same port: as the first request or a later one, in every legal spelling."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed

from pxbox.edge import EdgeLimits
from pxbox.ws.frames import text_frame
from pxbox.ws.handover import HandedOver, WebSocketLimits, problem_document
from tests.edge.clients import (
    CLOSE,
    PONG,
    TEXT,
    close_frame,
    masked,
    read_close,
    read_frame,
    upgraded,
)
from tests.edge.running import HANDSHAKE, PATIENCE_SECONDS, echo_handler, running_edge

GET = b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"

SPELLINGS = {
    "as browsers write it": HANDSHAKE,
    "without a space": HANDSHAKE.replace(b"Upgrade: websocket", b"Upgrade:websocket"),
    "in capitals": HANDSHAKE.replace(b"Upgrade: websocket", b"UPGRADE: WEBSOCKET"),
    "with white space around": HANDSHAKE.replace(b"Upgrade: w", b"Upgrade: \t w"),
    "in a list": HANDSHAKE.replace(b"Upgrade: websocket", b"Upgrade: foo, WebSocket"),
    "in two headers": HANDSHAKE.replace(
        b"Upgrade: websocket", b"Upgrade: websocket\r\nUpgrade: foo"
    ),
    "beside keep-alive": HANDSHAKE.replace(
        b"Connection: Upgrade", b"Connection: keep-alive, upgrade"
    ),
    "connection in two headers": HANDSHAKE.replace(
        b"Connection: Upgrade", b"Connection: Upgrade\r\nConnection: keep-alive"
    ),
    "with a body of nothing": HANDSHAKE.replace(b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"),
    "offering compression": HANDSHAKE.replace(
        b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    ),
    "with a head of 30 KB": HANDSHAKE.replace(
        b"\r\n\r\n", b"\r\nCookie: " + b"c" * 30_000 + b"\r\n\r\n"
    ),
}

BAD_HANDSHAKES = {
    "POST": (HANDSHAKE.replace(b"GET", b"POST"), 400),
    "HTTP/1.0": (HANDSHAKE.replace(b"HTTP/1.1", b"HTTP/1.0"), 400),
    "no Connection": (HANDSHAKE.replace(b"Connection: Upgrade\r\n", b""), 400),
    "another version": (HANDSHAKE.replace(b"Version: 13", b"Version: 8"), 426),
    "no version": (HANDSHAKE.replace(b"Sec-WebSocket-Version: 13\r\n", b""), 426),
    "a short key": (HANDSHAKE.replace(b"dGhl", b""), 400),
    "no key": (HANDSHAKE.replace(b"Sec-WebSocket-Key", b"X-Key"), 400),
    "two keys": (
        HANDSHAKE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"),
        400,
    ),
    "a body": (HANDSHAKE.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\nxx"), 400),
    "a host that is none": (HANDSHAKE.replace(b"Host: broker", b"Host: xn--\xff"), 400),
    "a host of 300 bytes": (HANDSHAKE.replace(b"broker", b"xn--" + b"b" * 300), 400),
    "a subprotocol in no alphabet": (
        HANDSHAKE.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: \xff\r\n\r\n"),
        400,
    ),
}


@pytest.mark.parametrize("before", [b"", GET, GET + GET], ids=["first", "second", "third"])
@pytest.mark.parametrize("name", SPELLINGS)
async def test_an_upgrade_is_understood(name: str, before: bytes) -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(before)
        for _ in range(before.count(b"GET")):
            assert (await peer.response())[1] == b"hello"
        await upgraded(peer, SPELLINGS[name])
        await peer.send(masked(TEXT, b"ping"))
        assert await read_frame(peer) == (TEXT, b"ping")
        await peer.send(close_frame())
        assert await read_close(peer) == 1000
        assert await peer.rest() == b""


async def test_no_compression_is_agreed_to() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(SPELLINGS["offering compression"])
        head = await peer.until(b"\r\n\r\n")
        assert b"extensions" not in head.lower()


@pytest.mark.parametrize("name", BAD_HANDSHAKES)
async def test_a_handshake_that_is_wrong_is_refused_by_http(name: str) -> None:
    handshake, expected = BAD_HANDSHAKES[name]
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(handshake)
        status, _ = await peer.problem()
        assert status == expected
        assert await peer.rest() == b""
        await edge.answers()


async def test_a_handshake_of_another_version_is_told_ours() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(BAD_HANDSHAKES["another version"][0])
        response, _ = await peer.response()
        headers = dict(list(response.headers))
        assert headers[b"sec-websocket-version"] == b"13"
        assert headers[b"upgrade"] == b"websocket"


async def test_frames_sent_with_the_handshake_are_not_lost() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(HANDSHAKE + masked(TEXT, b"one") + masked(TEXT, b"two"))
        await peer.until(b"\r\n\r\n")
        assert await read_frame(peer) == (TEXT, b"one")
        assert await read_frame(peer) == (TEXT, b"two")


async def test_a_close_right_behind_a_message_is_answered() -> None:
    async with running_edge() as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.send(masked(TEXT, b"one") + masked(TEXT, b"two") + close_frame(1001))
        assert (await peer.rest()).endswith(b"\x88\x02\x03\xe9")


async def test_an_upgrade_that_is_pipelined_waits_for_the_response_before_it() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n" + HANDSHAKE + masked(TEXT, b"a"))
        await edge.app.waiting.wait()
        await edge.answers()
        assert edge.edge.stats.websockets == 0
        edge.app.go_on.set()
        assert (await peer.response())[1] == b"went on"
        assert (await peer.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")
        assert await read_frame(peer) == (TEXT, b"a")


async def test_a_byte_too_many_after_the_handshake_closes_that_websocket_only() -> None:
    async with running_edge() as edge:
        peer = await edge.peer()
        await peer.send(HANDSHAKE + b"XY")
        await peer.until(b"\r\n\r\n")
        assert await read_close(peer) == 1002
        assert await peer.rest() == b""
        await edge.answers()


async def test_a_library_talks_to_it() -> None:
    async with running_edge() as edge, trio.open_nursery() as nursery:
        connection = await edge.websocket(nursery)
        await connection.send_message("ä" * 300_000)
        assert await connection.get_message() == "ä" * 300_000
        await connection.aclose()
        assert connection.closed is not None
        assert connection.closed.code == 1000


async def test_a_handler_refuses_a_handshake_with_a_problem() -> None:
    async def refuse(handed: HandedOver) -> None:
        assert handed.path == "/echo"
        problem = problem_document("unauthenticated", "no token came with this")
        await handed.reject(401, problem, [(b"WWW-Authenticate", b"Bearer")])

    async with running_edge(websocket=refuse) as edge:
        peer = await edge.peer()
        await peer.send(HANDSHAKE + masked(TEXT, b"too early"))
        response, _ = await peer.response()
        assert dict(list(response.headers))[b"www-authenticate"] == b"Bearer"
        peer = await edge.peer()
        await peer.send(HANDSHAKE)
        status, problem = await peer.problem()
        assert (status, problem["code"]) == (401, "unauthenticated")
        assert await peer.rest() == b""


async def test_a_handshake_that_nobody_answers_is_refused() -> None:
    async def forget(handed: HandedOver) -> None:
        await trio.lowlevel.checkpoint()

    async with running_edge(websocket=forget) as edge:
        peer = await edge.peer()
        await peer.send(HANDSHAKE)
        status, problem = await peer.problem()
        assert (status, problem["code"]) == (500, "internal")


async def test_a_handshake_that_is_not_answered_in_time_is_refused() -> None:
    async def dawdle(handed: HandedOver) -> None:
        await trio.sleep_forever()

    limits = EdgeLimits(websocket=WebSocketLimits(handshake_seconds=0.1))
    async with running_edge(limits, websocket=dawdle) as edge:
        peer = await edge.peer()
        await peer.send(HANDSHAKE)
        status, problem = await peer.problem()
        assert (status, problem["code"]) == (503, "overloaded")


async def test_an_accepted_websocket_outlives_the_time_for_handshakes() -> None:
    limits = EdgeLimits(websocket=WebSocketLimits(handshake_seconds=0.1), idle_seconds=0.2)
    async with running_edge(limits) as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        silent = await edge.peer()
        assert await silent.rest() == b""
        await peer.send(masked(TEXT, b"still here"))
        assert await read_frame(peer) == (TEXT, b"still here")


@pytest.mark.parametrize("accepts", [True, False], ids=["accepted", "unanswered"])
async def test_a_handler_that_fails_is_reported_and_hurts_nobody_else(accepts: bool) -> None:
    async def fail(handed: HandedOver) -> None:
        if handed.path == "/echo":
            return await echo_handler(handed)
        if accepts:
            await handed.accept()
        raise RuntimeError("a fault in the handler")

    async with running_edge(websocket=fail) as edge:
        other = await upgraded(await edge.peer(), HANDSHAKE)
        peer = await edge.peer()
        handshake = HANDSHAKE.replace(b"/echo", b"/fail")
        if accepts:
            await upgraded(peer, handshake)
            assert await read_close(peer) == 1011
            await peer.send(close_frame(1011))
        else:
            await peer.send(handshake)
            assert (await peer.problem())[0] == 500
        assert await peer.rest() == b""
        await other.send(masked(TEXT, b"on"))
        assert await read_frame(other) == (TEXT, b"on")
        fault = await edge.fault()
        assert isinstance(fault, RuntimeError)


async def test_a_handler_is_told_that_the_peer_left() -> None:
    left = trio.Event()

    async def listen(handed: HandedOver) -> None:
        await handed.accept()
        try:
            await handed.get_message()
        except ConnectionClosed:
            left.set()

    async with running_edge(websocket=listen) as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        await peer.stream.aclose()
        with trio.fail_after(PATIENCE_SECONDS):
            await left.wait()


async def test_nothing_follows_a_close_frame() -> None:
    async def say_more(handed: HandedOver) -> None:
        await handed.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keep_putting, handed)
            await handed.close(4001, "enough")
            nursery.cancel_scope.cancel()

    async with running_edge(websocket=say_more) as edge:
        peer = await upgraded(await edge.peer(), HANDSHAKE)
        while (frame := await read_frame(peer)) == (TEXT, b"more"):
            pass
        assert frame == (CLOSE, (4001).to_bytes(2, "big") + b"enough")
        await peer.send(close_frame(4001))
        assert await peer.rest() == b""


async def keep_putting(handed: HandedOver) -> None:
    while True:
        handed.outbox.put(text_frame(b"more"))
        await trio.lowlevel.checkpoint()


async def test_an_idle_websocket_is_one_task_and_keeps_nothing_of_its_handshake() -> None:
    """Its server's side: five thousand of them are to fit into little memory."""
    kept: list[HandedOver] = []

    async def wait_for_messages(handed: HandedOver) -> None:
        kept.append(handed)
        await handed.accept()
        await handed.get_message()

    async with running_edge(websocket=wait_for_messages) as edge:
        before = trio.lowlevel.current_statistics().tasks_living
        for _ in range(5):
            peer = await upgraded(await edge.peer(), HANDSHAKE)
            await peer.send(masked(PONG, b""))
        await trio.testing.wait_all_tasks_blocked()
        assert trio.lowlevel.current_statistics().tasks_living == before + 5
        of_libraries = ("h11", "hypercorn", "wsproto", "trio_websocket")
        for one in kept:
            assert one.answered
            names = {type(found).__module__.split(".")[0] for found in reachable(one)}
            assert not names.intersection(of_libraries)


def reachable(start: object) -> list[object]:
    """What this object leads to in its own attributes, and theirs."""
    found: list[object] = []
    waiting = [start]
    while waiting:
        one = waiting.pop()
        if any(one is seen for seen in found):
            continue
        found.append(one)
        names = getattr(type(one), "__slots__", ()) if not isinstance(one, trio.Nursery) else ()
        waiting += [getattr(one, name) for name in names if hasattr(one, name)]
    return found
