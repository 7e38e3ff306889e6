"""WebSocket: commands run side by side and are answered by their ids."""

from __future__ import annotations

from collections import Counter

from pxbox.ws.session import COMMANDS_IN_FLIGHT
from tests.transports.clients import ANYTHING, CheckedSocket, Party, unique


def answered(socket: CheckedSocket) -> list[str]:
    return [frame["id"] for frame in socket.frames if "id" in frame]


async def test_more_commands_than_are_carried_out_at_once_are_all_answered(
    asker: Party, ana: Party
) -> None:
    made = await asker.ask(ana.sub)
    count = 5 * COMMANDS_IN_FLIGHT
    async with asker.socket() as socket:
        for n in range(count):
            data = {"to": ana.sub, "schema": {"title": f"t{n}"}} if n % 2 else {"id": made}
            op = "createRequest" if n % 2 else "getRequest"
            await socket.send({"type": "cmd", "id": f"c{n}", "op": op, "data": data})
        await socket.until(lambda: len(socket.frames) == count)
        assert Counter(answered(socket)) == Counter(f"c{n}" for n in range(count))
        titles = {f["data"]["title"] for f in socket.frames if f["op"] == "createRequest"}
        assert titles == {f"t{n}" for n in range(1, count, 2)}
    assert (await ana.done("listInquiries", limit=1))["total"] == count // 2 + 1


async def test_a_quick_command_does_not_wait_for_a_slow_one(asker: Party, ana: Party) -> None:
    items = [{"to": ana.sub, "schema": ANYTHING}] * 500
    async with asker.socket() as socket:
        slow = {"type": "cmd", "id": "slow", "op": "bulkCreateRequests", "data": {"items": items}}
        await socket.send(slow)
        await socket.send({"type": "cmd", "id": "quick", "op": "validate", "data": {"schema": {}}})
        await socket.send({"type": "ping", "id": "ping"})
        await socket.until(lambda: "slow" in answered(socket))
        assert answered(socket)[-1] == "slow"
        assert set(answered(socket)) == {"slow", "quick", "ping"}


async def test_commands_with_one_id_are_each_answered(asker: Party, ana: Party) -> None:
    async with asker.socket() as socket:
        for _ in range(3):
            await socket.send(
                {"type": "cmd", "id": "same", "op": "validate", "data": {"schema": {}}}
            )
        await socket.until(lambda: answered(socket) == ["same"] * 3)


async def test_a_key_counts_on_both_transports_together(asker: Party, ana: Party) -> None:
    key, body = unique("key"), {"to": ana.sub, "schema": ANYTHING}
    reply = await asker.rest.post("/v1/requests", json=body, headers={"Idempotency-Key": key})
    async with asker.socket() as socket:
        frame = {"op": "createRequest", "data": body, "meta": {"idempotencyKey": key}}
        again = await socket.ask(type="cmd", **frame)
    assert again["data"] == reply.json()
    assert again["meta"] == {"replayed": True}


async def test_a_command_that_the_broker_does_not_have_is_unknown(
    asker: Party,
) -> None:
    async with asker.socket() as socket:
        for op in ("", "nothing", "createrequest", "x" * 5000):
            reply = await socket.ask(type="cmd", op=op, data={})
            assert reply["data"]["code"] == "unknown_operation"


async def test_what_a_command_says_of_itself_beyond_the_contract_is_not_ignored(
    asker: Party,
) -> None:
    async with asker.socket() as socket:
        reply = await socket.ask(type="cmd", op="listInquiries", meta={"session": "s"})
        assert (reply["type"], reply["data"]["code"]) == ("error", "not_supported")


async def test_a_ping_is_answered(asker: Party) -> None:
    async with asker.socket() as socket:
        reply = await socket.ask(type="ping")
        assert (reply["type"], reply["op"]) == ("ack", "pong")
