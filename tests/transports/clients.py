"""Clients of a broker whose every reply and frame is held to the contract."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import httpx
import msgspec
import pytest
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)  # fmt: skip

from pxbox.rest.routes import ROUTES
from tests.brokers import CLOSE_SECONDS, EVERYTHING, Broker, Socket
from tests.contract.documents import Json, validator
from tests.transports.checking import check_frame, check_reply

APP = "https://app.example"
GRACE_SECONDS = 11
ANYTHING: Json = {}
CITY: Json = {
    "title": "Where",
    "type": "object",
    "required": ["city"],
    "properties": {"city": {"type": "string", "minLength": 1}},
}


def unique(stem: str) -> str:
    """A name that no other test has, fit for a handle and for a `sub`."""
    return f"{stem}-{uuid4().hex[:12]}"


def checked(broker: Broker, token: str | None = None) -> httpx.AsyncClient:
    """A REST client whose replies are held to the contract; to be used as a context manager."""
    client = broker.rest(token)
    client.event_hooks = {"response": [check_reply]}
    return client


class CheckedSocket(Socket):
    """A WebSocket whose frames are held to the contract; `frames` are all, as they came.

    `stream` is what it speaks over.
    """

    def __init__(self, connection: WebSocketConnection, stream: trio.SocketStream) -> None:
        super().__init__(connection)
        self.stream = stream
        self.frames: list[Json] = []

    async def say(self, message: str | bytes) -> None:
        """Send this message as it is. Raises ConnectionError if the connection has ended."""
        try:
            await self.connection.send_message(message)
        except ConnectionClosed as error:
            raise ConnectionError(str(error)) from None

    def _take(self, frame: Json) -> None:
        check_frame(frame)
        self.frames.append(frame)
        super()._take(frame)

    def errors(self) -> list[str]:
        """The codes of all error frames, in their order."""
        return [frame["data"]["code"] for frame in self.frames if frame["type"] == "error"]

    def seqs(self, channel: str) -> list[int]:
        """The numbers of the events of a channel, in the order in which they came."""
        return [event["seq"] for event in self.events if event["channel"] == channel]


@asynccontextmanager
async def connected(
    broker: Broker,
    token: str | None = None,
    *,
    headers: Sequence[tuple[bytes, bytes]] = (),
    subprotocols: Sequence[str] = (),
    host: str | None = None,
    path: str = "/v1/ws",
) -> AsyncIterator[CheckedSocket]:
    """A WebSocket connection, open as long as the block lasts.

    Raises trio_websocket's HandshakeError where it is refused; what the block raises comes out as
    it is, in no group.
    """
    sent = [*headers, *([(b"authorization", f"Bearer {token}".encode())] if token else [])]
    where = urlsplit(broker.url)
    failure: Exception | None = None
    stream = await trio.open_tcp_stream(where.hostname or "", where.port or 0)
    with _ungrouped():
        async with stream, trio.open_nursery() as nursery:
            try:
                connection = await wrap_client_stream(
                    nursery, stream, host or where.netloc, path, subprotocols=subprotocols,
                    extra_headers=sent,
                )  # fmt: skip
                socket = CheckedSocket(connection, stream)
                nursery.start_soon(socket.read)
                yield socket
                with trio.move_on_after(CLOSE_SECONDS):
                    await connection.aclose()
            except Exception as error:
                failure = error
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def refusal(broker: Broker, *args: Any, **kwargs: Any) -> tuple[int, str, dict[bytes, bytes]]:
    """The status, code and headers by which a handshake is refused, by a problem document."""
    with pytest.raises(ConnectionRejected) as refused:
        async with connected(broker, *args, **kwargs):
            pytest.fail("the handshake was accepted")
    assert refused.value.headers is not None
    headers = {bytes(name).lower(): bytes(value) for name, value in refused.value.headers}
    assert headers[b"content-type"] == b"application/problem+json"
    problem = msgspec.json.decode(refused.value.body or b"")
    validator("Problem").validate(problem)
    assert problem["status"] == refused.value.status_code
    return refused.value.status_code, problem["code"], headers


def notices(socket: Socket, code: str) -> list[Json]:
    """The notices of this code, in the order in which they came."""
    told = [frame["data"] for frame in socket.others if frame["type"] == "notice"]
    return [notice for notice in told if notice["code"] == code]


@contextmanager
def _ungrouped() -> Iterator[None]:
    """A refusal with a body is raised by trio_websocket's reader: it is to come out alone."""
    try:
        yield
    except BaseExceptionGroup as group:
        refused = group.subgroup(HandshakeError)
        if refused is None:
            raise
        raise _first(refused) from None


def _first(group: BaseExceptionGroup[HandshakeError]) -> HandshakeError:
    found = group.exceptions[0]
    return found if isinstance(found, HandshakeError) else _first(found)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an operation came to, over either transport. `code` is None where it was done; `body`
    is then the reply, else the problem."""

    code: str | None
    body: Any
    replayed: bool


async def over_rest(
    client: httpx.AsyncClient, op: str, data: Mapping[str, Any], key: str | None = None
) -> Outcome:
    """Carry out an operation by its first route."""
    route = next(route for route in ROUTES if route.operation == op)
    rest = dict(data)
    path = route.path
    for name in ("id", "member", "name"):
        if f"{{{name}}}" in path:
            path = path.replace(f"{{{name}}}", quote(str(rest.pop(name)), safe=""))
    headers = {"Idempotency-Key": key} if key is not None else {}
    if route.method == "GET":
        reply = await client.get(path, params=rest, headers=headers)
    elif route.by_query:
        reply = await client.request(route.method, path, params=rest, headers=headers)
    else:
        reply = await client.request(route.method, path, json=rest, headers=headers)
    body = reply.json()
    code = None if reply.is_success else body["code"]
    return Outcome(code, body, reply.headers.get("idempotent-replayed") == "true")


async def over_websocket(
    socket: Socket, op: str, data: Mapping[str, Any], key: str | None = None
) -> Outcome:
    """Carry out an operation by a command."""
    meta = {"meta": {"idempotencyKey": key}} if key is not None else {}
    reply = await socket.ask(type="cmd", op=op, data=data, **meta)
    # A frame that cannot be read is answered by its id alone.
    assert reply.get("op", op) == op
    code = reply["data"]["code"] if reply["type"] == "error" else None
    return Outcome(code, reply["data"], reply.get("meta", {}).get("replayed", False))


class Party:
    """A client of the broker with a REST client of its own, and what it does in one line.

    `entity_id` is the entity that it acts as, empty where it was not told.
    """

    def __init__(
        self, broker: Broker, sub: str, scope: str = EVERYTHING, entity: str | None = None
    ) -> None:
        self.broker = broker
        self.sub = sub
        self.entity_id = ""
        self.token = broker.token(sub, scope, entity)
        self.rest = checked(broker, self.token)

    @property
    def channel(self) -> str:
        """The channel of its entity."""
        return f"entity:{self.entity_id}"

    async def done(self, op: str, **data: Any) -> Json:
        """Carry out an operation that is to succeed; return its reply."""
        outcome = await over_rest(self.rest, op, data)
        assert outcome.code is None, outcome.body
        body: Json = outcome.body
        return body

    async def refused(self, op: str, **data: Any) -> str:
        """Carry out an operation that is to be refused; return the code."""
        outcome = await over_rest(self.rest, op, data)
        assert outcome.code is not None, outcome.body
        return outcome.code

    async def entity(self, kind: str, handle: str | None = None, **more: Any) -> Json:
        """Make an entity."""
        return await self.done("createEntity", kind=kind, handle=handle or unique(kind), **more)

    async def ask(self, *to: str, **more: Any) -> str:
        """Make a request for anything, or for what `schema` says; return its id."""
        made = await self.done("createRequest", **{"to": list(to), "schema": ANYTHING, **more})
        id: str = made["requestId"]
        return id

    def socket(self) -> Any:
        """A WebSocket connection with the same token, as a context manager."""
        return connected(self.broker, self.token)
