"""Every operation through the client, on both backends and both transports."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
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
async def test_a_type_is_asked_for_under_a_title_and_found_by_its_deadline(
    module_broker: Broker,
) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with people.asking() as asker, people.responding() as alice:
        soon = timedelta(hours=1)
        handle = await asker.requests.create(bool, to=people.alice, title="Fine?", deadline=soon)
        await asker.requests.create(True, to=people.alice, title="Anything", deadline=3 * soon)
        between = datetime.now(UTC) + 2 * soon
        near = await alice.inquiries(due_before=between)
        far = await alice.inquiries(due_after=between)
        assert [(item.id, item.title) for item in near.items] == [(handle.id, "Fine?")]
        assert [item.title for item in far.items] == ["Anything"]


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
        assert str(failed.value).startswith("the answer does not satisfy the schema: /city: ")


@on_both
async def test_a_deadline_from_now_goes_by_the_brokers_clock(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with people.asking() as asker:
        handle = await asker.requests.create(CITY, to=people.alice, deadline=timedelta(hours=2))
        assert handle.request.deadline_at is not None
        lasts = handle.request.deadline_at - handle.request.created_at
        assert abs(lasts - timedelta(hours=2)) < timedelta(minutes=1)
        with pytest.raises(ValueError, match="UTC offset"):
            await asker.requests.create(CITY, to=people.alice, deadline=datetime(2040, 1, 1))  # noqa: DTZ001
        with pytest.raises(TypeError, match="timedelta"):
            await asker.requests.create(CITY, to=people.alice, deadline=7200)  # type: ignore[call-overload]
        both = {"deadlineIn": 60, "deadlineAt": datetime.now(UTC) + timedelta(hours=1)}
        with pytest.raises(errors.ValidationFailed) as failed:
            await asker.call("createRequest", {"schema": CITY, "to": people.alice, **both})
        assert failed.value.code == "invalid_time"


@on_both
async def test_entities_queues_and_checks(module_broker: Broker) -> None:
    people = Cast(module_broker)
    await people.introduce()
    async with people.client("admin") as px:
        group = await px.entities.create("group", f"team-{people.alice}", meta={"floor": 3})
        assert (await px.entities.add_member(group.address, people.alice)).present
        assert len((await px.entities.get(group.address)).members) == 1
        with pytest.raises(errors.Conflict) as taken:
            await px.entities.create("user", people.alice)
        assert taken.value.code == "address_taken"
        handle = await px.requests.create(CITY, to=group.address)
        assert [item.id for item in (await px.queue(group.address)).items] == [handle.id]
        assert not (await px.entities.remove_member(group.address, people.alice)).present
        assert (await px.validate(CITY, {"city": "Oslo"})).valid
        assert [error.pointer for error in (await px.validate(CITY, {"city": 1})).errors] == [
            "/city"
        ]
        with pytest.raises(errors.NotFound):
            await px.requests.get("01JZQ7Z5N8X4T3W2V1R0QPMKHG")
        with pytest.raises(errors.NotSupported):
            await px.call("nameTheMoon")


@on_both
async def test_what_a_block_raises_and_what_cancels_it_comes_out_as_it_is(
    module_broker: Broker,
) -> None:
    people = Cast(module_broker)
    await people.introduce()
    with pytest.raises(KeyError):
        await raise_in_a_stream(people)
    with anyio.CancelScope() as scope:
        async with people.responding() as alice, alice.events(f"entity:{people.alice}"):
            scope.cancel()
            await anyio.sleep_forever()
    assert scope.cancelled_caught


async def raise_in_a_stream(people: Cast) -> None:
    async with (
        people.responding() as alice,
        alice.inbox(people.alice),
        alice.events(f"entity:{people.alice}"),
    ):
        raise KeyError
