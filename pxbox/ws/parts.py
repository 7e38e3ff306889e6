"""Payloads that are longer than a message: they travel in parts, both ways (schemas/README.md,
"Payloads in parts")."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeGuard

import msgspec
import trio
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from pxbox.model.decoding import decode_typed
from pxbox.model.errors import (
    InvalidParts,
    PayloadTooLarge,
    PxError,
    RequestTimeout,
)
from pxbox.service import operations
from pxbox.service.room import Held, Room
from pxbox.ws.messages import ClientFrame, Cmd, ServerFrame, encode
from pxbox.ws.outbox import Outbox

MOST_PARTS = 1024
MESSAGE_BYTES = 1024 * 1024
"""A reply whose frame is longer is sent in parts."""
_PIECE_BYTES = 256 * 1024
_CONTINUES = range(0x80, 0xC0)  # a byte of UTF-8 that does not begin a character


@dataclass(frozen=True, slots=True)
class PartsLimits:
    """`payload_bytes`: of the text that the parts make together. `seconds`: from the first part
    to the last. `part_seconds`: how long a peer may take to take one in."""

    payload_bytes: int = 16 * 1024 * 1024
    seconds: float = 60.0
    part_seconds: float = 60.0


class PartMeta(Struct, rename="camel", forbid_unknown_fields=True):
    part: Annotated[int, Meta(ge=1, le=MOST_PARTS)]
    of: Annotated[int, Meta(ge=1, le=MOST_PARTS)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    idempotency_key: str | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Whole:
    """A command whose parts are all there; `held` is what they take of the room."""

    command: Cmd
    held: Held


def is_part(frame: ClientFrame) -> TypeGuard[Cmd]:
    return isinstance(frame, Cmd) and "part" in frame.meta


OnRefused = Callable[[str, str, PxError], None]
"""Hears the id and the operation of a command in parts that will not be carried out."""


class Reassembly:
    """The commands that come in parts on one connection, one at a time.

    Whatever is wrong with one goes to `on_refused`, once; what else of it comes is dropped.
    """

    def __init__(self, room: Room, limits: PartsLimits, on_refused: OnRefused) -> None:
        self._room = room
        self._limits = limits
        self._on_refused = on_refused
        self._begun: _Begun | None = None
        self._dropped: str | None = None
        self._changed = trio.Event()

    def take(self, frame: Cmd) -> Whole | None:
        """Take one part; the command, once this was its last one."""
        try:
            return self._take(frame)
        except PxError as error:
            self._refuse(frame.id, frame.op, error)
            return None

    async def watch(self) -> None:
        """Refuse what is not whole in time, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            begun = self._begun
            if begun is None:
                continue
            with trio.move_on_at(begun.until):
                await self._changed.wait()
            if self._begun is begun and trio.current_time() >= begun.until:
                late = f"the parts did not all arrive within {self._limits.seconds:g} s"
                self._refuse(begun.id, begun.op, RequestTimeout(late))

    def close(self) -> None:
        """Give back what the parts of an unfinished command take."""
        if self._begun is not None:
            self._begun.held.release()
            self._begun = None

    def _take(self, frame: Cmd) -> Whole | None:
        meta = decode_typed(msgspec.json.encode(frame.meta), PartMeta)
        if meta.part == 1 and (self._begun is None or self._begun.id != frame.id):
            self._begin(frame, meta)
        begun = self._begun
        if begun is None or begun.id != frame.id:
            if self._dropped == frame.id:
                return None
            raise InvalidParts("this part belongs to no command that has begun with its first one")
        begun.add(frame, meta, self._limits.payload_bytes)
        if meta.part < meta.of:
            return None
        whole = begun.whole()
        self._begun = None
        self._changed.set()
        return whole

    def _begin(self, frame: Cmd, meta: PartMeta) -> None:
        if self._begun is not None:
            other = "another payload in parts has begun; a connection sends one at a time"
            self._refuse(self._begun.id, self._begun.op, InvalidParts(other))
        if not operations.find(frame.op).large:
            raise InvalidParts(f"{frame.op} takes no payload that could be large; send it whole")
        until = trio.current_time() + self._limits.seconds
        self._begun = _Begun(frame.id, frame.op, meta, self._room.hold(), until)
        self._changed.set()

    def _refuse(self, id: str, op: str, error: PxError) -> None:
        if self._begun is not None and self._begun.id == id:
            self.close()
            self._changed.set()
        self._dropped = id
        self._on_refused(id, op, error)


class _Begun:
    """A command of which some parts are there."""

    def __init__(self, id: str, op: str, first: PartMeta, held: Held, until: float) -> None:
        self.id = id
        self.op = op
        self.held = held
        self.until = until
        self._first = first
        self._pieces: list[bytes] = []
        self._size_bytes = 0
        self._hash = hashlib.sha256()

    def add(self, frame: Cmd, meta: PartMeta, most_bytes: int) -> None:
        """Take the next part. Raises InvalidParts, PayloadTooLarge, Overloaded."""
        expected = len(self._pieces) + 1
        if meta.part != expected:
            raise InvalidParts(f"part {meta.part} came where part {expected} was to come")
        alike = msgspec.structs.replace(meta, part=self._first.part) == self._first
        if not alike or frame.op != self.op:
            raise InvalidParts("a part differs from the first one in more than `part` and `data`")
        piece = decode_typed(bytes(frame.data), _Piece).encode()
        if self._size_bytes + len(piece) > most_bytes:
            raise PayloadTooLarge(f"a payload in parts has at most {most_bytes:,} bytes")
        self.held.grow(len(piece))
        self._pieces.append(piece)
        self._size_bytes += len(piece)
        self._hash.update(piece)

    def whole(self) -> Whole:
        """The command. Raises InvalidParts where it does not have the hash."""
        if self._hash.hexdigest() != self._first.sha256:
            raise InvalidParts("the parts together do not have the hash that they name")
        key = self._first.idempotency_key
        meta: dict[str, Any] = {} if key is UNSET else {"idempotencyKey": key}
        return Whole(Cmd(self.id, self.op, Raw(b"".join(self._pieces)), meta), self.held)


_Piece = Annotated[str, Meta(min_length=1)]


class Replies:
    """The replies of one connection: whole where they fit into a message, else in parts.

    What their sender waits for is no lag of the reader's, however much it is (E10): parts go out
    one by one as the outbox drains, those of one reply after those of another.
    """

    def __init__(self, outbox: Outbox, room: Room, limits: PartsLimits) -> None:
        self.limits = limits
        self._outbox = outbox
        self._room = room
        self._turn = trio.Lock()

    async def send(self, frame: ServerFrame, data: bytes) -> None:
        """Send `frame` with this JSON as its `data`. Raises Overloaded, and what `send_all` of the
        outbox raises."""
        if len(data) <= MESSAGE_BYTES // 2:
            await self._outbox.send_all(encode(_with(frame, Raw(data))))
            return
        with self._room.hold(len(data)):
            whole = encode(_with(frame, Raw(data)))
            if len(whole) <= MESSAGE_BYTES:
                await self._outbox.send_all(whole)
                return
            async with self._turn:
                await self._send_parts(frame, data)

    async def _send_parts(self, frame: ServerFrame, data: bytes) -> None:
        cuts = list(_cuts(data))
        meta = {} if frame.meta is UNSET else dict(frame.meta)
        meta |= {"of": len(cuts), "sha256": await trio.to_thread.run_sync(_sha256, data)}
        for number, (begin, end) in enumerate(cuts, start=1):
            part = _with(frame, data[begin:end].decode())
            part.meta = {**meta, "part": number}
            with trio.move_on_after(self.limits.part_seconds) as patience:
                await self._outbox.send_all(encode(part))
            if patience.cancelled_caught:
                self._outbox.give_up()


def _with(frame: ServerFrame, data: object) -> ServerFrame:
    return msgspec.structs.replace(frame, data=data)


def _cuts(data: bytes) -> Iterator[tuple[int, int]]:
    """Where to cut this UTF-8: between characters, into pieces that fit however they are
    escaped."""
    begin = 0
    while begin < len(data):
        end = min(begin + _PIECE_BYTES, len(data))
        while end < len(data) and data[end] in _CONTINUES:
            end -= 1
        yield begin, end
        begin = end


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
