"""Frames that nobody should send: what cannot be read is told, and too much of it ends the
connection."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress

import pytest
import trio

from pxbox.ws.session import MOST_BAD_FRAMES
from tests.brokers import Broker
from tests.transports.clients import ANYTHING, Party, unique

Make = Callable[..., Party]
MEBIBYTE = 1024 * 1024

# The frame, the code of the problem, and the id that its error carries, if one could be read.
UNREADABLE: list[tuple[str, str, str | None]] = [
    ("[]", "invalid_request", None), ("null", "invalid_request", None),
    ("1", "invalid_request", None), ('"ping"', "invalid_request", None),
    ("{}", "invalid_request", None), ('{"id":"a"}', "invalid_request", "a"),
    ('{"type":"ping"}', "invalid_request", None),
    ('{"type":"pong","id":"a"}', "invalid_request", "a"),
    ('{"type":1,"id":"a"}', "invalid_request", "a"), ('{"type":null}', "invalid_request", None),
    ('{"type":"ping","id":1}', "invalid_request", None),
    ('{"type":"ping","id":null}', "invalid_request", None),
    ('{"type":"ping","id":""}', "invalid_request", None),
    ('{"type":"ping","id":"%s"}' % ("x" * 129), "invalid_request", None),
    ('{"type":"ping","id":"a","more":1}', "invalid_request", "a"),
    ('{"type":"ping","id":"a","Type":"ping"}', "invalid_request", "a"),
    ('{"type":"cmd","id":"a"}', "invalid_request", "a"),
    ('{"type":"cmd","id":"a","op":1}', "invalid_request", "a"),
    ('{"type":"cmd","id":"a","op":"validate","meta":[]}', "invalid_request", "a"),
    ('{"type":"cmd","id":"a","op":"validate","meta":null}', "invalid_request", "a"),
    ('{"type":"subscribe","id":"a"}', "invalid_request", "a"),
    ('{"type":"subscribe","id":"a","channel":7}', "invalid_request", "a"),
    ('{"type":"subscribe","id":"a","channel":["x"]}', "invalid_request", "a"),
    ('{"type":"resume","id":"a","channel":"x","since":-1}', "invalid_request", "a"),
    ('{"type":"resume","id":"a","channel":"x","since":1.5}', "invalid_request", "a"),
    ('{"type":"resume","id":"a","channel":"x","since":1,"epoch":1}', "invalid_request", "a"),
    ('{"type":"ack","channel":"x","seq":"1"}', "invalid_request", None),
    ('{"type":"ack","channel":"x","seq":-1,"id":"a"}', "invalid_request", "a"),
    ('{"type":"ack","seq":1}', "invalid_request", None),
    ('{"type":"ping","id":"a\\u0000"}', "unsupported_text", "a\0"),
    ('{"type":"ping","id":"a\\ud800"}', "unsupported_text", None),
    ('{"type":"subscribe","id":"a","channel":"requestor:\\u0000"}', "unsupported_text", "a"),
    ('{"type":"unsubscribe","id":"a","channel":"\\udfff"}', "unsupported_text", None),
    ('{"type":"resume","id":"a","channel":"x","since":1,"epoch":"\\u0000"}',
     "unsupported_text", "a"),
    ('{"type":"cmd","id":"a","op":"\\u0000"}', "unsupported_text", "a"),
    ('{"type":"cmd","id":"a","op":"validate","meta":{"\\u0000":1}}', "unsupported_text", "a"),
    ('{"type":"cmd","id":"a","op":"validate","meta":{"idempotencyKey":"\\u0000"}}',
     "unsupported_text", "a"),
    ('{"type":"ack","channel":"x","seq":18446744073709551616,"id":"a"}',
     "number_out_of_range", "a"),
    ('{"type":"resume","id":"a","channel":"x","since":1e999}', "number_out_of_range", "a"),
    ('{"type":"cmd","id":"a","op":"validate","data":{"schema":%s}}' % ("9" * 5000),
     "number_out_of_range", "a"),
    (f'{{"type":"cmd","id":"a","op":"validate","data":{"[" * 64}{"]" * 64}}}', "too_deep", "a"),
    ('{"type":"cmd","id":"a","op":"validate","data":%s' % ("[" * 500_000), "too_deep", None),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "code", "id"), UNREADABLE, ids=lambda value: str(value)[:40])
async def test_a_frame_that_cannot_be_read_is_told_and_the_connection_stays(
    asker: Party, frame: str, code: str, id: str | None
) -> None:
    async with asker.socket() as socket:
        await socket.say(frame)
        await socket.until(lambda: bool(socket.frames))
        (told,) = socket.frames
        assert (told["type"], told["data"]["code"], told.get("id")) == ("error", code, id)
        assert (await socket.ask(type="ping"))["op"] == "pong"


# What can be read as a frame and is wrong inside, with the code of its error.
WRONG: list[tuple[str, str]] = [
    ('{"type":"cmd","id":"a","op":"getRequest"}', "invalid_request"),
    ('{"type":"cmd","id":"a","op":"getRequest","data":[]}', "invalid_request"),
    ('{"type":"cmd","id":"a","op":"getRequest","data":null}', "invalid_request"),
    ('{"type":"cmd","id":"a","op":"getRequest","data":"x"}', "invalid_request"),
    ('{"type":"cmd","id":"a","op":"getRequest","data":{"id":1}}', "invalid_request"),
    ('{"type":"cmd","id":"a","op":"getRequest","data":{"requestId":"x"}}', "invalid_request"),
    ('{"type":"cmd","id":"a","op":"cancelRequest","data":{"id":"x"},"meta":{"idempotencyKey":1}}',
     "invalid_request"),
    ('{"type":"cmd","id":"a","op":"validate","data":{"schema":{}},"meta":{"x":1}}',
     "not_supported"),
    ('{"type":"cmd","id":"a","op":"listRequestEvents","data":{"id":"x","limit":"5"}}',
     "invalid_request"),
    ('{"type":"subscribe","id":"a","channel":""}', "not_found"),
    ('{"type":"unsubscribe","id":"a","channel":"request:x"}', "not_subscribed"),
    ('{"type":"resume","id":"a","channel":"x","since":1,"epoch":""}', "not_found"),
    ('{"type":"ack","id":"a","channel":"x","seq":18446744073709551615}', "not_subscribed"),
]  # fmt: skip


@pytest.mark.parametrize(("frame", "code"), WRONG)
async def test_a_frame_that_is_wrong_inside_gets_its_problem(
    asker: Party, frame: str, code: str
) -> None:
    async with asker.socket() as socket:
        await socket.say(frame)
        await socket.until(lambda: bool(socket.frames))
        (told,) = socket.frames
        assert (told["id"], told["data"]["code"]) == ("a", code)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("{", "malformed_json"), ("nonsense", "malformed_json"), ("", "malformed_json"),
        ('{"type":"ping","id":"a"} {"type":"ping","id":"b"}', "malformed_json"),
        ('{"type":"ping","id":NaN}', "malformed_json"), ("\ufeff{}", "malformed_json"),
        (b'{"type":"ping","id":"a"}', "unsupported_media_type"), (b"", "unsupported_media_type"),
    ],
)  # fmt: skip
async def test_what_is_no_json_text_is_told_and_ends_the_connection(
    asker: Party, message: str | bytes, code: str
) -> None:
    async with asker.socket() as socket:
        await socket.say(message)
        await socket.closed.wait()
    assert socket.errors() == [code]
    assert socket.close_code == 4501


async def test_so_many_frames_that_cannot_be_read_end_the_connection(asker: Party) -> None:
    async with asker.socket() as socket:
        for _ in range(MOST_BAD_FRAMES - 1):
            await socket.say("{}")
        assert (await socket.ask(type="ping"))["op"] == "pong"
        await socket.say("{}")
        await socket.closed.wait()
    assert socket.errors() == ["invalid_request"] * MOST_BAD_FRAMES
    assert socket.close_code == 4501


async def test_a_message_is_so_large_and_no_larger(asker: Party) -> None:
    ping = '{"type":"ping","id":"p"}'
    async with asker.socket() as socket:
        await socket.say(ping.ljust(MEBIBYTE))
        await socket.until(lambda: len(socket.frames) == 1)
        await socket.say(ping.ljust(MEBIBYTE + 1))
        await socket.closed.wait()
    assert socket.close_code == 1009


async def test_text_that_is_not_utf8_ends_the_connection(
    shared_broker: Broker, asker: Party
) -> None:
    async with asker.socket() as socket:
        await socket.stream.send_all(client_frame(0x81, b'{"type":"ping","id":"\xff"}'))
        await socket.closed.wait()
    assert socket.close_code == 1007


def client_frame(first: int, payload: bytes) -> bytes:
    """A frame as a client sends it (RFC 6455, 5.2), under a mask that changes nothing."""
    assert len(payload) < 126
    return struct.pack("!BB4s", first, 0x80 | len(payload), bytes(4)) + payload


async def test_a_flood_of_nonsense_holds_nobody_else_up(
    shared_broker: Broker, asker: Party, ana: Party, party: Make
) -> None:
    """Clients that send what they please, until each is closed, and one that is served."""

    async def flood() -> None:
        async with party().socket() as socket:
            with suppress(ConnectionError):
                while True:
                    await socket.say('{"type":"cmd","id":"x","op":["nested"],"data":[[[[{}]]]]}')
            await socket.closed.wait()
        assert socket.close_code == 4501

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(flood)
        for _ in range(10):
            id = await asker.ask(ana.sub, schema=ANYTHING)
            await ana.done("postResponse", id=id, payload=unique("x"))
