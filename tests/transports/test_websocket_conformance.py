"""RFC 6455 by its letter, over raw sockets, in the categories of the Autobahn test suite.

The endpoint answers no message by its echo; what stands in for one is `ping`, whose id comes back.
White space around a JSON object means nothing, so a message may have any size.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest
import trio

from tests.brokers import Broker
from tests.edge.clients import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_frame,
    masked,
    read_frame,
    upgraded,
)  # fmt: skip
from tests.edge.running import HANDSHAKE, PATIENCE_SECONDS, Peer

MESSAGE_BYTES = 1024 * 1024
Frame = tuple[int, bytes]


def message(text: str = "x", size: int = 0) -> bytes:
    """A message whose reply holds this text, of at least this size in bytes."""
    return json.dumps({"type": "ping", "id": text}, ensure_ascii=False).encode().ljust(size)


def reply(text: str = "x") -> Frame:
    return TEXT, json.dumps({"id": text, "op": "pong", "type": "ack"}, ensure_ascii=False).encode()


def closing(code: int, reason: bytes = b"") -> Frame:
    return CLOSE, code.to_bytes(2, "big") + reason


@dataclass(frozen=True, slots=True)
class Case:
    """What is sent, and all that comes back; a Close at the end may carry any reason."""

    name: str
    sent: bytes
    told: tuple[Frame, ...]

    def __str__(self) -> str:
        return self.name


GOOD = masked(TEXT, message("good"))
FAILED, NOT_TEXT, TOO_BIG = closing(1002), closing(1007), closing(1009)
PROTOCOL = closing(4501)


def _hidden(opcode: int, payload: bytes, mask: bytes) -> bytes:
    """A frame masked by more than zeros."""
    plain = masked(opcode, payload)
    hidden = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    return plain[:2] + mask + hidden


def framing() -> Iterable[Case]:
    """1: sizes, either side of where the length is written otherwise."""
    for size in (0, 125, 126, 127, 128, 65_535, 65_536, 65_537):
        sent = masked(TEXT, message("x", size))
        yield Case(f"a text of {size} bytes", sent, (reply(),))
    for kind, width in ((126, 2), (127, 8)):
        head = bytes((0x81, 0x80 | kind)) + len(message()).to_bytes(width, "big") + bytes(4)
        yield Case(f"a short length written in {width} bytes", head + message(), (FAILED,))
    yield Case("a mask that hides", _hidden(TEXT, message(), b"\x37\xfa\x21\x3d"), (reply(),))


def pings() -> Iterable[Case]:
    """2: pings and pongs."""
    binary = bytes(range(256))[131:]
    for payload in (b"", b"hello", binary, b"x" * 125):
        sent = masked(PING, payload)
        yield Case(f"a ping of {len(payload)} bytes", sent, ((PONG, payload),))
    yield Case("a ping of 126 bytes", masked(PING, b"x" * 126), (FAILED,))
    several = b"".join(masked(PING, b"%d" % n) for n in range(10))
    yield Case("ten pings", several, tuple((PONG, b"%d" % n) for n in range(10)))
    for payload in (b"", b"unasked"):
        sent = masked(PONG, payload) + masked(PING, b"x")
        yield Case(f"a pong of {len(payload)} bytes that nobody asked for", sent, ((PONG, b"x"),))


def reserved_bits() -> Iterable[Case]:
    """3: no extension was agreed upon, so none of them may be set."""
    for bits in range(0x10, 0x80, 0x10):
        for opcode in (TEXT, BINARY, PING, CLOSE):
            payload = b"" if opcode == CLOSE else message()
            sent = GOOD + masked(opcode, payload, reserved=bits)
            yield Case(f"bits {bits >> 4:03b} on opcode {opcode}", sent, (reply("good"), FAILED))


def opcodes() -> Iterable[Case]:
    """4: those that nobody has defined."""
    for opcode in (*range(0x3, 0x8), *range(0xB, 0x10)):
        for payload in (b"", message()):
            sent = GOOD + masked(opcode, payload) + masked(PING, b"")
            name = f"opcode {opcode} with {len(payload)} bytes"
            yield Case(name, sent, (reply("good"), FAILED))


def fragments() -> Iterable[Case]:
    """5: messages in pieces, and what may come between them."""
    first, rest = message()[:7], message()[7:]
    begin, end = masked(TEXT, first, final=False), masked(CONTINUATION, rest)
    empty = masked(CONTINUATION, b"", final=False)
    yield Case("in two", begin + end, (reply(),))
    yield Case("with a ping between", begin + masked(PING, b"p") + end, ((PONG, b"p"), reply()))
    yield Case("with a pong between", begin + masked(PONG, b"p") + end, (reply(),))
    yield Case("with empty ones between", begin + empty * 5 + end, (reply(),))
    whole = masked(TEXT, b"", final=False) + masked(CONTINUATION, message(), final=False)
    yield Case("with empty ones around", whole + masked(CONTINUATION, b""), (reply(),))
    bytewise = [masked(CONTINUATION, bytes((byte,)), final=False) for byte in message()]
    bytewise[0] = masked(TEXT, message()[:1], final=False)
    yield Case("byte by byte", b"".join([*bytewise, masked(CONTINUATION, b"")]), (reply(),))
    yield Case("a ping in pieces", masked(PING, b"p", final=False), (FAILED,))
    yield Case("a pong in pieces", masked(PONG, b"p", final=False), (FAILED,))
    yield Case("a close in pieces", masked(CLOSE, b"", final=False), (FAILED,))
    for name, orphan in (("last", end), ("other", masked(CONTINUATION, first, final=False))):
        yield Case(f"the {name} one without a first", orphan, (FAILED,))
        yield Case(f"the {name} one after a message", GOOD + orphan, (reply("good"), FAILED))
    yield Case("a message inside another", begin + GOOD, (FAILED,))
    yield Case("a first one inside another", begin + begin, (FAILED,))
    yield Case("a close inside a message", begin + close_frame(1000), (closing(1000),))


TEXTS = (
    "κόσμε", "Hello-µ@ßöäüàá-UTF-8!!", "\U00010000\U0010ffff", "\ud7ff\ue000\ufffd", "\ufeffx",
    "\ufffe\uffff\U0001fffe", "𝄞" * 32, "\x7f\x80\u07ff\u0800",
)  # fmt: skip
NO_UTF8 = {
    "a lone continuation": b"\x80",
    "two of them": b"\xbf\x80",
    "a first byte alone": b"\xc3 ",
    "an overlong slash": b"\xc0\xaf",
    "an overlong slash in three": b"\xe0\x80\xaf",
    "an overlong NUL": b"\xc0\x80",
    "an overlong one in four": b"\xf0\x8f\xbf\xbf",
    "a high surrogate": b"\xed\xa0\x80",
    "a low surrogate": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "above the last": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "no byte of UTF-8": b"\xfe",
    "nor this one": b"\xff",
    "half of one, at the end": b"\xf0\x9d\x84",
}


def texts() -> Iterable[Case]:
    """6: text is UTF-8, wherever it is cut."""
    for text in TEXTS:
        data = message(text)
        yield Case(f"{text!r}", masked(TEXT, data), (reply(text),))
        cut = [masked(CONTINUATION, data[at : at + 1], final=False) for at in range(len(data))]
        cut[0] = masked(TEXT, data[:1], final=False)
        yield Case(f"{text!r}, cut", b"".join([*cut, masked(CONTINUATION, b"")]), (reply(text),))
    for name, wrong in NO_UTF8.items():
        yield Case(name, masked(TEXT, b'{"id":"' + wrong), (NOT_TEXT,))
        pieces = masked(TEXT, b'{"id":"', final=False) + masked(CONTINUATION, wrong)
        yield Case(f"{name}, in the second piece", pieces, (NOT_TEXT,))
    # What cannot become text any more is not waited for.
    begun = masked(TEXT, b"\xce\xba\xe1\xbd\xb9\xf4\x90", final=False)
    yield Case("text that is none in its first piece", begun, (NOT_TEXT,))


def closes() -> Iterable[Case]:
    """7: how a connection ends, and that nothing follows."""
    taken = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    for code in taken:
        yield Case(f"code {code}", close_frame(code), (closing(code),))
    for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        yield Case(f"code {code}", close_frame(code), (FAILED,))
    yield Case("nothing said", masked(CLOSE, b""), ((CLOSE, b""),))
    yield Case("half a code", masked(CLOSE, b"\x03"), (FAILED,))
    longest = b"\x03\xe8" + b"r" * 123
    yield Case("the longest reason", masked(CLOSE, longest), (closing(1000),))
    yield Case("a reason too long", masked(CLOSE, longest + b"r"), (FAILED,))
    yield Case("a reason in UTF-8", masked(CLOSE, b"\x03\xe8" + "κ".encode()), (closing(1000),))
    yield Case("a reason that is no text", masked(CLOSE, b"\x03\xe8\xff"), (NOT_TEXT,))
    bye = close_frame(1000)
    for name, late in (("ping", masked(PING, b"p")), ("text", GOOD), ("close", bye)):
        yield Case(f"a {name} after it", bye + late, (closing(1000),))
    yield Case("right behind a message", GOOD + bye, (reply("good"), closing(1000)))


def limits() -> Iterable[Case]:
    """9: messages of the greatest size, in one and in many pieces, and one byte more."""
    most = message("x", MESSAGE_BYTES)
    yield Case("the greatest", masked(TEXT, most), (reply(),))
    yield Case("one byte more", masked(TEXT, most + b" "), (TOO_BIG,))
    for size in (256, 1024, 65_536):
        pieces = [most[at : at + size] for at in range(0, len(most), size)]
        frames = [masked(CONTINUATION, piece, final=False) for piece in pieces]
        frames[0] = masked(TEXT, pieces[0], final=False)
        whole = b"".join(frames)
        yield Case(f"in pieces of {size}", whole + masked(CONTINUATION, b""), (reply(),))
    over = whole + masked(CONTINUATION, b" ", final=False)
    yield Case("pieces of one byte more", over, (TOO_BIG,))


def ours() -> Iterable[Case]:
    """What the contract adds: messages are text, each one JSON object."""
    yield Case("a binary message", masked(BINARY, message()), (PROTOCOL,))
    yield Case("an empty binary message", masked(BINARY, b""), (PROTOCOL,))
    yield Case("an empty text", masked(TEXT, b""), (PROTOCOL,))
    yield Case("no JSON", masked(TEXT, b"{"), (PROTOCOL,))


SMALL = [*pings(), *fragments(), *texts(), *closes(), *ours()]
CASES = [*framing(), *reserved_bits(), *opcodes(), *SMALL, *limits()]


@asynccontextmanager
async def raw(broker: Broker) -> AsyncIterator[Peer]:
    """A bare connection, past its handshake."""
    where = urlsplit(broker.url)
    stream = await trio.open_tcp_stream(where.hostname or "", where.port or 0)
    token = broker.token("anybody").encode()
    ask = HANDSHAKE.replace(b"GET /echo ", b"GET /v1/ws ").replace(
        b"\r\n\r\n", b"\r\nAuthorization: Bearer " + token + b"\r\n\r\n"
    )
    async with stream:
        yield await upgraded(Peer(stream), ask)


async def check(peer: Peer, case: Case, pieces: list[bytes]) -> None:
    """All that is told is what the case says, errors of the protocol above aside; after a Close
    nothing comes, and the connection ends."""
    told: list[tuple[int, object]] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send, peer, pieces)
        with trio.fail_after(PATIENCE_SECONDS):
            while len(told) < len(case.told):
                frame = await read_frame(peer)
                if not (frame[0] == TEXT and json.loads(frame[1])["type"] == "error"):
                    told.append(_comparable(frame))
    assert told == [_comparable(frame) for frame in case.told]
    if told[-1][0] != CLOSE:
        await peer.send(masked(PING, b"still here") + close_frame())
        assert await read_frame(peer) == (PONG, b"still here")
        assert (await read_frame(peer))[0] == CLOSE
    elif case.told[-1] in (PROTOCOL, TOO_BIG):
        # It waits for the answer to what it began.
        await peer.send(close_frame())
    assert await peer.rest() == b""


def _comparable(frame: Frame) -> tuple[int, object]:
    """A Close by its code, JSON by its value."""
    opcode, payload = frame
    if opcode == CLOSE:
        return CLOSE, payload[:2]
    return opcode, json.loads(payload) if opcode == TEXT else payload


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_what_is_sent_at_once_is_answered_by_the_letter(
    shared_broker: Broker, case: Case
) -> None:
    async with raw(shared_broker) as peer:
        await check(peer, case, [case.sent])


@pytest.mark.parametrize("case", SMALL, ids=str)
async def test_what_is_sent_byte_by_byte_is_answered_alike(
    shared_broker: Broker, case: Case
) -> None:
    async with raw(shared_broker) as peer:
        peer.stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        await check(peer, case, [bytes((byte,)) for byte in case.sent])


async def _send(peer: Peer, pieces: list[bytes]) -> None:
    try:
        for piece in pieces:
            await peer.send(piece)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        return  # it was told enough, and went
