"""Bodies, connections and what a broker says to those it has no room for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest
import trio

from tests.brokers import NO_TLS, Broker, Brokers
from tests.contract.documents import Json
from tests.transports.checking import check_problem
from tests.transports.clients import ANYTHING, Party, connected, refusal, unique
from tests.transports.test_ws_connection import unread

Make = Callable[..., Party]
MEBIBYTE = 1024 * 1024
MOST_HELD_SECONDS = 0.5


async def test_a_body_with_an_answer_or_a_prefill_has_up_to_16_mib(
    asker: Party, ana: Party
) -> None:
    text = "x" * (15 * MEBIBYTE)
    request = await asker.ask(ana.sub, prefill={"text": text})
    detail = await ana.done("getRequest", id=request)
    assert detail["prefill"] == {"text": text}
    given = await ana.done("postResponse", id=request, payload={"rows": [text]})
    assert given["payload"] == {"rows": [text]}
    items = [{"to": ana.sub, "schema": ANYTHING, "prefill": "x" * 5 * MEBIBYTE}] * 3
    assert (await asker.done("bulkCreateRequests", items=items))["created"] == 3


@pytest.mark.parametrize("chunked", [False, True])
async def test_other_bodies_have_up_to_1_mib_and_none_has_more_than_16(
    asker: Party, chunked: bool
) -> None:
    paths = {
        "/v1/requests": 17, "/v1/requests/x/response": 17, "/v1/requests/bulk": 17,
        "/v1/requests/x/claim": 2, "/v1/entities": 2, "/v1/validate": 2,
    }  # fmt: skip
    for path, mebibytes in paths.items():
        pieces = [b" " * 65_536] * (16 * mebibytes)
        content = iter(pieces) if chunked else b"".join(pieces)
        reply = await trio.to_thread.run_sync(_post, asker, path, content)
        check_problem(reply, {"payload_too_large"})


async def test_what_stands_beside_a_large_payload_has_up_to_1_mib(asker: Party, ana: Party) -> None:
    large = "x" * 2 * MEBIBYTE
    more: Json = {"to": [ana.sub], "schema": ANYTHING, "prefill": large}
    for beside in ({"uiHints": large}, {"meta": {"a": large}}, {"schema": {"title": large}}):
        assert await asker.refused("createRequest", **{**more, **beside}) == "payload_too_large"


async def test_who_has_no_token_is_refused_before_a_large_body_is_read(
    shared_broker: Broker,
) -> None:
    """X4: the room for large bodies is for who may send one."""
    async with await trio.open_tcp_stream(
        "127.0.0.1", httpx.URL(shared_broker.url).port or 0
    ) as stream:
        head = (
            b"POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: 16000000\r\n\r\n"
        )
        await stream.send_all(head + b"{")
        with trio.fail_after(5):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 401")


async def test_reading_a_large_payload_holds_nobody_up(
    asker: Party, ana: Party, admin: Party
) -> None:
    """X4. What is slow at it is done in another process."""
    request = await asker.ask(ana.sub)
    rows = [{"id": n, "name": f"person {n}", "score": n / 7} for n in range(200_000)]
    waits: list[float] = []
    async with trio.open_nursery() as nursery, admin.socket() as socket:

        async def ping() -> None:
            while True:
                started = trio.current_time()
                await socket.ask(type="ping")
                waits.append(trio.current_time() - started)
                await trio.sleep(0.002)

        body = httpx.Request("POST", "http://x", json={"payload": rows}).content
        nursery.start_soon(ping)
        reply = await trio.to_thread.run_sync(_post, ana, f"/v1/requests/{request}/response", body)
        assert reply.status_code == 200
        nursery.cancel_scope.cancel()
    assert len(waits) > 10
    # 15 ms where nothing else runs; decoding it takes 400.
    assert max(waits) < MOST_HELD_SECONDS


def _post(party: Party, path: str, content: bytes | Iterator[bytes]) -> httpx.Response:
    headers = {"authorization": f"Bearer {party.token}", "content-type": "application/json"}
    url = f"{party.broker.url}{path}"
    return httpx.post(url, content=content, headers=headers, timeout=30, verify=NO_TLS)


async def test_repeated_members_of_a_prefill_are_read_once(asker: Party, ana: Party) -> None:
    body = f'{{"to":"{ana.sub}","schema":{{}},"prefill":{{"a":1,"a":2}},"uiHints":{{"b":1,"b":3}}}}'
    made = await asker.rest.post("/v1/requests", content=body.encode())
    shown = await ana.rest.get(f"/v1/requests/{made.json()['requestId']}")
    assert b'"prefill":{"a":2}' in shown.content
    assert b'"uiHints":{"b":3}' in shown.content


async def test_a_group_cannot_act_but_its_members_can(
    party: Make, admin: Party, asker: Party, ana: Party
) -> None:
    group = await admin.entity("group")
    await admin.done("addMember", id=group["id"], member=ana.entity_id)
    request = await asker.ask(group["id"])
    for name in (group["id"], f"group:{group['handle']}"):
        as_group = party(unique("bot"), entity=name)
        assert await as_group.refused("claimRequest", id=request) == "forbidden"
        assert await as_group.refused("listInquiries") == "forbidden"
    assert (await ana.done("claimRequest", id=request))["status"] == "CLAIMED"


async def test_a_change_of_members_is_made_once_under_its_key(admin: Party, ana: Party) -> None:
    """S7, over both transports."""
    group = (await admin.entity("group"))["id"]
    data = {"id": group, "member": ana.entity_id}
    async with admin.socket() as socket:
        first = await socket.ask(type="cmd", op="addMember", data=data,
                                 meta={"idempotencyKey": "k"})  # fmt: skip
        await admin.done("removeMember", **data)
        again = await admin.rest.put(
            f"/v1/entities/{group}/members/{ana.entity_id}", headers={"Idempotency-Key": "k"}
        )
        assert again.json() == first["data"]
        assert again.headers["idempotent-replayed"] == "true"
        assert (await admin.done("getEntity", id=group))["members"] == []
        other = {**data, "member": (await admin.entity("user"))["id"]}
        reused = await socket.ask(type="cmd", op="addMember", data=other,
                                  meta={"idempotencyKey": "k"})  # fmt: skip
        assert reused["data"]["code"] == "idempotency_key_reused"


async def test_a_client_has_so_many_connections_and_a_broker_too(brokers: Brokers) -> None:
    broker = brokers(
        "--max-connections", "3", "--max-connections-per-client", "2", "--parts-seconds", "1"
    )
    mine, other = broker.token("me"), broker.token("other")
    async with connected(broker, mine) as socket, connected(broker, mine):
        async with connected(broker, other), broker.rest(other) as rest:
            reply = await rest.get("/healthz")
            check_problem(reply, {"overloaded"})
            assert 5 <= int(reply.headers["retry-after"]) <= 30
        with trio.fail_after(10):
            # Until the one that was closed has left its place.
            while (told := await refusal(broker, mine))[0] == 503:
                assert told[1] == "overloaded"
        status, code, headers = told
        assert (status, code) == (429, "too_many_connections")
        assert 5 <= int(headers[b"retry-after"]) <= 30
        await socket.send(
            {"type": "cmd", "id": "late", "op": "postResponse", "data": "{",
             "meta": {"part": 1, "of": 2, "sha256": "0" * 64}}
        )  # fmt: skip
        await socket.until(lambda: socket.errors() == ["request_timeout"])
    # What they gave back is there for others.
    async with connected(broker, mine), connected(broker, mine) as again:
        await again.ask(type="ping")


async def test_a_client_that_never_reads_does_not_delay_the_end(brokers: Brokers) -> None:
    """A6: it has asked for far more than it takes in, and commands are in hand for it."""
    broker = brokers("--grace-seconds", "60")
    token = broker.token("me")
    async with broker.rest(token) as rest:
        await rest.post("/v1/entities", json={"kind": "user", "handle": "ada"})
        made = await rest.post(
            "/v1/requests", json={"to": "ada", "schema": {}, "prefill": "x" * 12 * MEBIBYTE}
        )
        async with unread(broker, token) as slow:
            for n in range(4):
                frame = {"type": "cmd", "id": f"{n}", "op": "getRequest",
                         "data": {"id": made.json()["requestId"]}}  # fmt: skip
                await slow.send(frame)
            await slow.connection.get_message()
            started = trio.current_time()
            assert await trio.to_thread.run_sync(broker.stop) == 0
            assert trio.current_time() - started < 20
            await slow.read()
