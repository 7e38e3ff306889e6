"""The frames of `/v1/ws` as the client sees them: what it sends, what it reads."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from msgspec import Raw, Struct

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


def encode_frame(type: str, **members: object) -> str:
    """Any other frame."""
    return _encoder.encode({"type": type, **members}).decode()
