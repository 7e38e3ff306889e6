"""The frames of `/v1/ws` as the client sees them: what it sends, what it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Raw, Struct

# A message of the broker's contract is at most 1 MiB, with its envelope.
MOST_MESSAGE_BYTES = 1_000_000
PIECE_BYTES = 256 * 1024
MOST_PARTS = 1024
_CONTINUES = range(0x80, 0xC0)  # a byte of UTF-8 that does not begin a character

_encoder = msgspec.json.Encoder()


class Frame(Struct):
    """Any frame of the broker's; a type or member that is not known here is passed over."""

    type: str
    id: str | None = None
    op: str | None = None
    channel: str = ""
    seq: int = 0
    epoch: str = ""
    data: Raw = Raw(b"null")
    meta: dict[str, Any] | None = None

    def read(self) -> Any:
        """What `data` says."""
        return msgspec.json.decode(self.data)


class _Command(Struct, omit_defaults=True):
    type: str
    id: str
    op: str
    data: Raw
    meta: dict[str, Any] | None = None


class _Part(Struct):
    type: str
    id: str
    op: str
    data: str
    meta: dict[str, Any]


decode_frame = msgspec.json.Decoder(Frame).decode
decode_frames = msgspec.json.Decoder(list[Frame]).decode


class Parts:
    """Joins replies that come in parts: one reply after another, each in order."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._texts: list[str] = []

    def join(self, frame: Frame) -> Frame | None:
        """The whole reply once its last part has come; None before. Raises ValueError."""
        meta = frame.meta or {}
        part = meta.get("part")
        if part is None:
            return frame
        if part == 1:
            self._id, self._texts = frame.id, []
        if frame.id != self._id or part != len(self._texts) + 1:
            raise ValueError("a part of a reply came out of turn")
        self._texts.append(frame.read())
        if part < meta["of"]:
            return None
        whole = "".join(self._texts).encode()
        self._id, self._texts = None, []
        if hashlib.sha256(whole).hexdigest() != meta["sha256"]:
            raise ValueError("the parts of a reply do not have its hash")
        frame.data = Raw(whole)
        return frame


def encode_command(id: str, op: str, data: bytes, key: str | None) -> str:
    """A `cmd` frame; `data` is JSON already."""
    meta = {"idempotencyKey": key} if key else None
    return _encoder.encode(_Command("cmd", id, op, Raw(data), meta)).decode()


def encode_parts(id: str, op: str, data: bytes, key: str | None, sha256: str) -> Iterator[str]:
    """The `cmd` frames of a command whose `data`, JSON already, does not fit into a message."""
    cuts = list(_cuts(data))
    meta: dict[str, Any] = {"of": len(cuts), "sha256": sha256}
    if key:
        meta["idempotencyKey"] = key
    for part, (begin, end) in enumerate(cuts, start=1):
        piece = data[begin:end].decode()
        yield _encoder.encode(_Part("cmd", id, op, piece, {**meta, "part": part})).decode()


def _cuts(data: bytes) -> Iterator[tuple[int, int]]:
    """Where to cut this UTF-8: between characters, into pieces that fit however they are
    escaped."""
    begin = 0
    while begin < len(data):
        end = min(begin + PIECE_BYTES, len(data))
        while end < len(data) and data[end] in _CONTINUES:
            end -= 1
        yield begin, end
        begin = end


def encode_frame(type: str, **members: object) -> str:
    """Any other frame."""
    return _encoder.encode({"type": type, **members}).decode()
