"""A responder's marks, drafts and handing on through the client; the live inbox follows them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pxbox.client import ChangeKind, errors
from pxbox.model.request import Status
from tests.brokers import Broker
from tests.client.people import CITY, Cast
from tests.client.running import on_both


@on_both
async def test_a_live_inbox_follows_the_marks_of_another_client(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with people.asking() as asker, people.responding() as alice, people.responding() as tab:
        one = await asker.requests.create(CITY, to=people.alice)
        async with alice.inbox(people.alice) as inbox:
            assert [item.read for item in inbox.items] == [False]
            await tab.marks.read(one.id)
            change = await anext(inbox)
            assert (change.kind, change.item.read) == (ChangeKind.CHANGED, True)
            await tab.marks.snooze(one.id, timedelta(hours=2))
            assert (await anext(inbox)).kind is ChangeKind.REMOVED
            await tab.marks.wake(one.id)
            assert (await anext(inbox)).kind is ChangeKind.ADDED
            await tab.marks.delete(one.id)
            assert (await anext(inbox)).kind is ChangeKind.REMOVED
            outcome = await tab.marks.update("restore", [one.id])
            assert (outcome.updated, outcome.failed) == (1, 0)
            assert (await anext(inbox)).item.id == one.id


@on_both
async def test_a_draft_is_kept_and_goes_with_the_answer(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with people.asking() as asker, people.responding() as alice:
        one = await asker.requests.create(CITY, to=people.alice, tags=["trip"], why="To book.")
        await alice.requests.keep_draft(one.id, {"city": ""})
        assert bytes((await alice.requests.draft(one.id)).payload) == b'{"city":""}'
        await alice.requests.answer(one.id, {"city": "Oslo"})
        with pytest.raises(errors.NotFound):
            await alice.requests.draft(one.id)
        assert (await alice.requests.get(one.id)).why == "To book."


@on_both
async def test_what_is_handed_on_is_told_by_its_timeline(module_broker: Broker) -> None:
    people, others = Cast(module_broker), Cast(module_broker)
    await people.introduce()
    await others.introduce()
    async with people.asking() as asker, people.responding() as alice:
        one = await asker.requests.create(CITY, to=[people.alice, others.alice])
        await alice.requests.claim(one.id)
        claimed = await alice.requests.delegate(one.id, others.alice, "yours")
        assert claimed.status is Status.CLAIMED
        async with others.responding() as other:
            await other.requests.reassign(one.id, people.alice)
        types = [entry.type for entry in (await asker.requests.timeline(one.id)).items]
        assert types == [
            f"request.{what}" for what in ("created", "claimed", "delegated", "reassigned")
        ]
        (mine,) = (await asker.requests.list()).items
        assert mine.id == one.id
