"""However a stream of requests is cut into packets, it is answered the same."""

from __future__ import annotations

import re
from itertools import pairwise

import trio
import trio.testing
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pxbox.edge import EdgeLimits
from pxbox.ws.handover import HandedOver, WebSocketLimits
from tests.edge.clients import TEXT, masked
from tests.edge.running import HANDSHAKE, PATIENCE_SECONDS, Peer, running_edge, say

CHANGING = re.compile(rb"(?:date|X-Request-Id): [^\r]*\r\n")
CHUNKED = b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUESTS = (
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello\r\n\r\nyo"
    + CHUNKED
    + b"5\r\nGET /\r\na;ext=1\r\n0123456789\r\n0\r\n\r\n"
    + b"GET /none HTTP/1.1\r\nHost: x\r\n\r\n"
    + b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
)
BYES = {
    "a last request": b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a websocket": HANDSHAKE
    + masked(TEXT, b"one")
    + masked(TEXT, b"x" * 200)
    + masked(TEXT, b"bye"),
    "garbage": b"nonsense\r\n\r\n",
    "a body that breaks off": CHUNKED + b"5\r\nhello\r\nzz\r\n",
}


async def echo_until_bye(handed: HandedOver) -> None:
    await handed.accept()
    while (message := await handed.get_message()) != "bye":
        await say(handed, message)
    await handed.close(4000)


async def answers(pieces: list[bytes]) -> bytes:
    """All that comes back, without what is never the same."""
    limits = EdgeLimits(websocket=WebSocketLimits(close_seconds=0.02))
    async with (
        running_edge(limits, websocket=echo_until_bye) as edge,
        trio.open_nursery() as nursery,
    ):
        peer = await edge.peer()
        nursery.start_soon(send, peer, pieces)
        with trio.fail_after(PATIENCE_SECONDS):
            return CHANGING.sub(b"", await peer.rest())


async def send(peer: Peer, pieces: list[bytes]) -> None:
    for piece in pieces:
        await peer.send(piece)
        # The server reads this piece before the next one is sent, if it has nothing else to do.
        await trio.testing.wait_all_tasks_blocked()


def cut(data: bytes, places: set[int]) -> list[bytes]:
    at = [0, *sorted(place for place in places if place < len(data)), len(data)]
    return [data[start:end] for start, end in pairwise(at) if start < end]


WHOLE: dict[str, bytes] = {}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(BYES)), st.sets(st.integers(1, 800), max_size=40))
@example("a websocket", set(range(1, 800)))
@example("a last request", set(range(1, 800)))
def test_the_answers_do_not_depend_on_how_the_requests_are_cut(bye: str, places: set[int]) -> None:
    data = REQUESTS + BYES[bye]
    if bye not in WHOLE:
        WHOLE[bye] = trio.run(answers, [data])
        assert WHOLE[bye].count(b"HTTP/1.1 200 ") == (4 if bye == "a last request" else 3)
        assert WHOLE[bye].endswith(b"\x88\x02\x0f\xa0") == (bye == "a websocket")
    assert trio.run(answers, cut(data, places)) == WHOLE[bye]
