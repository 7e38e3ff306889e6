"""Every operation through the client, on both backends and both transports."""

from __future__ import annotations

import pytest

from pxbox.client import errors
from pxbox.model.request import Status
from tests.brokers import Broker
from tests.client.people import CITY, Cast
from tests.client.running import on_both


@on_both
async def test_a_request_is_asked_claimed_and_answered(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with people.asking() as asker, people.responding() as alice:
        handle = await asker.requests.create(CITY, to=people.alice)
        assert handle.status is Status.PENDING
        page = await alice.inquiries(entity=people.alice)
        assert [item.id for item in page.items] == [handle.id]
        assert (await alice.requests.claim(handle.id)).status is Status.CLAIMED
        await alice.requests.answer(handle.id, {"city": "Oslo"})
        answer = await handle.wait()
        assert answer.data == {"city": "Oslo"}
        assert answer.request_id == handle.id


@on_both
async def test_a_wrong_answer_says_where_it_is_wrong(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with people.asking() as asker, people.responding() as alice:
        handle = await asker.requests.create(CITY, to=people.alice)
        with pytest.raises(errors.ValidationFailed) as failed:
            await alice.requests.answer(handle.id, {"city": ""})
        assert [error.pointer for error in failed.value.errors] == ["/city"]
        assert failed.value.code == "invalid_answer"
