"""The parts of one connection: in time, within the room, and with nothing held back."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
import trio
from msgspec import Raw
from trio.testing import MockClock

from pxbox.model.errors import PxError
from pxbox.service.room import Room
from pxbox.ws.messages import Cmd
from pxbox.ws.parts import PartsLimits, Reassembly

ROOM = 1_000
LIMITS = PartsLimits(payload_bytes=500, seconds=60)


def parts(id: str, text: str, size: int) -> list[Cmd]:
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    meta = {"of": len(pieces), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    return [
        Cmd(id, "postResponse", Raw(msgspec.json.encode(piece)), {**meta, "part": number})
        for number, piece in enumerate(pieces, start=1)
    ]


@dataclass
class Connection:
    reassembly: Reassembly
    refused: list[tuple[str, str, float]] = field(default_factory=list)

    def take(self, frames: list[Cmd]) -> bytes | None:
        """The text of the command, once the last of these made it whole."""
        text = None
        for frame in frames:
            whole = self.reassembly.take(frame)
            if whole is not None:
                text = bytes(whole.command.data)
                whole.held.release()
        return text


@asynccontextmanager
async def connection(room: Room) -> AsyncIterator[Connection]:
    def refused(id: str, op: str, error: PxError) -> None:
        one.refused.append((id, error.code, trio.current_time()))

    one = Connection(Reassembly(room, LIMITS, refused))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.reassembly.watch)
        yield one
        one.reassembly.close()
        nursery.cancel_scope.cancel()


async def test_what_is_not_whole_in_time_is_refused_and_what_else_comes_of_it_is_dropped(
    autojump_clock: MockClock,
) -> None:
    room = Room(ROOM)
    started = trio.current_time()
    async with connection(room) as one:
        frames = parts("slow", "x" * 100, 10)
        one.take(frames[:3])
        # More parts do not prolong it: what counts is the first one.
        await trio.sleep(40)
        one.take(frames[3:5])
        await trio.sleep(19)
        assert one.refused == []
        await trio.sleep(2)
        assert one.refused == [("slow", "request_timeout", started + 60)]
        assert room.free_bytes == ROOM
        assert one.take(frames[5:]) is None
        assert len(one.refused) == 1
        assert one.take(parts("next", "y" * 20, 10)) == b"y" * 20


async def test_each_payload_has_a_time_of_its_own(autojump_clock: MockClock) -> None:
    room = Room(ROOM)
    async with connection(room) as one:
        for n in range(5):
            frames = parts(f"p{n}", "x" * 30, 10)
            one.take(frames[:2])
            await trio.sleep(45)
            assert one.take(frames[2:]) == b"x" * 30
        assert one.refused == []


async def test_connections_share_the_room_and_give_back_what_they_took() -> None:
    """X4"""
    room = Room(ROOM)
    async with connection(room) as one, connection(room) as other, connection(room) as third:
        one.take(parts("a", "x" * 500, 100)[:4])
        other.take(parts("b", "x" * 500, 100)[:4])
        assert room.free_bytes == ROOM - 800
        third.take(parts("c", "x" * 300, 100))
        assert [code for _, code, _ in third.refused] == ["overloaded"]
        assert room.free_bytes == ROOM - 800
        assert other.take(parts("b", "x" * 500, 100)[4:]) == b"x" * 500
        assert third.take(parts("d", "x" * 300, 100)) == b"x" * 300
    assert room.free_bytes == ROOM


async def test_a_payload_is_so_large_and_no_larger() -> None:
    room = Room(ROOM)
    async with connection(room) as one:
        assert one.take(parts("fits", "é" * 250, 100)) == "é".encode() * 250
        one.take(parts("more", "é" * 250 + "x", 100))
        assert [(id, code) for id, code, _ in one.refused] == [("more", "payload_too_large")]
    assert room.free_bytes == ROOM
