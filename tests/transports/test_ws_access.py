"""WebSocket: who may watch what, and for how long (X2)."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
import trio

from tests.brokers import Brokers
from tests.transports.clients import ANYTHING, CheckedSocket, Party, unique

Make = Callable[..., Party]


async def test_a_member_watches_the_channel_of_its_group(
    asker: Party, ana: Party, ben: Party, admin: Party
) -> None:
    group = await admin.entity("group")
    await admin.done("addMember", id=group["id"], member=ana.sub)
    name = f"entity:{group['id']}"
    async with ana.socket() as socket, ben.socket() as other:
        await socket.subscribe(name)
        id = await asker.ask(group["address"])
        assert (await socket.event("request.created"))["data"]["requestId"] == id
        refused = await other.ask(type="subscribe", channel=name)
        assert refused["data"]["code"] == "not_found"


def lost(socket: CheckedSocket) -> list[str]:
    notices = [frame["data"] for frame in socket.others if frame["type"] == "notice"]
    assert {notice["code"] for notice in notices} <= {"access_lost"}
    return sorted(notice["channel"] for notice in notices)


async def test_who_leaves_a_group_loses_its_channels_at_once(
    asker: Party, ana: Party, ben: Party, admin: Party
) -> None:
    group, other = await admin.entity("group"), await admin.entity("role")
    for one in (group, other):
        for member in (ana, ben):
            await admin.done("addMember", id=one["id"], member=member.sub)
    id, own = await asker.ask(group["address"]), await asker.ask(ana.sub)
    kept = [ana.channel, f"entity:{other['id']}", f"request:{own}"]
    gone = sorted([f"entity:{group['id']}", f"request:{id}"])
    async with ana.socket() as socket, ben.socket() as beside:
        for name in (*kept, *gone):
            await socket.subscribe(name)
        await beside.subscribe(gone[0])
        await admin.done("removeMember", id=group["id"], member=ana.sub)
        await socket.until(lambda: len(lost(socket)) == 2)
        assert lost(socket) == gone
        for to in (group["address"], other["address"], ana.sub):
            await asker.ask(to)
        # Who stayed is told; by then the other would have been, too.
        await beside.event("request.created")
        await socket.until(lambda: bool(socket.seqs(kept[1])) and len(socket.seqs(kept[0])) == 2)
        assert socket.seqs(gone[0]) == socket.seqs(gone[1]) == []
        for name in gone:
            reply = await socket.ask(type="unsubscribe", channel=name)
            assert reply["data"]["code"] == "not_subscribed"
            reply = await socket.ask(type="subscribe", channel=name)
            assert reply["data"]["code"] == "not_found"
        # Back again, she may watch again, and lose it again.
        await admin.done("addMember", id=group["id"], member=ana.sub)
        await socket.subscribe(gone[0])
        await admin.done("removeMember", id=group["id"], member=ana.sub)
        await socket.until(lambda: len(lost(socket)) == 3)
        assert lost(beside) == []


async def test_who_is_asked_no_longer_hears_no_more_of_a_request(
    asker: Party, ana: Party, ben: Party, party: Make
) -> None:
    """Handed on while she watches it: only who is asked now hears what follows."""
    id = await asker.ask(ana.sub)
    name = f"request:{id}"
    async with ana.socket() as socket:
        await socket.subscribe(name)
        await ana.done("claimRequest", id=id)
        await ana.done("reassignRequest", id=id, to=ben.sub)
        await socket.until(lambda: lost(socket) == [name])
        async with ben.socket() as beside:
            await beside.subscribe(name)
            await ben.done("claimRequest", id=id)
            await beside.event("request.claimed")
        refused = await socket.ask(type="subscribe", channel=name)
        assert refused["data"]["code"] == "not_found"
        assert max(socket.seqs(name)) == 3


async def test_access_is_lost_whichever_broker_was_told(brokers: Brokers) -> None:
    here, there = brokers(), brokers()
    admin, ana = Party(there, unique("admin"), "admin request"), Party(here, "ana", "respond")
    async with admin.rest, ana.rest, ana.socket() as socket:
        ana.entity_id = (await admin.entity("user", "ana"))["id"]
        group = await admin.entity("group")
        await admin.done("addMember", id=group["id"], member="ana")
        with trio.fail_after(30):
            # This broker may have known for two seconds that she is in no group.
            while (told := await socket.ask(type="subscribe", channel=f"entity:{group['id']}"))[
                "type"
            ] == "error":
                assert told["data"]["code"] == "not_found"
        await admin.done("removeMember", id=group["id"], member="ana")
        await socket.until(lambda: lost(socket) == [f"entity:{group['id']}"])


async def test_what_is_lost_while_it_is_caught_up_on_ends_there(
    asker: Party, ana: Party, admin: Party
) -> None:
    group = await admin.entity("group")
    await admin.done("addMember", id=group["id"], member=ana.sub)
    items = [{"to": group["address"], "schema": ANYTHING}] * 1000
    await asker.rest.post("/v1/requests/bulk", json={"items": items})
    page, name = await ana.done("listInquiries", limit=1), f"entity:{group['id']}"
    async with ana.socket() as socket:
        frame = {"type": "resume", "id": "r", "channel": name, "since": 0, "epoch": page["epoch"]}
        await socket.send(frame)
        await admin.done("removeMember", id=group["id"], member=ana.sub)
        await socket.until(lambda: lost(socket) == [name] or "not_found" in socket.errors())
        await socket.ask(type="ping")
        end = len(socket.frames)
        await asker.ask(group["address"])
        await socket.ask(type="ping")
        assert [frame["type"] for frame in socket.frames[end:]] == ["ack"]
        assert socket.seqs(name) == list(range(1, len(socket.seqs(name)) + 1))


async def test_a_channel_of_others_is_no_different_from_none(
    asker: Party, ana: Party, ben: Party, admin: Party, party: Make
) -> None:
    group = await admin.entity("group")
    id = await asker.ask(ana.sub)
    stranger = party(ben.sub, "respond request")
    pairs = [
        (f"request:{id}", "request:01ARZ3NDEKTSV4RRFFQ69G5FAV"),
        (f"requestor:{asker.sub}", f"requestor:{unique('asker')}"),
        (ana.channel, f"entity:{uuid4()}"),
        (f"entity:{group['id']}", f"entity:{uuid4()}"),
    ]
    async with stranger.socket() as socket:
        for pair in pairs:
            for frame in ({"type": "subscribe"}, {"type": "resume", "since": 0, "epoch": "e"}):
                denied, missing = [await socket.ask(**frame, channel=name) for name in pair]
                assert missing["data"]["code"] == "not_found"
                assert (
                    denied["data"]["detail"].replace(pair[0], pair[1])
                    == (missing["data"]["detail"])
                )
                assert {**denied["data"], "detail": ""} == {**missing["data"], "detail": ""}


@pytest.mark.parametrize(
    "name",
    ["", ":", "request:", "requestor:", "entity:", "work:", "request:x", "entity:ana", "flow:x",
     "request:01arz3ndektsv4rrffq69g5fav",
     "entity:0B9C2A52-7F0E-4A45-9A3E-5A0F2D1C7B11", "x" * 10_000],
)  # fmt: skip
async def test_what_names_no_channel_is_not_found_by_anybody(party: Make, name: str) -> None:
    async with party().socket() as socket:
        reply = await socket.ask(type="subscribe", channel=name)
        assert reply["data"]["code"] == "not_found"


async def test_an_entity_is_watched_by_its_id_alone(ana: Party, admin: Party) -> None:
    async with admin.socket() as socket:
        for name in (ana.sub, ana.entity_id.upper(), ana.entity_id.replace("-", "")):
            reply = await socket.ask(type="subscribe", channel=f"entity:{name}")
            assert reply["data"]["code"] == "not_found"
        assert (await socket.subscribe(ana.channel))["seq"] == 0
