"""WebSocket: a token that expires, and the next one (X1, X2)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import trio

from tests.brokers import Broker
from tests.transports.clients import (
    GRACE_SECONDS,
    CheckedSocket,
    Party,
    connected,
    notices,
    unique,
)  # fmt: skip

# Already expired, and still counting for a moment: see LEEWAY.
BRIEF = timedelta(seconds=-8)


def expiry(notice: dict[str, str]) -> datetime:
    return datetime.fromisoformat(notice["expiresAt"].replace("Z", "+00:00"))


async def counts_no_more(socket: CheckedSocket) -> None:
    """Return once a command is refused for its token."""
    while (reply := await socket.ask(type="cmd", op="validate", data={"schema": {}}))[
        "type"
    ] == "response":
        await trio.lowlevel.checkpoint()
    assert reply["data"]["code"] == "token_expired"


async def test_an_expired_token_is_told_of_then_refused_and_then_closes_the_connection(
    strict_broker: Broker,
) -> None:
    name = unique("brief")
    async with connected(strict_broker, strict_broker.token(name, ttl=BRIEF)) as socket:
        await socket.until(lambda: bool(notices(socket, "token_expiring")))
        await socket.subscribe(f"requestor:{name}")
        await counts_no_more(socket)
        for frame in ({"type": "subscribe"}, {"type": "resume", "since": 0, "epoch": "e"}):
            reply = await socket.ask(**frame, channel=f"requestor:{name}")
            assert reply["data"]["code"] == "token_expired"
        for frame in ({"type": "ping"}, {"type": "unsubscribe", "channel": f"requestor:{name}"}):
            assert (await socket.ask(**frame))["type"] == "ack"
        with trio.fail_after(60):
            await socket.closed.wait()
    (notice,) = notices(socket, "token_expiring")
    closed_after = datetime.now(UTC) - expiry(notice)
    assert timedelta(seconds=GRACE_SECONDS) <= closed_after < timedelta(seconds=GRACE_SECONDS + 5)
    assert socket.close_code == 4001


async def test_another_token_puts_the_end_off_and_is_told_of_in_its_turn(
    strict_broker: Broker,
) -> None:
    name = unique("renewed")
    async with connected(strict_broker, strict_broker.token(name, ttl=BRIEF)) as socket:
        await counts_no_more(socket)
        token = strict_broker.token(name, ttl=BRIEF)
        reply = await socket.ask(type="auth", data={"token": token})
        assert reply["op"] == "authenticated"
        renewed = expiry(reply["data"])
        reply = await socket.ask(type="cmd", op="validate", data={"schema": {}})
        assert reply["type"] == "response"
        with trio.fail_after(60):
            await socket.closed.wait()
    first, second = (expiry(notice) for notice in notices(socket, "token_expiring"))
    assert first < second == renewed
    assert datetime.now(UTC) - second >= timedelta(seconds=GRACE_SECONDS)
    assert socket.close_code == 4001


async def test_a_token_that_is_refused_changes_nothing(shared_broker: Broker) -> None:
    name = unique("steady")
    expired = shared_broker.token(name, ttl=timedelta(hours=-1))
    async with connected(shared_broker, shared_broker.token(name, "request")) as socket:
        await socket.subscribe(f"requestor:{name}")
        for token, code in (
            (shared_broker.token(unique("other")), "another_client"),
            (expired, "token_expired"),
            ("garbage", "unauthenticated"),
            ("x" * 8192, "unauthenticated"),
            ("x" * 8193, "invalid_request"),
            ("", "invalid_request"),
        ):
            reply = await socket.ask(type="auth", data={"token": token})
            assert reply["data"]["code"] == code
            assert not token or token not in str(reply)
        wrong: tuple[object, ...] = ({}, {"token": 1}, {"token": "x", "sub": name}, [], None)
        for data in wrong:
            reply = await socket.ask(type="auth", data=data)
            assert reply["data"]["code"] == "invalid_request"
        reply = await socket.ask(type="auth")
        assert reply["data"]["code"] == "invalid_request"
        made = {"schema": {}, "to": "nobody"}
        reply = await socket.ask(type="cmd", op="createRequest", data=made)
        assert reply["data"]["code"] == "unknown_addressee"
        assert (await socket.ask(type="unsubscribe", channel=f"requestor:{name}"))["type"] == "ack"


async def renew(socket: CheckedSocket, party: Party, scope: str, entity: str | None = None) -> None:
    token = party.broker.token(party.sub, scope, entity)
    reply = await socket.ask(type="auth", data={"token": token})
    assert reply.get("op") == "authenticated", reply


def lost(socket: CheckedSocket) -> list[str]:
    return sorted(notice["channel"] for notice in notices(socket, "access_lost"))


async def test_what_a_lesser_token_may_not_watch_is_left_within_two_seconds(
    asker: Party, ana: Party, admin: Party
) -> None:
    group = await admin.entity("group")
    await admin.done("addMember", id=group["id"], member=ana.sub)
    id = await asker.ask(group["address"])
    gone = sorted([ana.channel, f"entity:{group['id']}", f"request:{id}"])
    async with connected(ana.broker, ana.broker.token(ana.sub, "respond request")) as socket:
        for name in (*gone, f"requestor:{ana.sub}"):
            await socket.subscribe(name)
        await renew(socket, ana, "request")
        with trio.fail_after(2):
            await socket.until(lambda: len(lost(socket)) == 3)
        assert lost(socket) == gone
        reply = await socket.ask(type="cmd", op="listInquiries", data={})
        assert reply["data"]["code"] == "forbidden"
        for name in gone:
            assert (await socket.ask(type="subscribe", channel=name))["data"]["code"] == "not_found"
        # What comes afterwards comes to nobody here, but for what may still be watched.
        await asker.ask(group["address"])
        own = await socket.ask(
            type="cmd", op="createRequest", data={"schema": {}, "to": group["address"]}
        )
        await socket.event("request.created")
        assert {event["channel"] for event in socket.events} == {f"requestor:{ana.sub}"}
        # With more again, more may be watched again.
        await renew(socket, ana, "respond")
        with trio.fail_after(2):
            await socket.until(lambda: f"requestor:{ana.sub}" in lost(socket))
        await socket.subscribe(ana.channel)
        await socket.subscribe(f"request:{own['data']['id']}")


async def test_a_token_of_another_entity_watches_with_that_ones_memberships(
    ana: Party, ben: Party, admin: Party
) -> None:
    hers, his = await admin.entity("group"), await admin.entity("group")
    await admin.done("addMember", id=hers["id"], member=ana.sub)
    await admin.done("addMember", id=his["id"], member=ben.sub)
    async with ana.socket() as socket:
        await socket.subscribe(f"entity:{hers['id']}")
        await renew(socket, ana, "respond", ben.sub)
        await socket.until(lambda: lost(socket) == [f"entity:{hers['id']}"])
        await socket.subscribe(f"entity:{his['id']}")
        # Of her memberships it hears no more, of his it does.
        await admin.done("removeMember", id=hers["id"], member=ana.sub)
        await admin.done("removeMember", id=his["id"], member=ben.sub)
        await socket.until(lambda: f"entity:{his['id']}" in lost(socket))
        assert len(lost(socket)) == 2


async def test_who_was_an_admin_loses_a_group_as_its_members_do(ana: Party, admin: Party) -> None:
    mine, other = await admin.entity("group"), await admin.entity("group")
    await admin.done("addMember", id=mine["id"], member=ana.sub)
    async with connected(ana.broker, ana.broker.token(ana.sub, "respond admin")) as socket:
        for group in (mine, other):
            await socket.subscribe(f"entity:{group['id']}")
        await renew(socket, ana, "respond")
        await socket.until(lambda: lost(socket) == [f"entity:{other['id']}"])
        await admin.done("removeMember", id=mine["id"], member=ana.sub)
        with trio.fail_after(2):
            await socket.until(lambda: f"entity:{mine['id']}" in lost(socket))


async def test_what_the_client_leaves_while_it_is_judged_is_not_lost_as_well(
    asker: Party, ana: Party
) -> None:
    names = [f"request:{await asker.ask(ana.sub)}" for _ in range(20)]
    async with ana.socket() as socket:
        for name in names:
            await socket.subscribe(name)
        lesser = ana.broker.token(ana.sub, "request")
        await socket.send({"type": "auth", "id": "a", "data": {"token": lesser}})
        *early, last = names
        for name in early:
            await socket.send({"type": "unsubscribe", "id": name, "channel": name})
        await socket.until(lambda: last in lost(socket))
        await socket.until(lambda: len(left(socket)) + len(lost(socket)) == len(names))
        assert sorted([*left(socket), *lost(socket)]) == sorted(names)


def left(socket: CheckedSocket) -> list[str]:
    told = [frame for frame in socket.frames if frame.get("op") == "unsubscribed"]
    return [frame["channel"] for frame in told]


async def test_a_subscription_under_way_is_judged_by_the_token_that_comes_meanwhile(
    asker: Party, ana: Party
) -> None:
    """However the two meet, nothing is watched that the new token may not watch."""
    ids = [await asker.ask(ana.sub) for _ in range(8)]
    lesser = ana.broker.token(ana.sub, "request")
    for id in ids:
        name = f"request:{id}"
        async with ana.socket() as socket:
            await socket.send({"type": "subscribe", "id": "s", "channel": name})
            await socket.send({"type": "auth", "id": "a", "data": {"token": lesser}})
            await socket.until(lambda: "not_found" in socket.errors() or bool(lost(socket)))
            await asker.done("cancelRequest", id=id)
            reply = await socket.ask(type="unsubscribe", channel=name)
            assert reply["data"]["code"] == "not_subscribed"
            assert socket.seqs(name) == []
