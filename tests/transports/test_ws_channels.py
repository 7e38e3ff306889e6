"""WebSocket: what a subscriber gets, in which order, and from where on (E1, E5, E8, E9, X2)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from pxbox.ws.subscriptions import MOST_CHANNELS
from tests.contract.documents import Json
from tests.transports.clients import ANYTHING, CheckedSocket, Party, unique

Make = Callable[..., Party]


async def many(asker: Party, to: Party, count: int) -> None:
    """As many events on the channels of both."""
    items = [{"to": to.sub, "schema": ANYTHING}] * count
    reply = await asker.rest.post("/v1/requests/bulk", json={"items": items})
    assert reply.json()["created"] == count


@asynccontextmanager
async def kept_busy(asker: Party, to: Party) -> AsyncIterator[None]:
    """Events keep coming as long as the block lasts."""

    over = trio.Event()

    async def run() -> None:
        while not over.is_set():
            await asker.ask(to.sub)

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(run)
        try:
            yield
        finally:
            over.set()


def on_wire(socket: CheckedSocket, name: str) -> list[Any]:
    """The frames of a channel, as they came: the number of an event, the kind of another."""
    return [
        frame["seq"] if frame["type"] == "event" else frame.get("op", frame["type"])
        for frame in socket.frames
        if frame.get("channel") == name
    ]


async def test_events_after_the_head_follow_the_acknowledgement(asker: Party, ana: Party) -> None:
    name = ana.channel
    async with kept_busy(asker, ana):
        for _ in range(5):
            async with ana.socket() as socket:
                told = await socket.subscribe(name)
                await socket.until(lambda: len(socket.events) >= 20)
                head = told["seq"]
                seen = on_wire(socket, name)
                assert seen == ["subscribed", *range(head + 1, head + len(seen))]


async def test_a_resume_gives_what_was_missed_and_goes_on_live_without_gap_or_repeat(
    asker: Party, ana: Party
) -> None:
    name = ana.channel
    async with ana.socket() as socket:
        epoch = (await socket.subscribe(name))["epoch"]
    await many(asker, ana, 1000)
    async with kept_busy(asker, ana), ana.socket() as socket:
        told = await socket.resume(name, 0, epoch)
        assert told["data"]["recovered"] is True
        assert told["data"]["from"] == 1
        assert told["data"]["to"] == told["seq"] >= 1000
        await socket.until(lambda: len(socket.events) >= told["seq"] + 30)
        seen = on_wire(socket, name)
        assert seen == ["recovered", *range(1, len(seen))]
    assert len({event["data"]["id"] for event in socket.events}) == len(socket.events)
    assert {event["epoch"] for event in socket.events} == {epoch}


async def test_a_resume_from_the_head_misses_nothing(asker: Party, ana: Party) -> None:
    name = ana.channel
    await many(asker, ana, 3)
    positions = await ana.done("listInquiries")
    async with ana.socket() as socket:
        told = await socket.resume(name, positions["positions"][name], positions["epoch"])
        assert told["data"] == {"recovered": True, "from": 4, "to": 3}
        await many(asker, ana, 2)
        await socket.until(lambda: on_wire(socket, name) == ["recovered", 4, 5])


@pytest.mark.parametrize(
    ("since", "epoch", "reason"),
    [(1, "another", "epoch"), (4, None, "future"), (2**64 - 1, None, "future")],
)
async def test_a_position_that_means_nothing_here_starts_at_the_head(
    asker: Party, ana: Party, since: int, epoch: str | None, reason: str
) -> None:
    name = ana.channel
    await many(asker, ana, 3)
    present = (await ana.done("listInquiries"))["epoch"]
    async with ana.socket() as socket:
        told = await socket.resume(name, since, epoch or present)
        assert told["data"] == {"recovered": False, "reason": reason, "to": 3}
        assert (told["seq"], told["epoch"]) == (3, present)
        await many(asker, ana, 1)
        await socket.until(lambda: on_wire(socket, name) == ["recovered", 4])


async def test_a_position_is_an_epoch_and_a_number(ana: Party) -> None:
    async with ana.socket() as socket:
        for frame in ({"since": 0}, {"since": -1, "epoch": "x"}, {"since": "0", "epoch": "x"}):
            reply = await socket.ask(type="resume", channel=ana.channel, **frame)
            assert reply["data"]["code"] == "invalid_request"


async def test_a_channel_is_resumed_only_where_it_is_not_watched(ana: Party) -> None:
    async with ana.socket() as socket:
        epoch = (await socket.subscribe(ana.channel))["epoch"]
        reply = await socket.ask(type="resume", channel=ana.channel, since=0, epoch=epoch)
        assert reply["data"]["code"] == "invalid_request"
        await socket.ask(type="unsubscribe", channel=ana.channel)
        assert (await socket.resume(ana.channel, 0, epoch))["data"]["recovered"] is True


async def test_a_second_subscription_changes_nothing(asker: Party, ana: Party) -> None:
    name = ana.channel
    async with ana.socket() as socket:
        await socket.subscribe(name)
        await many(asker, ana, 2)
        await socket.until(lambda: len(socket.events) == 2)
        assert (await socket.subscribe(name))["seq"] == 2
        await many(asker, ana, 2)
        await socket.until(lambda: len(socket.events) == 4)
        await socket.ask(type="ping")
        assert socket.seqs(name) == [1, 2, 3, 4]


async def test_nothing_of_a_channel_follows_after_it_was_left(asker: Party, ana: Party) -> None:
    name, own = ana.channel, f"requestor:{asker.sub}"
    async with ana.socket() as socket, asker.socket() as beside:
        await socket.subscribe(name)
        await beside.subscribe(own)
        await many(asker, ana, 1)
        await socket.until(lambda: socket.seqs(name) == [1])
        left = await socket.ask(type="unsubscribe", channel=name)
        assert (left["op"], left["channel"]) == ("unsubscribed", name)
        await many(asker, ana, 5)
        # Whoever stays gets them: by then the other would have, too.
        await beside.until(lambda: beside.seqs(own) == [1, 2, 3, 4, 5, 6])
        await socket.ask(type="ping")
        assert socket.seqs(name) == [1]


async def test_a_channel_can_be_left_while_it_is_being_caught_up_on(
    asker: Party, ana: Party
) -> None:
    name = ana.channel
    await many(asker, ana, 1000)
    epoch = (await ana.done("listInquiries", limit=1))["epoch"]
    async with ana.socket() as socket:
        for n in range(5):
            await socket.send(
                {"type": "resume", "id": f"r{n}", "channel": name, "since": 0, "epoch": epoch}
            )
            await socket.send({"type": "unsubscribe", "id": f"u{n}", "channel": name})
        await socket.until(lambda: on_wire(socket, name).count("unsubscribed") == 5)
        await socket.ask(type="ping")
        rounds = _rounds(on_wire(socket, name))
    assert len(rounds) == 5
    assert socket.errors() == []
    for one in rounds:
        assert one == list(range(1, len(one) + 1))


def _rounds(seen: list[Any]) -> list[list[int]]:
    """The numbers between each `recovered` and `unsubscribed`; nothing stands elsewhere."""
    rounds: list[list[int]] = []
    inside = False
    for one in seen:
        if one == "recovered":
            assert not inside
            rounds.append([])
        elif isinstance(one, int):
            assert inside
            rounds[-1].append(one)
        inside = one != "unsubscribed"
    return rounds


async def test_frames_about_one_channel_take_effect_in_their_order(
    party: Make, asker: Party
) -> None:
    admin = party(scope="admin")
    names = [f"requestor:{unique('r')}" for _ in range(10)]
    async with admin.socket() as socket:
        for type in ("subscribe", "unsubscribe", "subscribe", "subscribe", "unsubscribe"):
            for name in names:
                await socket.send({"type": type, "id": f"{type} {name}", "channel": name})
        await socket.until(lambda: len(socket.frames) == 5 * len(names))
        for name in names:
            assert on_wire(socket, name) == [
                "subscribed", "unsubscribed", "subscribed", "subscribed", "unsubscribed",
            ]  # fmt: skip


async def test_what_was_received_can_be_acknowledged_and_nothing_else(
    asker: Party, ana: Party
) -> None:
    name = ana.channel
    await many(asker, ana, 2)
    async with ana.socket() as socket:
        await socket.subscribe(name)
        await many(asker, ana, 2)
        await socket.until(lambda: socket.seqs(name) == [3, 4])
        for seq in (2, 4, 3, 4, 0):
            await socket.send({"type": "ack", "channel": name, "seq": seq})
        await socket.ask(type="ping")
        assert socket.errors() == []
        reply = await socket.ask(type="ack", channel=name, seq=5)
        assert (reply["data"]["code"], reply["data"]["sent"]) == ("invalid_ack", 4)
        reply = await socket.ask(type="ack", channel=name, seq=2**64 - 1)
        assert reply["data"]["code"] == "invalid_ack"
        reply = await socket.ask(type="ack", channel=name, seq=-1)
        assert reply["data"]["code"] == "invalid_request"


@pytest.mark.parametrize("frame", [{"type": "ack", "seq": 1}, {"type": "unsubscribe"}])
async def test_a_channel_that_is_not_watched_cannot_be_left_or_acknowledged(
    ana: Party, frame: Json
) -> None:
    async with ana.socket() as socket:
        reply = await socket.ask(**frame, channel=ana.channel)
        assert reply["data"]["code"] == "not_subscribed"


async def test_a_connection_watches_so_many_channels_and_no_more(party: Make) -> None:
    names = [f"requestor:{unique('r')}" for _ in range(MOST_CHANNELS + 1)]
    async with party(scope="admin").socket() as socket:
        for name in names[:-1]:
            await socket.subscribe(name)
        for frame in ({"type": "subscribe"}, {"type": "resume", "since": 0, "epoch": "e"}):
            reply = await socket.ask(**frame, channel=names[-1])
            assert reply["data"]["code"] == "too_many_subscriptions"
        assert (await socket.subscribe(names[0]))["seq"] == 0
        await socket.ask(type="unsubscribe", channel=names[0])
        await socket.subscribe(names[-1])


async def test_a_transition_is_told_on_every_channel_that_it_concerns_with_one_id(
    asker: Party, ana: Party, party: Make, admin: Party
) -> None:
    group = await admin.entity("group")
    await admin.done("addMember", id=group["id"], member=ana.sub)
    of_group, own = f"entity:{group['id']}", f"requestor:{asker.sub}"
    async with admin.socket() as socket:
        for name in (of_group, own, ana.channel):
            await socket.subscribe(name)
        id = await asker.ask(group["address"])
        await socket.subscribe(f"request:{id}")
        await ana.done("claimRequest", id=id)
        await ana.done("releaseRequest", id=id)
        await ana.done("postResponse", id=id, payload=1)
        await socket.until(lambda: len(socket.seqs(own)) == 4 and len(socket.events) >= 13)
        await socket.ask(type="ping")
    told = {
        name: [(e["data"]["id"], e["data"]["type"]) for e in socket.events if e["channel"] == name]
        for name in (own, of_group, f"request:{id}", ana.channel)
    }
    types = ["created", "claimed", "released", "answered"]
    whole = [(f"{id}.{n}.0", f"request.{type}") for n, type in enumerate(types, 1)]
    assert told[own] == told[of_group] == whole
    assert told[f"request:{id}"] == whole[1:]
    # Hers hears of what she holds, and of what she held until then.
    assert told[ana.channel] == whole[1:3]
    for event in socket.events:
        assert event["data"]["version"] == int(event["data"]["id"].split(".")[1])


async def test_who_joins_or_leaves_a_group_is_told(ana: Party, admin: Party) -> None:
    group = await admin.entity("role")
    async with ana.socket() as socket:
        await socket.subscribe(ana.channel)
        await admin.done("addMember", id=group["id"], member=ana.sub)
        added = await socket.event("membership.added")
        await admin.done("removeMember", id=group["id"], member=ana.sub)
        removed = await socket.event("membership.removed")
    for event in (added, removed):
        assert event["data"]["groupId"] == group["id"]
        assert event["data"]["entityId"] == ana.entity_id
        assert event["data"]["actor"] == admin.sub


async def test_who_goes_away_while_catching_up_is_no_fault(asker: Party, ana: Party) -> None:
    await many(asker, ana, 1000)
    page = await ana.done("listInquiries", limit=1)
    for _ in range(5):
        async with ana.socket() as socket:
            frame = {"type": "resume", "channel": ana.channel, "since": 0, "epoch": page["epoch"]}
            await socket.send({**frame, "id": "r"})
            await socket.stream.aclose()
    # The broker has no fault in its log (see conftest), and serves on.
    async with ana.socket() as socket:
        told = await socket.resume(ana.channel, 0, page["epoch"])
        await socket.until(lambda: len(socket.events) == told["seq"])
