"""Payloads in parts, both ways (schemas/README.md, "Payloads in parts")."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from pxbox.ws.parts import MESSAGE_BYTES
from tests.contract.documents import Json
from tests.transports.clients import CheckedSocket, Party
from tests.transports.parts import cut, cut_text, parts_of, reply_to

MEBIBYTE = 1024 * 1024
TEXT: Json = {"type": "object", "properties": {"text": {"type": "string"}}}


def letters(size_bytes: int) -> str:
    """A text of so many bytes with characters of every length and such as are escaped."""
    unit = 'A long answer: "é", \\ and \n 木 and 🌍. '
    return (unit * (size_bytes // len(unit.encode()) + 1))[: size_bytes * 3 // 4]


async def send(socket: CheckedSocket, frames: list[Json]) -> None:
    for frame in frames:
        await socket.send(frame)


async def code_of(socket: CheckedSocket, id: str) -> str:
    frame = await reply_to(socket, id)
    assert frame["type"] == "error", frame
    code: str = frame["data"]["code"]
    return code


async def lives(socket: CheckedSocket) -> None:
    """The connection goes on, and no frame of the given ids came beside what was looked at."""
    assert (await socket.ask(type="ping"))["op"] == "pong"


async def test_a_large_answer_goes_in_parts_and_comes_back_in_parts(
    asker: Party, ana: Party
) -> None:
    request = await asker.ask(ana.entity_id, schema=TEXT)
    payload = {"text": letters(5 * MEBIBYTE)}
    async with ana.socket() as socket:
        await send(socket, cut("big", "postResponse", {"id": request, "payload": payload}))
        given = await reply_to(socket, "big")
        assert given["payload"] == payload
        assert len(parts_of(socket, "big")) > 1
        assert all(len(json.dumps(part)) < 2 * MESSAGE_BYTES for part in socket.frames)
    async with asker.socket() as socket:
        await socket.send({"type": "cmd", "id": "read", "op": "getResponse",
                           "data": {"id": request}})  # fmt: skip
        assert (await reply_to(socket, "read"))["payload"] == payload
    over_rest = await asker.done("getResponse", id=request)
    assert over_rest["payload"] == payload


async def test_a_large_prefill_goes_in_parts_and_is_kept(asker: Party, ana: Party) -> None:
    prefill = {"rows": [{"n": n, "text": letters(40)} for n in range(40_000)]}
    data = {"to": ana.entity_id, "schema": TEXT, "prefill": prefill}
    async with asker.socket() as socket:
        await send(socket, cut("big", "createRequest", data))
        made = (await reply_to(socket, "big"))["data"]
    assert (await ana.done("getRequest", id=made["requestId"]))["prefill"] == prefill


async def test_several_large_requests_are_created_by_one_bulk_call_in_parts(
    asker: Party, ana: Party
) -> None:
    item = {"to": ana.entity_id, "schema": TEXT, "prefill": {"text": "x" * MEBIBYTE}}
    async with asker.socket() as socket:
        await send(socket, cut("bulk", "bulkCreateRequests", {"items": [item] * 3}))
        assert (await reply_to(socket, "bulk"))["data"]["created"] == 3


async def test_a_command_in_parts_is_repeated_by_its_key(asker: Party, ana: Party) -> None:
    """S7"""
    request = await asker.ask(ana.entity_id, schema=TEXT)
    frames = cut("a", "postResponse", {"id": request, "payload": {"text": letters(2 * MEBIBYTE)}},
                 idempotencyKey="large")  # fmt: skip
    async with ana.socket() as socket:
        await send(socket, frames)
        first = await reply_to(socket, "a")
        await send(socket, [{**frame, "id": "b"} for frame in frames])
        assert await reply_to(socket, "b") == first
        assert all(part["meta"]["replayed"] for part in parts_of(socket, "b"))
        other = {"id": request, "payload": {"text": letters(2 * MEBIBYTE) + "!"}}
        await send(socket, cut("c", "postResponse", other, idempotencyKey="large"))
        assert await code_of(socket, "c") == "idempotency_key_reused"


async def test_other_frames_come_between_parts_both_ways(asker: Party, ana: Party) -> None:
    request = await asker.ask(ana.entity_id, schema=TEXT)
    payload = {"text": letters(3 * MEBIBYTE)}
    async with ana.socket() as socket:
        await socket.subscribe(f"request:{request}")
        for frame in cut("big", "postResponse", {"id": request, "payload": payload}):
            await socket.send(frame)
            await lives(socket)
        assert (await reply_to(socket, "big"))["payload"] == payload
        assert (await socket.event("request.answered"))["data"]["requestId"] == request


async def test_replies_in_parts_come_one_after_the_other(asker: Party, ana: Party) -> None:
    prefill = {"text": letters(2 * MEBIBYTE)}
    request = await asker.ask(ana.entity_id, prefill=prefill)
    ids = [f"read-{n}" for n in range(4)]
    async with ana.socket() as socket:
        for id in ids:
            await socket.send({"type": "cmd", "id": id, "op": "getRequest",
                               "data": {"id": request}})  # fmt: skip
        for id in ids:
            assert (await reply_to(socket, id))["prefill"] == prefill
        order = [frame["id"] for frame in socket.frames if "part" in frame.get("meta", {})]
    changes = sum(one != other for one, other in pairwise(order))
    assert changes == len(ids) - 1


def _frames(**meta: Any) -> list[Json]:
    return cut("p", "postResponse", {"id": "x" * 26, "payload": "y" * 60}, size=20, **meta)


def _swapped() -> list[Json]:
    first, second, third, *rest = _frames()
    return [first, third, second, *rest]


def _changed(at: int, **members: Any) -> list[Json]:
    frames = _frames()
    meta = {**frames[at]["meta"], **members.pop("meta", {})}
    frames[at] = {**frames[at], **members, "meta": meta}
    return frames


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(_swapped(), id="out of order"),
        pytest.param(_frames()[1:], id="without the first"),
        pytest.param([_frames()[0], *_frames()], id="the first one twice"),
        pytest.param(_changed(2, meta={"of": 9}), id="another number of parts"),
        pytest.param(_changed(2, meta={"sha256": "0" * 64}), id="another hash"),
        pytest.param(_changed(2, op="createRequest"), id="another operation"),
        pytest.param(_changed(2, meta={"idempotencyKey": "k"}), id="a key that comes late"),
        pytest.param(_changed(-1, data="changed in transit"), id="not what was hashed"),
        pytest.param([{**frame, "op": "claimRequest"} for frame in _frames()], id="a small op"),
    ],
)
async def test_parts_that_do_not_fit_together_are_refused_once_and_the_connection_goes_on(
    ana: Party, frames: list[Json]
) -> None:
    async with ana.socket() as socket:
        # Not held to the contract on the way out: the frames are wrong.
        await send(socket, frames)
        await lives(socket)
        assert socket.errors() == ["invalid_parts"]
        assert socket.others == []
        await send(socket, _frames())
        await lives(socket)
        # Whole now: the request that they are about is none.
        assert await code_of_last(socket) == "not_found"


async def code_of_last(socket: CheckedSocket) -> str:
    await socket.until(lambda: len(socket.errors()) == 2)
    return socket.errors()[-1]


@pytest.mark.parametrize(
    "meta",
    [
        {"part": 0}, {"part": 1.5}, {"part": "1"}, {"of": 0}, {"of": 1025}, {"sha256": "ABC"},
        {"sha256": None}, {"encoding": "gzip"}, {"part": None},
    ],
    ids=str,
)  # fmt: skip
async def test_a_part_that_says_no_sound_number_or_hash_is_an_invalid_request(
    ana: Party, meta: Json
) -> None:
    frame = _changed(0, meta=meta)[0]
    async with ana.socket() as socket:
        assert (await socket.ask(**frame))["data"]["code"] == "invalid_request"
        await lives(socket)


async def test_a_payload_that_begins_gives_up_the_one_before_it(asker: Party, ana: Party) -> None:
    request = await asker.ask(ana.entity_id, schema=TEXT)
    given_up = cut("old", "postResponse", {"id": request, "payload": {"text": "x" * 100}}, size=50)
    new = cut("new", "postResponse", {"id": request, "payload": {"text": "y" * 100}}, size=50)
    async with ana.socket() as socket:
        await send(socket, [given_up[0], new[0], given_up[1], *new[1:], *given_up[2:]])
        assert await code_of(socket, "old") == "invalid_parts"
        assert (await reply_to(socket, "new"))["data"]["payload"] == {"text": "y" * 100}
        await lives(socket)
        assert socket.errors() == ["invalid_parts"]


async def test_parts_of_more_than_16_mib_are_refused_and_the_connection_goes_on(
    ana: Party,
) -> None:
    frames = cut("huge", "postResponse", {"id": "x" * 26, "payload": "y" * (17 * MEBIBYTE)},
                 size=900_000)  # fmt: skip
    async with ana.socket() as socket:
        await send(socket, frames)
        assert await code_of(socket, "huge") == "payload_too_large"
        await lives(socket)
        assert socket.errors() == ["payload_too_large"]


async def test_a_whole_text_that_is_no_input_is_refused_like_any_other(
    asker: Party, ana: Party
) -> None:
    request = await asker.ask(ana.entity_id, schema=TEXT)
    answer, fill = f'{{"id": "{request}", "payload": ', "x" * MEBIBYTE
    inputs = [
        (answer, "malformed_json"),
        ("[]", "invalid_request"),
        (answer + '{"text": 1}}', "invalid_answer"),
        (answer + f'{{"text": "{fill}\\u0000"}}}}', "unsupported_text"),
        (answer + "[" * 500_000 + "]" * 500_000 + "}", "too_deep"),
        (answer + f'"{fill}", "extra": 1}}', "invalid_request"),
        (answer + f'1, "extra": "{fill}{fill}"}}', "payload_too_large"),
    ]
    async with ana.socket() as socket:
        for n, (text, code) in enumerate(inputs):
            await send(socket, cut_text(f"c{n}", "postResponse", text))
            assert await code_of(socket, f"c{n}") == code, text[:80]
        await lives(socket)
