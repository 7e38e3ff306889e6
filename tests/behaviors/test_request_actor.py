"""One request's actor: it decides, commits, and only then remembers (S1, S4)."""

from __future__ import annotations

from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from actors import ActorCrashed
from actors.testing import EPOCH, Point, virtual_now
from pxbox.model.errors import (
    ClaimedByOther,
    InvalidAnswer,
    InvalidTime,
    NotFound,
    PxError,
    WrongStatus,
)
from pxbox.model.request import Claim, Status
from tests.behaviors.requests import ID, TTL, asked, open_world

HOUR = timedelta(hours=1)
CITY = {"city": "Rome"}


async def test_a_request_is_claimed_and_answered(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        created = (await process.create(asked())).request
        assert created is not None
        assert (created.version, created.status) == (1, Status.PENDING)
        await trio.sleep(60)
        claimed = await process.claim("ada")
        assert claimed.claim == Claim("ada", virtual_now() + TTL)
        done = await process.answer("ada", CITY)
        assert done.request == await world.stored()
        assert done.request is not None
        assert (done.request.status, done.request.version) == (Status.ANSWERED, 3)
        assert done.request.closed_by == "ada"
        assert world.types() == ["created", "claimed", "answered"]
        assert [event["version"] for event in world.told()] == [1, 2, 3]
        answer = await world.memory.load("response", "answer-ada")
        assert answer is not None
        assert answer["payload"] == '{"city":"Rome"}'
        assert (answer["request_id"], answer["answered_by"]) == (ID, "ada")
        assert answer["client"] == "client"


async def test_each_addressee_is_linked_to_the_request(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked("team", "cy"))
        assert world.memory.links("addressee", ID) == ["cy", "team"]


# What is done, and which channels beside the request's, the asker's and the team's hear of it.
HEARD = [
    ("create", set()),
    ("claim by ada", {"ada"}),
    ("renew by ada", {"ada"}),
    ("release by ada", {"ada"}),
    ("decline by bob", set()),
    ("claim by ada", {"ada"}),
    ("lapse", {"ada"}),
    ("claim by ada", {"ada"}),
    ("answer by ada", {"ada"}),
]


async def test_who_claims_or_held_the_claim_hears_of_it_too(autojump_clock: MockClock) -> None:
    world = open_world()
    world.groups.members["team"].add("cy")
    always = {f"request:{ID}", "requestor:asker", "entity:team"}
    heard = dict.fromkeys(("ada", "bob", "cy", "eve"), 0)
    async with world.process() as process:
        for count, (what, others) in enumerate(HEARD, start=1):
            match what.split():
                case ["create"]:
                    await process.create(asked())
                case ["claim" | "renew", _, name]:
                    await process.claim(name)
                case ["release", _, name]:
                    await process.release(name)
                case ["decline", _, name]:
                    await process.decline(name)
                case ["lapse"]:
                    await trio.sleep(TTL.total_seconds())
                    await process.fire(world.due()[0])
                case ["answer", _, name]:
                    await process.answer(name, CITY)
            for channel in always:
                assert len(world.told(channel)) == count, what
            for name in others:
                heard[name] += 1
            for name, expected in heard.items():
                assert len(world.told(f"entity:{name}")) == expected, (what, name)
    ids = {event["id"] for event in world.told(f"request:{ID}")}
    assert len(ids) == len(HEARD)
    assert {event["id"] for event in world.told("entity:team")} == ids


async def test_the_alarms_of_a_request_follow_it(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked(deadline_at=EPOCH + 3 * HOUR, attention_at=EPOCH + HOUR))
        waiting = {
            "deadline": EPOCH + 3 * HOUR,
            "near": EPOCH + 2 * HOUR,
            "attention": EPOCH + HOUR,
        }
        assert world.alarms() == waiting
        await process.claim("ada")
        assert world.alarms() == {**waiting, "claim": virtual_now() + TTL}
        await trio.sleep(60)
        await process.claim("ada")
        assert world.alarms() == {**waiting, "claim": virtual_now() + TTL}
        await process.release("ada")
        assert world.alarms() == waiting
        await process.cancel()
        assert world.alarms() == {}


async def test_an_invalid_answer_changes_nothing(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked())
        await process.claim("ada")
        before = await world.stored()
        with pytest.raises(InvalidAnswer) as refusal:
            await process.answer("ada", {})
        assert [error.pointer for error in refusal.value.errors] == ["/city"]
        assert await world.stored() == before
        assert (await process.answer("ada", CITY)).request is not None


async def test_an_answer_is_not_checked_for_who_may_not_give_it(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked())
        await process.claim("ada")
        for name, refused in [("bob", ClaimedByOther), ("eve", NotFound)]:
            with pytest.raises(refused):
                await process.answer(name, CITY)
        assert process.answers.checked == 0


async def test_the_same_answer_again_is_no_second_one(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked())
        first = await process.answer("ada", CITY)
        assert await process.answer("ada", CITY) == first
        with pytest.raises(WrongStatus) as refusal:
            await process.answer("ada", {"city": "Paris"})
        assert refusal.value.members["closedBy"] == "ada"
        assert world.types() == ["created", "answered"]


@pytest.mark.parametrize(
    ("to", "decliners", "status"),
    [
        (("ada",), ["ada"], Status.DECLINED),
        (("team",), ["ada"], Status.PENDING),
        (("team",), ["ada", "bob"], Status.DECLINED),
        (("ada", "bob"), ["ada"], Status.PENDING),
        (("ada", "bob"), ["bob", "ada"], Status.DECLINED),
        (("ada", "team"), ["ada"], Status.PENDING),
        (("ada", "team"), ["ada", "bob"], Status.DECLINED),
        (("solo",), ["cy"], Status.DECLINED),
    ],
)
async def test_a_request_is_declined_when_no_candidate_is_left(
    autojump_clock: MockClock, to: tuple[str, ...], decliners: list[str], status: Status
) -> None:
    world = open_world()
    world.groups.members["solo"] = {"cy"}
    async with world.process() as process:
        await process.create(asked(*to))
        for name in decliners:
            declined = await process.decline(name, f"says {name}")
        assert declined.status is status
        assert list(declined.declined) == decliners
        assert declined.reason == (f"says {name}" if status is Status.DECLINED else None)
        assert await process.decline(decliners[0]) == declined


async def test_a_candidate_who_left_the_group_does_not_keep_a_request_open(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked())
        world.groups.members["team"].remove("bob")
        assert (await process.decline("ada")).status is Status.DECLINED


async def test_a_request_that_does_not_exist_is_not_found(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        for command in (process.claim("ada"), process.cancel(), process.answer("ada", CITY)):
            with pytest.raises(NotFound):
                await command


async def test_who_has_no_part_cannot_tell_it_from_one_that_does_not_exist(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    details = set()
    async with world.process() as process:
        for exists in (False, True):
            if exists:
                await process.create(asked())
            for command in (process.claim("eve"), process.cancel("other"), process.release("eve")):
                with pytest.raises(PxError) as refusal:
                    await command
                details.add((refusal.value.code, refusal.value.detail, *refusal.value.members))
    assert len(details) == 1


async def test_a_deadline_that_has_passed_creates_nothing(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:

        async def dawdle() -> None:
            await trio.sleep(6)

        request = asked(deadline_at=virtual_now() + timedelta(seconds=5))
        process.journal.at(Point.BEFORE_COMMIT, dawdle)
        with pytest.raises(InvalidTime):
            await process.create(request)
        assert await world.memory.load("request", ID) is None
        assert world.told() == []


async def test_an_unknown_message_is_a_fault_of_its_own(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as process:
        await process.create(asked())
        with pytest.raises(ActorCrashed):
            await process.ask("what?")
        assert (await process.claim("ada")).status is Status.CLAIMED
        world.failures.clear()
