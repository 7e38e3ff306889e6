"""Commands with an idempotency key are carried out once (S7)."""

from __future__ import annotations

from uuid import uuid4

import pytest
import trio
from trio.testing import MockClock

from actors.journal import Commit, Key
from actors.journal import OutcomeUnknown as CommitUnknown
from actors.testing import Point
from pxbox.behaviors.durable import IDEMPOTENCY, Once
from pxbox.behaviors.request import Act
from pxbox.domain.request import TakeClaim
from pxbox.model.errors import (
    ClaimedByOther,
    IdempotencyKeyReused,
    InvalidAnswer,
    OutcomeUnknown,
    WrongStatus,
)
from pxbox.model.request import Status
from tests.behaviors.requests import ID, Process, asked, open_world, replied

CITY = {"city": "Rome"}
ONCE = Once("key", "body")
OTHER_BODY = Once("key", "another body")


async def test_a_repeated_creation_gets_the_first_reply(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        first = await here.create(asked(), ONCE)
        assert first.request is not None
        another = "01ARZ3NDEKTSV4RRFFQ69G5FAW"
        again = await there.create(asked(id=another), ONCE)
        assert replied(again)["requestId"] == ID
        assert await world.memory.load("request", another) is None
        assert world.types("requestor:asker") == ["created"]


async def test_a_repeated_command_gets_the_first_reply_whatever_has_happened_since(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked())
        claimed = await here.claim("ada", ONCE)
        await here.release("ada")
        await here.claim("bob")
        for process in (here, there):
            reply = replied(await process.ask(_claim(process, "ada", ONCE)))
            assert (reply["status"], reply["version"]) == ("CLAIMED", claimed.version)
            assert reply["claim"]["by"] == "ada"
        await here.answer("bob", CITY)
        assert replied(await there.ask(_claim(there, "ada", ONCE)))["claim"]["by"] == "ada"
        assert world.types() == ["created", "claimed", "released", "claimed", "answered"]


def _claim(process: Process, name: str, once: Once) -> Act:
    return Act(TakeClaim(process.groups.responder(name)), once)


async def test_a_repeated_answer_gets_the_response(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked())
        done = await here.answer("ada", CITY, ONCE)
        assert done.request is not None
        again = await there.answer("ada", CITY, ONCE)
        assert replied(again)["id"] == done.request.response_id
        assert replied(again)["payload"] == CITY
        assert world.types() == ["created", "answered"]


async def test_a_key_that_was_used_for_another_body_is_refused(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked(), ONCE)
        with pytest.raises(IdempotencyKeyReused):
            await there.create(asked(id="01ARZ3NDEKTSV4RRFFQ69G5FAW"), OTHER_BODY)
        once, other = Once("answer", "1"), Once("answer", "2")
        await here.answer("ada", CITY, once)
        for process in (here, there):
            with pytest.raises(IdempotencyKeyReused):
                await process.answer("ada", {"city": "Paris"}, other)
            with pytest.raises(IdempotencyKeyReused):
                await process.answer("ada", CITY, other)


async def test_a_refused_command_may_be_corrected_under_the_same_key(
    autojump_clock: MockClock,
) -> None:
    """Only committed outcomes are kept."""
    world = open_world()
    async with world.process() as here:
        await here.create(asked())
        with pytest.raises(InvalidAnswer):
            await here.answer("ada", {}, ONCE)
        await here.claim("bob")
        with pytest.raises(ClaimedByOther):
            await here.answer("ada", CITY, ONCE)
        await here.release("bob")
        done = await here.answer("ada", CITY, OTHER_BODY)
        assert done.request is not None
        assert done.request.status is Status.ANSWERED


async def test_a_second_command_with_the_key_waits_for_the_first(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    replies: list[object] = []

    async def claim(process: Process) -> None:
        replies.append(await process.ask(_claim(process, "ada", ONCE)))

    async with world.process() as here:
        await here.create(asked())
        held = trio.Event()
        here.journal.at(Point.BEFORE_COMMIT, held.wait)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(claim, here)
            nursery.start_soon(claim, here)
            await trio.testing.wait_all_tasks_blocked()
            assert replies == []
            held.set()
        assert world.types() == ["created", "claimed"]
        assert len(replies) == 2


@pytest.mark.parametrize("body", ["body", "another body"])
async def test_of_two_processes_with_one_key_the_second_gets_what_the_first_committed(
    autojump_clock: MockClock, body: str
) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked())

        async def first() -> None:
            await there.claim("ada", ONCE)

        here.journal.at(Point.BEFORE_COMMIT, first)
        once = Once("key", body)
        if body == ONCE.body_hash:
            reply = replied(await here.ask(_claim(here, "ada", once)))
            assert reply["version"] == 2
        else:
            with pytest.raises(IdempotencyKeyReused):
                await here.ask(_claim(here, "ada", once))
        assert world.types() == ["created", "claimed"]


async def test_a_command_with_a_key_whose_outcome_was_lost_is_done_once(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as here:
        here.journal.fail(Point.AFTER_COMMIT, CommitUnknown("cut"))
        with pytest.raises(OutcomeUnknown):
            await here.create(asked(), ONCE)
        again = await here.create(asked(id="01ARZ3NDEKTSV4RRFFQ69G5FAW"), ONCE)
        assert replied(again)["requestId"] == ID
        here.journal.fail(Point.AFTER_COMMIT, CommitUnknown("cut"))
        with pytest.raises(OutcomeUnknown):
            await here.claim("ada", Once("claim", "1"))
        assert replied(await here.ask(_claim(here, "ada", Once("claim", "1"))))["version"] == 2
        assert world.types() == ["created", "claimed"]


async def test_a_refused_command_leaves_its_key_free(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as here:
        await here.create(asked())
        await here.cancel()
        with pytest.raises(WrongStatus):
            await here.claim("ada", ONCE)
        assert world.memory.held(IDEMPOTENCY, "key") is None


async def test_a_command_that_needs_no_commit_still_knows_its_key(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as here:
        await here.create(asked())
        await here.answer("ada", CITY, ONCE)
        reused = here.answer("ada", CITY, OTHER_BODY)
        with pytest.raises(IdempotencyKeyReused):
            await reused
        # Another key for an answer that is there already: the goal holds, and nothing is kept.
        done = await here.answer("ada", CITY, Once("fresh", "body"))
        assert done.request is not None
        assert world.memory.held(IDEMPOTENCY, "fresh") is None


async def test_keys_of_other_spaces_are_other_keys(autojump_clock: MockClock) -> None:
    world = open_world()
    await world.memory.commit(Commit(uuid4(), keys=(Key("address", "key", {"entityId": "x"}),)))
    async with world.process() as here:
        assert (await here.create(asked(), ONCE)).request is not None
