"""The frames of the protocol as types: what clients send, and what is sent to them."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from pxbox.model.decoding import decode_json, invalid_input
from pxbox.model.errors import InvalidRequest, NotSupported
from pxbox.ws.frames import text_frame

_encoder = msgspec.json.Encoder()

MOST_LAST = 1_000

FrameId = Annotated[str, Meta(min_length=1, max_length=128)]


class _Client(Struct, tag_field="type", forbid_unknown_fields=True):
    """A frame of a client; members that its type does not use are refused."""


class Cmd(_Client, tag="cmd"):
    id: FrameId
    op: str
    data: Raw = Raw(b"{}")
    meta: dict[str, Any] = {}


class Newest(Struct, forbid_unknown_fields=True):
    last: Annotated[int, Meta(ge=1, le=MOST_LAST)]


class Subscribe(_Client, tag="subscribe"):
    id: FrameId
    channel: str
    data: Newest | UnsetType = UNSET


class Unsubscribe(_Client, tag="unsubscribe"):
    id: FrameId
    channel: str


class Resume(_Client, tag="resume"):
    id: FrameId
    channel: str
    since: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    epoch: str | UnsetType = UNSET


class Ack(_Client, tag="ack"):
    channel: str
    seq: Annotated[int, Meta(ge=0)]
    id: FrameId | UnsetType = UNSET


class Ping(_Client, tag="ping"):
    id: FrameId


class NewToken(Struct, forbid_unknown_fields=True):
    token: Annotated[str, Meta(min_length=1, max_length=8192)]


class Auth(_Client, tag="auth"):
    id: FrameId
    data: NewToken


ClientFrame = Cmd | Subscribe | Unsubscribe | Resume | Ack | Ping | Auth
_decode_frame = msgspec.json.Decoder(ClientFrame).decode


class ServerFrame(Struct, omit_defaults=True):
    """Any frame of the broker."""

    type: str
    id: str | UnsetType = UNSET
    op: str | UnsetType = UNSET
    channel: str | UnsetType = UNSET
    seq: int | UnsetType = UNSET
    epoch: str | UnsetType = UNSET
    data: Any = UNSET
    meta: dict[str, Any] | UnsetType = UNSET


def read_frame(raw: bytes) -> ClientFrame:
    """A client's frame. Raises what `decode_json` raises, and InvalidRequest."""
    decode_json(raw)
    try:
        frame: ClientFrame = _decode_frame(raw)
        return frame
    except msgspec.ValidationError as error:
        raise invalid_input(error) from None


class _Identified(Struct):
    id: FrameId | UnsetType = UNSET


def frame_id(raw: bytes) -> str | UnsetType:
    """The id of a frame that cannot be read as one, if that much can be read of it."""
    try:
        return msgspec.json.decode(raw, type=_Identified).id
    except (msgspec.MsgspecError, RecursionError):
        return UNSET


def idempotency_key(frame: Cmd) -> str | None:
    """The key of a command. Raises NotSupported for other members of `meta`."""
    meta = dict(frame.meta)
    key = meta.pop("idempotencyKey", None)
    if meta:
        raise NotSupported(f"`meta.{next(iter(meta))[:64]}` is not supported yet; leave it out")
    if key is not None and not isinstance(key, str):
        raise InvalidRequest("`meta.idempotencyKey` is a string")
    return key


def encode(frame: ServerFrame) -> bytes:
    """The frame as a finished WebSocket frame."""
    return text_frame(_encoder.encode(frame))


def join_events(payloads: list[bytes]) -> bytes:
    """The finished `events` frame of these `event` frames' payloads."""
    return text_frame(b'{"type":"events","data":[%b]}' % b",".join(payloads))


class EventEncoder:
    """Makes the finished frame of an event, once for all its subscribers (E10)."""

    def __init__(self, epoch: str) -> None:
        self.begin_epoch(epoch)

    def begin_epoch(self, epoch: str) -> None:
        """Name this epoch in what is encoded from now on."""
        self._epoch = _encoder.encode(epoch)

    def __call__(self, channel: str, seq: int, data: bytes) -> bytes:
        name = _encoder.encode(channel)
        return text_frame(
            b'{"type":"event","channel":%b,"seq":%d,"epoch":%b,"data":%b}'
            % (name, seq, self._epoch, data)
        )
