"""Channels as streams: live, from a position, over lost connections."""

from __future__ import annotations

import anyio
import pytest

from pxbox.client import AsyncPxBox, Event, EventStream, Gap, Position, RequestEvent, errors, timing
from pxbox.client.waits import until_live
from tests.brokers import Broker
from tests.client.people import CITY, Cast
from tests.client.running import on_both


async def take(stream: EventStream, number: int) -> list[Event]:
    """So many events; a gap is none."""
    found: list[Event] = []
    while len(found) < number:
        item = await anext(stream)
        assert isinstance(item, Event), item
        found.append(item)
    return found


@on_both
async def test_events_of_a_request_are_typed_and_in_order(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with people.asking() as asker, people.responding() as alice:
        async with alice.events(f"entity:{people.alice}") as stream:
            handle = await asker.requests.create(CITY, to=people.alice)
            await alice.requests.claim(handle.id)
            await alice.requests.answer(handle.id, {"city": "Oslo"})
            events = await take(stream, 3)
        assert [event.type for event in events] == [
            "request.created",
            "request.claimed",
            "request.answered",
        ]
        assert [event.seq for event in events] == [1, 2, 3]
        created = events[0]
        assert isinstance(created, RequestEvent)
        assert created.request_id == handle.id
        assert created.title == "Where"
        assert created.data["requestId"] == handle.id


@on_both
async def test_a_stream_begins_where_it_is_told_to(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    channel = f"entity:{people.alice}"
    async with people.asking() as asker, people.responding() as alice:
        for _ in range(3):
            await asker.requests.create(CITY, to=people.alice)
        async with alice.events(channel, since=0) as stream:
            events = await take(stream, 3)
        async with alice.events(channel, since=events[0].position) as stream:
            assert [event.id for event in await take(stream, 2)] == [
                event.id for event in events[1:]
            ]
        async with alice.events(channel, since=Position("another epoch", 2)) as stream:
            gap = await anext(stream)
            assert isinstance(gap, Gap)
            assert (gap.reason, gap.seq) == ("epoch", 3)


@on_both
async def test_a_channel_that_may_not_be_watched_is_not_found(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    token = module_broker.token("stranger", scope="request")
    async with AsyncPxBox(module_broker.url, token) as stranger:
        with pytest.raises((errors.NotFound, errors.Forbidden)):
            async with stranger.events("requestor:somebody-else"):
                pass


@on_both
async def test_two_streams_of_one_channel_do_not_disturb_each_other(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    channel = f"entity:{people.alice}"
    async with (
        people.asking() as asker,
        people.responding() as alice,
        alice.events(channel) as first,
    ):
        await asker.requests.create(CITY, to=people.alice)
        async with alice.events(channel, since=0) as second:
            assert (await take(second, 1))[0].seq == 1
            assert alice.link.connections == 2
        assert alice.link.connections == 1
        await asker.requests.create(CITY, to=people.alice)
        assert [event.seq for event in await take(first, 2)] == [1, 2]


@on_both
async def test_an_event_that_a_heartbeat_tells_of_and_that_does_not_come_is_asked_for(
    module_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E7: the loss of the last event is noticed too."""
    monkeypatch.setattr(timing, "LATE_SECONDS", 0.05)
    people = Cast(module_broker)
    await people.introduce()
    async with (
        people.asking() as asker,
        people.responding() as alice,
        alice.events(f"entity:{people.alice}") as stream,
    ):
        watch = stream.watch
        watch.beat(1)
        while watch.live:
            await watch.wait_news()
        await until_live(watch)
        await asker.requests.create(CITY, to=people.alice)
        assert (await take(stream, 1))[0].seq == 1


@on_both
async def test_an_inbox_follows_what_happens(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with people.asking() as asker, people.responding() as alice:
        old = await asker.requests.create(CITY, to=people.alice)
        async with alice.inbox(people.alice) as inbox:
            assert [item.id for item in inbox.items] == [old.id]
            new = await asker.requests.create(CITY, to=people.alice)
            change = await anext(inbox)
            assert (change.kind, change.item.id) == ("added", new.id)
            await alice.requests.answer(old.id, {"city": "Oslo"})
            change = await anext(inbox)
            assert (change.kind, change.item.id) == ("removed", old.id)
            assert [item.id for item in inbox.items] == [new.id]


@on_both
async def test_an_inbox_follows_the_groups_of_its_entity(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    group = f"group:team-{people.alice}"
    async with (
        people.client("admin") as admin,
        people.responding() as alice,
        alice.inbox(people.alice) as inbox,
    ):
        await admin.entities.create("group", group.partition(":")[2])
        old = await admin.requests.create(CITY, to=group)
        await admin.entities.add_member(group, people.alice)
        assert (await anext(inbox)).item.id == old.id
        new = await admin.requests.create(CITY, to=group)
        assert (await anext(inbox)).item.id == new.id
        await admin.entities.remove_member(group, people.alice)
        assert {(await anext(inbox)).item.id, (await anext(inbox)).item.id} == {old.id, new.id}
        assert inbox.items == []


@on_both
async def test_a_hundred_waits_share_one_subscription(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    answers: list[str] = []
    async with people.asking() as asker, people.responding() as alice:

        async def ask(number: int) -> None:
            answer = await asker.ask(CITY, to=people.alice, meta={"n": number})
            answers.append(answer["city"])

        async with alice.inbox(people.alice) as inbox, anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(ask, number)
            answered = 0
            async for change in inbox:
                if change.kind == "added":
                    answered += 1
                    await alice.requests.answer(change.item.id, {"city": str(answered)})
                if answered == 100:
                    break
    assert sorted(answers, key=int) == [str(n) for n in range(1, 101)]
