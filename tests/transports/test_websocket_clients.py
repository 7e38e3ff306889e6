"""Two independent WebSocket clients understand the broker alike, and it them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from typing import Protocol

import pytest
import trio
from trio_websocket import ConnectionRejected
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.brokers import Broker
from tests.contract.documents import Json
from tests.transports.clients import CheckedSocket, connected, unique

PATIENCE_SECONDS = 30.0
TEXTS = ("x", "κόσμε 𝄞 \u07ff", "\ufeff\ufffe", "\x7f" * 128)


class Refused(Exception):
    """The handshake was answered by this status."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Client(Protocol):
    """What each library is put behind. `closed` waits for the end and gives its code."""

    subprotocol: str | None

    async def send(self, message: str | bytes) -> None: ...
    async def receive(self) -> Json: ...
    async def ping(self) -> None: ...
    async def close(self, code: int, reason: str) -> None: ...
    async def closed(self) -> int | None: ...


Open = Callable[[Broker, str], AbstractAsyncContextManager[Client]]


class TrioClient:
    def __init__(self, socket: CheckedSocket) -> None:
        self._socket = socket
        self._received = 0
        self.subprotocol: str | None = socket.connection.subprotocol

    async def send(self, message: str | bytes) -> None:
        await self._socket.say(message)

    async def receive(self) -> Json:
        self._received += 1
        await self._socket.until(lambda: len(self._socket.frames) >= self._received)
        return self._socket.frames[self._received - 1]

    async def ping(self) -> None:
        await self._socket.connection.ping(b"payload")

    async def close(self, code: int, reason: str) -> None:
        await self._socket.connection.aclose(code, reason)

    async def closed(self) -> int | None:
        await self._socket.closed.wait()
        # Not what its readers were told: that may be what this end began with.
        reason = self._socket.connection.closed
        return None if reason is None else reason.code


@asynccontextmanager
async def by_trio_websocket(broker: Broker, token: str) -> AsyncIterator[Client]:
    offered = ["other", "pxbox.v1"]
    try:
        async with connected(broker, token, subprotocols=offered) as socket:
            yield TrioClient(socket)
    except ConnectionRejected as error:
        raise Refused(error.status_code) from None


class WebsocketsClient:
    """In a thread: the library knows asyncio and threads."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.subprotocol: str | None = connection.subprotocol

    async def send(self, message: str | bytes) -> None:
        await trio.to_thread.run_sync(self._connection.send, message)

    async def send_in_pieces(self, message: str) -> None:
        await trio.to_thread.run_sync(self._connection.send, iter(message))

    async def receive(self) -> Json:
        text = await trio.to_thread.run_sync(self._connection.recv, PATIENCE_SECONDS)
        frame: Json = json.loads(text)
        return frame

    async def ping(self) -> None:
        ponged = await trio.to_thread.run_sync(self._connection.ping, b"payload")
        assert await trio.to_thread.run_sync(ponged.wait, PATIENCE_SECONDS)

    async def close(self, code: int, reason: str) -> None:
        await trio.to_thread.run_sync(self._connection.close, code, reason)

    async def closed(self) -> int | None:
        try:
            while True:
                await self.receive()
        except ConnectionClosed:
            return self._connection.close_code


@asynccontextmanager
async def by_websockets(broker: Broker, token: str) -> AsyncIterator[Client]:
    opened = ExitStack()
    connecting = partial(
        connect,
        broker.ws_url,
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[Subprotocol("other"), Subprotocol("pxbox.v1")],
        proxy=None,
    )
    try:
        connection = await trio.to_thread.run_sync(lambda: opened.enter_context(connecting()))
    except InvalidStatus as error:
        raise Refused(error.response.status_code) from None
    # It offers to compress, as browsers do.
    assert connection.protocol.extensions == []
    try:
        yield WebsocketsClient(connection)
    finally:
        await trio.to_thread.run_sync(opened.close)


BOTH = pytest.mark.parametrize("open_client", [by_trio_websocket, by_websockets])


async def echoed(client: Client, text: str, size: int = 0) -> None:
    asked = json.dumps({"type": "ping", "id": text}, ensure_ascii=False)
    await client.send(asked.ljust(size))
    assert await client.receive() == {"type": "ack", "id": text, "op": "pong"}


@BOTH
async def test_messages_of_any_size_and_script_are_understood(
    shared_broker: Broker, open_client: Open
) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        async with open_client(shared_broker, shared_broker.token("anybody")) as client:
            assert client.subprotocol == "pxbox.v1"
            for text in TEXTS:
                await echoed(client, text)
            for size in (125, 126, 65_535, 65_536, 1024 * 1024):
                await echoed(client, "x", size)
                await client.ping()


@BOTH
@pytest.mark.parametrize("code", [1000, 1001, 3000, 4999])
async def test_the_client_closes_and_is_answered_by_its_code(
    shared_broker: Broker, open_client: Open, code: int
) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        async with open_client(shared_broker, shared_broker.token("anybody")) as client:
            await echoed(client, "x")
            await client.close(code, "enough, κ")
            assert await client.closed() == code


@BOTH
@pytest.mark.parametrize(
    ("message", "code"), [(b"binary", 4501), ("not JSON", 4501), ("x" * (1024 * 1024 + 1), 1009)]
)
async def test_the_broker_closes_and_says_why(
    shared_broker: Broker, open_client: Open, message: str | bytes, code: int
) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        async with open_client(shared_broker, shared_broker.token("anybody")) as client:
            await client.send(message)
            assert await client.closed() == code


@BOTH
async def test_a_refused_handshake_is_an_http_response(
    shared_broker: Broker, open_client: Open
) -> None:
    with trio.fail_after(PATIENCE_SECONDS), pytest.raises(Refused) as refused:
        async with open_client(shared_broker, "no token"):
            pytest.fail("the handshake was accepted")
    assert refused.value.status == 401


async def test_a_message_that_a_client_sends_in_pieces_arrives_whole(shared_broker: Broker) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        async with by_websockets(shared_broker, shared_broker.token("anybody")) as client:
            assert isinstance(client, WebsocketsClient)
            await client.send_in_pieces(json.dumps({"type": "ping", "id": "κόσμε"}))
            assert (await client.receive())["id"] == "κόσμε"


@BOTH
async def test_both_see_the_same_events(shared_broker: Broker, open_client: Open) -> None:
    name = unique("asker")
    token = shared_broker.token(name, "request admin")
    with trio.fail_after(PATIENCE_SECONDS):
        async with open_client(shared_broker, token) as client:
            channel = f"requestor:{name}"
            await client.send(json.dumps({"type": "subscribe", "id": "s", "channel": channel}))
            assert (await client.receive())["op"] == "subscribed"
            async with shared_broker.rest(token) as rest:
                user = {"kind": "user", "handle": unique("user")}
                await rest.post("/v1/entities", json=user)
                asked = {"schema": {}, "to": user["handle"]}
                assert (await rest.post("/v1/requests", json=asked)).status_code == 201
            event = await client.receive()
            assert (event["seq"], event["data"]["type"]) == (1, "request.created")
