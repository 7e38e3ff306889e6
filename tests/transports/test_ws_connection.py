"""WebSocket: who gets a connection, and how it ends (X1, E7, E10, A6)."""

from __future__ import annotations

import signal
import socket as sockets
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import trio
from trio_websocket import wrap_client_stream

from tests.brokers import STOP_SECONDS, Broker, Brokers
from tests.transports.clients import (
    ANYTHING,
    CheckedSocket,
    Party,
    connected,
    refusal,
    unique,
)  # fmt: skip

Make = Callable[..., Party]


def mended(token: str) -> str:
    """The same token with its last signed character changed."""
    head, payload, signature = token.split(".")
    return ".".join((head, payload, ("B" if signature[0] == "A" else "A") + signature[1:]))


async def test_no_connection_without_a_valid_token(shared_broker: Broker) -> None:
    good = shared_broker.token("somebody")
    expired = shared_broker.token("somebody", ttl=timedelta(hours=-1))
    tries: list[tuple[str, dict[str, Any]]] = [
        ("unauthenticated", {}),
        ("unauthenticated", {"token": "garbage"}),
        ("unauthenticated", {"token": mended(good)}),
        ("unauthenticated", {"token": good, "subprotocols": ["pxbox.v1", f"pxbox.token.{good}"]}),
        ("unauthenticated", {"headers": [(b"authorization", b"Basic eDp5")]}),
        ("unauthenticated", {"subprotocols": ["pxbox.v1"]}),
        ("unauthenticated", {"headers": [(b"x-client-id", b"me"), (b"x-entity-id", b"me")]}),
        ("token_expired", {"token": expired}),
        ("token_expired", {"subprotocols": ["pxbox.v1", f"pxbox.token.{expired}"]}),
    ]
    for code, how in tries:
        status, told, headers = await refusal(shared_broker, **how)
        assert (status, told) == (401, code), how
        assert headers[b"www-authenticate"].startswith(b"Bearer")


async def test_websockets_are_served_at_one_path(shared_broker: Broker) -> None:
    token = shared_broker.token("somebody")
    for path in ("/", "/v1/ws/", "/v1/requests", "/V1/ws"):
        status, code, _ = await refusal(shared_broker, token, path=path)
        assert (status, code) == (404, "not_found")
    async with connected(shared_broker, token, path="/v1/ws?batch=true") as socket:
        await socket.ask(type="ping")


@pytest.mark.parametrize("first", ["pxbox.v1", "another"])
async def test_a_token_comes_as_a_subprotocol_where_headers_cannot_be_set(
    shared_broker: Broker, first: str
) -> None:
    token = shared_broker.token(unique("browser"))
    offered = [first, "pxbox.v1", f"pxbox.token.{token}"]
    async with connected(shared_broker, subprotocols=offered) as socket:
        assert socket.connection.subprotocol == "pxbox.v1"
        assert (await socket.command("validate", {"schema": {}}))["valid"] is True
    async with connected(shared_broker, subprotocols=offered[2:]) as socket:
        assert socket.connection.subprotocol is None


async def test_a_connection_that_its_client_closes_ends_in_good_order(asker: Party) -> None:
    async with asker.socket() as socket:
        await socket.subscribe(f"requestor:{asker.sub}")
        await socket.connection.aclose(1000)
        await socket.closed.wait()
    assert socket.close_code == 1000


@pytest.mark.parametrize(
    "query",
    ["session=", "session=a%20b", "session=%C3%A4", "session=" + "x" * 129, "batch=1", "batch=",
     "session=a&session=b", "sesion=a", "%FF=1", "session=%FF"],
)  # fmt: skip
async def test_what_a_client_says_of_itself_is_understood_or_refused(
    shared_broker: Broker, query: str
) -> None:
    token = shared_broker.token("somebody")
    status, code, _ = await refusal(shared_broker, token, path=f"/v1/ws?{query}")
    assert (status, code) == (400, "invalid_request")


@pytest.mark.parametrize("query", ["", "session=!~" + "x" * 126, "batch=false&session=a"])
async def test_what_a_client_may_say_of_itself(shared_broker: Broker, query: str) -> None:
    token = shared_broker.token("somebody")
    async with connected(shared_broker, token, path=f"/v1/ws?{query}") as socket:
        assert (await socket.ask(type="ping"))["op"] == "pong"


async def test_a_draining_broker_finishes_says_so_and_closes_with_1001(brokers: Brokers) -> None:
    broker = brokers()
    one = Party(broker, unique("one"))
    async with one.rest, one.socket() as socket:
        entity = await one.entity("user")
        items = [{"to": entity["id"], "schema": ANYTHING}] * 200
        await socket.send(
            {"type": "cmd", "id": "bulk", "op": "bulkCreateRequests", "data": {"items": items}}
        )
        # Once it answers this, the command before it is under way.
        await socket.ask(type="ping")
        broker.process.send_signal(signal.SIGTERM)
        with trio.fail_after(STOP_SECONDS):
            await socket.closed.wait()
    kinds = {frame["type"] for frame in socket.frames} - {"heartbeat"}
    assert kinds == {"ack", "notice", "response"}
    notices = [frame for frame in socket.others if frame["type"] == "notice"]
    assert [frame["data"]["code"] for frame in notices] == ["draining"]
    answer = next(frame for frame in socket.frames if frame["type"] == "response")
    assert answer["data"]["created"] + answer["data"]["failed"] == 200
    codes = {item["error"]["code"] for item in answer["data"]["items"] if "error" in item}
    assert codes <= {"draining"}
    assert socket.close_code == 1001
    assert await trio.to_thread.run_sync(broker.wait) == 0


async def test_development_headers_stand_in_for_a_token_on_this_machine_alone(
    brokers: Brokers,
) -> None:
    broker = brokers("--dev")
    port = urlsplit(broker.url).port
    me = [(b"x-client-id", b"me")]
    async with broker.rest() as rest:
        made = await rest.post(
            "/v1/entities",
            json={"kind": "user", "handle": "me"},
            headers={"X-Client-ID": "me", "Origin": f"http://127.0.0.1:{port}"},
        )
        assert made.status_code == 201
        for sent in (
            {"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example"}, {"Host": ""},
            {"Origin": "http://evil.example"}, {"Origin": "null"},
            {"Origin": f"http://localhost:{port}"}, {"X-Client-ID": ""}, {"X-Client-ID": "a\x07"},
        ):  # fmt: skip
            refused = await rest.get("/v1/inquiries", headers={"X-Client-ID": "me", **sent})
            assert (refused.status_code, refused.json()["code"]) == (401, "unauthenticated"), sent
        assert (await rest.get("/v1/inquiries")).status_code == 401
    async with connected(broker, headers=[*me, (b"x-entity-id", b"me")]) as socket:
        assert (await socket.command("listInquiries", {}))["total"] == 0
    for host in ("evil.example", "127.0.0.1.evil.example:80"):
        assert (await refusal(broker, headers=me, host=host))[:2] == (401, "unauthenticated")
    for origin in (b"http://evil.example", b"null"):
        told = await refusal(broker, headers=[*me, (b"origin", origin)])
        assert told[:2] == (403, "origin_refused")
    # A token counts there as everywhere.
    async with connected(broker, broker.token("me")) as socket:
        await socket.command("listInquiries", {})


async def test_a_reader_that_is_too_slow_is_closed_and_nobody_else_notices(
    shared_broker: Broker, admin: Party, party: Make
) -> None:
    """What waits for it is bounded; the others get every event, and so does it when it resumes."""
    asker = party(unique("long") + "\U0001f600" * 200, "request")
    to = [(await admin.entity("user"))["id"] for _ in range(20)]
    names = [f"requestor:{asker.sub}", *(f"entity:{id}" for id in to)]
    # Some 9 MB: the kernel keeps 4 of them and the broker 1. Little more, for a Close is given only
    # so many seconds to be taken.
    rounds, each = 8, 25
    count = rounds * each
    async with unread(shared_broker, admin.token) as slow, admin.socket() as quick:
        for name in names:
            epoch = (await quick.subscribe(name))["epoch"]
            frame = {"type": "subscribe", "id": name, "channel": name}
            await slow.connection.send_message(msgspec.json.encode(frame).decode())
            # It takes in what answers it, and from then on nothing.
            await slow.connection.get_message()
        items = [{"to": to, "schema": {"title": "\U0001f600" * 20}}] * each
        for made in range(1, rounds + 1):
            await asker.done("bulkCreateRequests", items=items)
            await quick.until(lambda: len(quick.events) == made * each * len(names))  # noqa: B023
        await slow.read()
    for name in names:
        assert quick.seqs(name) == list(range(1, count + 1))
        assert slow.seqs(name) == list(range(1, len(slow.seqs(name)) + 1))
    assert slow.close_code == 4000
    assert len(slow.events) < len(quick.events)
    got = len(slow.seqs(names[0]))
    async with admin.socket() as again:
        await again.resume(names[0], got, epoch)
        await again.until(lambda: len(again.events) == count - got)
        assert again.seqs(names[0]) == list(range(got + 1, count + 1))


class unread:
    """A connection that reads nothing by itself, and asks the kernel to keep little for it."""

    def __init__(self, broker: Broker, token: str) -> None:
        self._where = urlsplit(broker.url)
        self._headers = [(b"authorization", f"Bearer {token}".encode())]
        self._nursery = trio.open_nursery()
        self._stream: trio.SocketStream | None = None

    async def __aenter__(self) -> CheckedSocket:
        raw = trio.socket.socket()
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        await raw.connect((self._where.hostname, self._where.port))
        self._stream = trio.SocketStream(raw)
        nursery = await self._nursery.__aenter__()
        connection = await wrap_client_stream(
            nursery, self._stream, self._where.netloc, "/v1/ws", extra_headers=self._headers
        )
        return CheckedSocket(connection, self._stream)

    async def __aexit__(self, *exc_info: Any) -> None:
        assert self._stream is not None
        await self._stream.aclose()
        await self._nursery.__aexit__(*exc_info)
