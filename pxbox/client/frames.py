"""The frames of `/v1/ws` as the client sees them: what it sends, what it reads."""

from __future__ import annotations

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


def encode_command(id: str, op: str, data: bytes, key: str | None) -> str:
    """A `cmd` frame; `data` is JSON already."""
    meta = {"idempotencyKey": key} if key else None
    return _encoder.encode(_Command("cmd", id, op, Raw(data), meta)).decode()


def encode_frame(type: str, **members: object) -> str:
    """Any other frame."""
    return _encoder.encode({"type": type, **members}).decode()
