"""WebSocket: browsers come by ticket, and from allowed pages alone (X1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import trio
from trio_websocket import HandshakeError

from tests.brokers import Broker
from tests.transports.clients import APP, Party, checked, connected, notices, refusal, unique


async def ticket_for(party: Party) -> str:
    return str((await party.done("createTicket"))["ticket"])


def at(ticket: str) -> str:
    return f"/v1/ws?ticket={ticket}"


async def test_a_ticket_opens_one_socket_as_its_maker(ana: Party, shared_broker: Broker) -> None:
    made = await ana.done("createTicket")
    left = datetime.fromisoformat(made["expiresAt"].replace("Z", "+00:00")) - datetime.now(UTC)
    assert timedelta(seconds=20) < left <= timedelta(seconds=31)
    async with connected(shared_broker, path=at(made["ticket"])) as socket:
        assert (await socket.subscribe(ana.channel))["seq"] == 0
        reply = await socket.ask(
            type="cmd", op="createEntity", data={"kind": "user", "handle": "x"}
        )
        assert reply["data"]["code"] == "forbidden"
        refused = await refusal(shared_broker, path=at(made["ticket"]))
        assert refused[:2] == (401, "unauthenticated")
    refused = await refusal(shared_broker, path=at(made["ticket"]))
    assert refused[:2] == (401, "unauthenticated")
    assert made["ticket"] not in shared_broker.log.read_text()


async def test_a_ticket_counts_on_any_process_and_once_on_all_together(
    shared_broker: Broker, strict_broker: Broker
) -> None:
    async with checked(shared_broker, shared_broker.token("ana")) as rest:
        ticket = (await rest.post("/v1/ws/ticket")).json()["ticket"]
    opened: list[int] = []

    async def come(broker: Broker) -> None:
        try:
            async with connected(broker, path=at(ticket)) as socket:
                await socket.ask(type="ping")
                opened.append(101)
        except HandshakeError as refused:
            opened.append(refused.status_code)  # type: ignore[attr-defined]

    async with trio.open_nursery() as nursery:
        for n in range(10):
            nursery.start_soon(come, (shared_broker, strict_broker)[n % 2])
    assert sorted(opened) == [101, *[401] * 9]


async def test_a_connection_by_ticket_ends_with_the_token_and_goes_on_with_the_next(
    shared_broker: Broker,
) -> None:
    broker, name = shared_broker, unique("browser")
    party = Party(broker, name)
    async with party.rest:
        brief = broker.token(name, ttl=timedelta(seconds=30))
        party.rest.headers["authorization"] = f"Bearer {brief}"
        ticket = await ticket_for(party)
    async with connected(broker, path=at(ticket)) as socket:
        await socket.until(lambda: bool(notices(socket, "token_expiring")))
        reply = await socket.ask(type="auth", data={"token": broker.token(name)})
        assert reply["op"] == "authenticated"
        reply = await socket.ask(type="auth", data={"token": broker.token(unique("other"))})
        assert reply["data"]["code"] == "another_client"


async def test_there_is_no_ticket_without_a_token_and_none_over_websocket(
    ana: Party, shared_broker: Broker
) -> None:
    async with checked(shared_broker) as rest:
        assert (await rest.post("/v1/ws/ticket")).status_code == 401
    assert (await ana.rest.post("/v1/ws/ticket", json={"sub": "ben"})).status_code == 400
    assert (await ana.rest.post("/v1/ws/ticket?sub=ben")).status_code == 400
    assert (await ana.rest.post("/v1/ws/ticket", json={})).status_code == 201
    async with ana.socket() as socket:
        reply = await socket.ask(type="cmd", op="createTicket", data={})
        assert reply["data"]["code"] == "unknown_operation"


async def test_a_handshake_says_once_who_it_is(ana: Party, shared_broker: Broker) -> None:
    ticket = await ticket_for(ana)
    for path, sent in (
        (at(ticket), {"token": ana.token}),
        (at(ticket), {"subprotocols": ["pxbox.v1", f"pxbox.token.{ana.token}"]}),
        (at(f"{ticket}&ticket={ticket}"), {}),
        (at("x"), {}),
        (at(""), {}),
        (f"/v1/ws?token={ana.token}", {}),
    ):
        refused = await refusal(shared_broker, path=path, **sent)
        assert refused[:2] == (401, "unauthenticated"), path
    assert (await refusal(shared_broker, path=f"/v1/wss?ticket={ticket}"))[0] == 404
    # None of that has used it up.
    async with connected(shared_broker, path=at(ticket), subprotocols=["pxbox.v1"]) as socket:
        assert socket.connection.subprotocol == "pxbox.v1"


def page(origin: str) -> list[tuple[bytes, bytes]]:
    return [(b"origin", origin.encode())]


async def test_pages_come_from_the_broker_itself_or_from_an_allowed_origin(
    shared_broker: Broker, strict_broker: Broker
) -> None:
    closed, open_to_some = shared_broker, strict_broker
    for broker, origin, admitted in (
        (closed, f"http://{urlsplit(closed.url).netloc}", True),
        (closed, f"http://{urlsplit(open_to_some.url).netloc}", False),
        (closed, APP, False),
        (closed, "null", False),
        (open_to_some, APP, True),
        (open_to_some, "http://localhost:3000", True),
        (open_to_some, f"http://{urlsplit(open_to_some.url).netloc}", True),
        (open_to_some, "https://evil.example", False),
        (open_to_some, f"{APP}.evil.example", False),
    ):
        token = broker.token("ana")
        if admitted:
            async with connected(broker, token, headers=page(origin)) as socket:
                await socket.ask(type="ping")
        else:
            refused = await refusal(broker, token, headers=page(origin))
            assert refused[:2] == (403, "origin_refused"), origin


async def test_a_page_that_may_not_connect_uses_up_no_ticket(
    ana: Party, shared_broker: Broker
) -> None:
    ticket = await ticket_for(ana)
    refused = await refusal(shared_broker, path=at(ticket), headers=page("https://evil.example"))
    assert refused[:2] == (403, "origin_refused")
    async with connected(shared_broker, path=at(ticket)) as socket:
        await socket.ask(type="ping")
