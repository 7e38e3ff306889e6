"""The two wires that the load client speaks, each as the same few messages."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec
from msgspec import UNSET, Struct, UnsetType

SCHEMA: Final = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Expense approval",
    "type": "object",
    "required": ["decision", "amount", "costCentre", "items"],
    "additionalProperties": False,
    "properties": {
        "decision": {"enum": ["approve", "reject", "ask"]},
        "amount": {"type": "number", "minimum": 0, "maximum": 100000},
        "costCentre": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{4}$"},
        "due": {"type": "string", "format": "date"},
        "comment": {"type": "string", "maxLength": 500},
        "items": {
            "type": "array",
            "maxItems": 20,
            "items": {
                "type": "object",
                "required": ["what", "price"],
                "properties": {"what": {"type": "string"}, "price": {"type": "number"}},
            },
        },
    },
}
ANSWER: Final = {
    "decision": "approve",
    "amount": 182.5,
    "costCentre": "FR-2041",
    "due": "2031-04-01",
    "comment": "The hotel is above the limit, but it was the only one left.",
    "items": [{"what": "Hotel", "price": 140}, {"what": "Train", "price": 42.5}],
}
PAYLOAD: Final = msgspec.json.encode(ANSWER).decode()


class Event(Struct, frozen=True, gc=False):
    """An event on a channel; `created`, `claimed`, `answered` are the kinds that matter here."""

    channel: str
    seq: int
    kind: str
    request: str


class Reply(Struct, frozen=True, gc=False):
    """The answer to the command or subscription `id`; `head` is a subscription's position."""

    id: int
    request: str = ""
    head: int = 0


class CommandFailed(Exception):
    """A command got an error where the benchmark expects none."""


class Dialect(Protocol):
    """How one server is spoken to. Paths and texts for three steps, and what comes back."""

    socket_path: str

    def subscribe(self, id: int, channel: str) -> bytes: ...

    def create(self, id: int, to: str) -> bytes: ...

    def claim(self, id: int, request: str) -> bytes: ...

    def answer(self, id: int, request: str) -> bytes: ...

    def create_call(self, to: str) -> tuple[str, bytes]: ...

    def claim_call(self, request: str) -> tuple[str, bytes]: ...

    def answer_call(self, request: str) -> tuple[str, bytes]: ...

    def read(self, text: bytes) -> Event | Reply | None:
        """Read a WebSocket message; None for one that does not matter. Raises CommandFailed."""
        ...

    def read_call(self, status: int, body: bytes) -> str:
        """The request's id in the reply to a call. Raises CommandFailed."""
        ...


def check_status(status: int, body: bytes) -> None:
    if status not in (200, 201):
        raise CommandFailed(f"HTTP {status}: {body[:500].decode(errors='replace')}")


class _PxData(Struct, rename="camel"):
    type: str = ""
    id: str = ""
    request_id: str = ""


class _PxMessage(Struct):
    type: str
    id: str = ""
    op: str = ""
    channel: str = ""
    seq: int = 0
    data: _PxData | UnsetType = UNSET


_PX_MESSAGES: Final = msgspec.json.Decoder(_PxMessage)
_PX_REPLIES: Final = msgspec.json.Decoder(_PxData)


class PxBox:
    """The broker's wire, as its contract says."""

    socket_path = "/v1/ws"

    def __init__(self) -> None:
        self._schema = msgspec.json.encode(SCHEMA).decode()

    def subscribe(self, id: int, channel: str) -> bytes:
        return f'{{"type":"subscribe","id":"{id}","channel":"{channel}"}}'.encode()

    def create(self, id: int, to: str) -> bytes:
        return self._command(id, "createRequest", self._create(to))

    def claim(self, id: int, request: str) -> bytes:
        return self._command(id, "claimRequest", f'{{"id":"{request}"}}')

    def answer(self, id: int, request: str) -> bytes:
        return self._command(id, "postResponse", f'{{"id":"{request}","payload":{PAYLOAD}}}')

    def create_call(self, to: str) -> tuple[str, bytes]:
        return "/v1/requests", self._create(to).encode()

    def claim_call(self, request: str) -> tuple[str, bytes]:
        return f"/v1/requests/{request}/claim", b"{}"

    def answer_call(self, request: str) -> tuple[str, bytes]:
        return f"/v1/requests/{request}/response", f'{{"payload":{PAYLOAD}}}'.encode()

    def read(self, text: bytes) -> Event | Reply | None:
        message = _PX_MESSAGES.decode(text)
        data = message.data
        if message.type == "event" and data is not UNSET:
            kind = data.type.removeprefix("request.")
            return Event(message.channel, message.seq, kind, data.request_id)
        if message.type == "response" and data is not UNSET:
            return Reply(int(message.id), request=data.request_id or data.id)
        if message.type == "ack" and message.op == "subscribed":
            return Reply(int(message.id), head=message.seq)
        if message.type in ("error", "recovered"):
            raise CommandFailed(text[:500].decode(errors="replace"))
        return None

    def read_call(self, status: int, body: bytes) -> str:
        check_status(status, body)
        reply = _PX_REPLIES.decode(body)
        return reply.request_id or reply.id

    def _create(self, to: str) -> str:
        return f'{{"to":"{to}","schema":{self._schema}}}'

    @staticmethod
    def _command(id: int, op: str, data: str) -> bytes:
        return f'{{"type":"cmd","id":"{id}","op":"{op}","data":{data}}}'.encode()


class _PeerData(Struct, rename="camel"):
    type: str = ""
    request_id: str = ""
    head: int = 0


class _PeerMessage(Struct):
    id: int = 0
    ok: _PeerData | UnsetType = UNSET
    error: object | UnsetType = UNSET
    channel: str = ""
    seq: int = 0
    event: _PeerData | UnsetType = UNSET


_PEER_MESSAGES: Final = msgspec.json.Decoder(_PeerMessage)
_PEER_REPLIES: Final = msgspec.json.Decoder(_PeerData)


class Peer:
    """The wire of `bench/peers/starlette_app.py`."""

    socket_path = "/ws"

    def __init__(self) -> None:
        self._schema = msgspec.json.encode(SCHEMA).decode()

    def subscribe(self, id: int, channel: str) -> bytes:
        return f'{{"id":{id},"op":"subscribe","data":{{"channel":"{channel}"}}}}'.encode()

    def create(self, id: int, to: str) -> bytes:
        return f'{{"id":{id},"op":"create","data":{self._create(to)}}}'.encode()

    def claim(self, id: int, request: str) -> bytes:
        return f'{{"id":{id},"op":"claim","data":{{"id":"{request}"}}}}'.encode()

    def answer(self, id: int, request: str) -> bytes:
        data = f'{{"id":"{request}","payload":{PAYLOAD}}}'
        return f'{{"id":{id},"op":"answer","data":{data}}}'.encode()

    def create_call(self, to: str) -> tuple[str, bytes]:
        return "/requests", self._create(to).encode()

    def claim_call(self, request: str) -> tuple[str, bytes]:
        return f"/requests/{request}/claim", b"{}"

    def answer_call(self, request: str) -> tuple[str, bytes]:
        return f"/requests/{request}/response", f'{{"payload":{PAYLOAD}}}'.encode()

    def read(self, text: bytes) -> Event | Reply | None:
        message = _PEER_MESSAGES.decode(text)
        event, ok = message.event, message.ok
        if event is not UNSET:
            kind = event.type.removeprefix("request.")
            return Event(message.channel, message.seq, kind, event.request_id)
        if ok is not UNSET:
            return Reply(message.id, request=ok.request_id, head=ok.head)
        raise CommandFailed(text[:500].decode(errors="replace"))

    def read_call(self, status: int, body: bytes) -> str:
        check_status(status, body)
        return _PEER_REPLIES.decode(body).request_id

    def _create(self, to: str) -> str:
        return f'{{"to":"{to}","schema":{self._schema}}}'


DIALECTS: Final[dict[str, type[PxBox] | type[Peer]]] = {"pxbox": PxBox, "peer": Peer}
