"""Two processes, one request: versions, confirmations and times (S2, S3, S6, S8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
import trio
from trio.testing import MockClock

from actors.journal import JournalFull, JournalUnavailable
from actors.journal import OutcomeUnknown as CommitUnknown
from actors.testing import Point, virtual_now
from pxbox.behaviors.durable import ATTEMPTS
from pxbox.model.errors import (
    ClaimedByOther,
    Contended,
    NotFound,
    OutcomeUnknown,
    Overloaded,
    PxError,
    Unavailable,
    WrongStatus,
)
from pxbox.model.request import Status
from tests.behaviors.requests import ID, TTL, Process, asked, open_world

CITY = {"city": "Rome"}


def meanwhile(
    process: Process, point: Point, *acts: Callable[[], Awaitable[object]], first: int = 1
) -> None:
    """At each next time that `process` comes to `point`, another does something first."""
    for nth, act in enumerate(acts, start=first):

        async def do(act: Callable[[], Awaitable[object]] = act) -> None:
            await act()

        process.journal.at(point, do, nth=nth)


async def test_a_decision_on_an_old_version_is_made_again(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked())
        meanwhile(here, Point.BEFORE_COMMIT, lambda: there.claim("bob"))
        with pytest.raises(ClaimedByOther) as refusal:
            await here.claim("ada")
        assert refusal.value.members["holder"] == "bob"
        assert world.types() == ["created", "claimed"]
        assert here.journal.passed(Point.BEFORE_COMMIT) == 2, "the creation and the lost claim"


@pytest.mark.parametrize("lost", [ATTEMPTS - 1, ATTEMPTS])
async def test_a_command_that_keeps_losing_gives_up(autojump_clock: MockClock, lost: int) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked())
        meanwhile(here, Point.BEFORE_COMMIT, *[lambda: there.claim("bob")] * lost)
        if lost < ATTEMPTS:
            assert (await here.cancel()).version == lost + 2
            return
        with pytest.raises(Contended):
            await here.cancel()
        assert (await world.stored()).status is Status.CLAIMED
        assert world.types() == ["created", *["claimed"] * lost]
        assert (await here.cancel()).status is Status.CANCELLED


async def test_a_refusal_by_an_old_memory_is_confirmed_first(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked())
        await here.claim("ada")
        await there.release("ada")
        assert (await here.claim("bob")).claim is not None
        assert here.journal.passed(Point.BEFORE_CONFIRM) == 1
        with pytest.raises(ClaimedByOther) as refusal:
            await there.claim("ada")
        assert refusal.value.members["holder"] == "bob"


async def test_a_goal_that_held_in_memory_is_confirmed_first(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked("ada", "bob"))
        await here.decline("ada")
        assert (await here.decline("ada")).status is Status.PENDING
        await there.decline("bob")
        again = await here.decline("ada")
        assert again.status is Status.DECLINED, "what is so, not what was remembered"
        assert here.journal.passed(Point.BEFORE_CONFIRM) == 2


async def test_what_was_just_loaded_needs_no_confirmation(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked())
        await here.claim("ada")
        with pytest.raises(ClaimedByOther):
            await there.claim("bob")
        assert there.journal.passed(Point.BEFORE_CONFIRM) == 0
        with pytest.raises(ClaimedByOther):
            await there.claim("bob")
        assert there.journal.passed(Point.BEFORE_CONFIRM) == 1


async def test_a_change_between_load_and_refusal_counts_for_the_next(
    autojump_clock: MockClock,
) -> None:
    """A refusal on what was loaded after the command came in may be replied as it is."""
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked())
        await here.claim("ada")
        meanwhile(there, Point.BEFORE_LOAD, lambda: here.release("ada"))
        assert (await there.claim("bob")).status is Status.CLAIMED


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (JournalFull(), Overloaded),
        (JournalUnavailable("gone"), Unavailable),
        (CommitUnknown("cut"), OutcomeUnknown),
    ],
)
async def test_a_commit_that_failed_is_told_and_memory_is_dropped(
    autojump_clock: MockClock, error: Exception, told: type[PxError]
) -> None:
    world = open_world()
    async with world.process() as here:
        await here.create(asked())
        here.journal.fail(Point.BEFORE_COMMIT, error)
        loads = here.journal.passed(Point.BEFORE_LOAD)
        commits = here.journal.passed(Point.BEFORE_COMMIT)
        with pytest.raises(told):
            await here.claim("ada")
        assert world.types() == ["created"]
        assert (await here.claim("ada")).status is Status.CLAIMED
        assert here.journal.passed(Point.BEFORE_LOAD) == loads + 1
        assert here.journal.passed(Point.BEFORE_COMMIT) == commits + 2, "decided on what is so"


async def test_a_command_whose_outcome_was_lost_can_be_repeated(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as here:
        await here.create(asked())
        here.journal.fail(Point.AFTER_COMMIT, CommitUnknown("cut"))
        with pytest.raises(OutcomeUnknown):
            await here.answer("ada", CITY)
        done = await here.answer("ada", CITY)
        assert done.request == await world.stored()
        assert world.types() == ["created", "answered"]


async def test_a_deadline_that_passes_before_the_commit_decides(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as here:
        await here.create(asked(deadline_at=virtual_now() + timedelta(seconds=10)))
        await here.claim("ada")
        await trio.sleep(9)
        meanwhile(here, Point.BEFORE_COMMIT, lambda: trio.sleep(2))
        with pytest.raises(WrongStatus) as refusal:
            await here.answer("ada", CITY)
        assert refusal.value.members["requestStatus"] is Status.EXPIRED
        assert world.types() == ["created", "claimed", "expired"]
        assert world.told()[-1]["actor"] is None
        assert await world.memory.load("response", "answer-ada") is None
        assert world.alarms() == {}


async def test_a_lease_that_passes_before_the_commit_decides(autojump_clock: MockClock) -> None:
    """The lapsed claimant answers all the same: nobody else has claimed since."""
    world = open_world()
    async with world.process() as here:
        await here.create(asked(claim_required=True))
        await here.claim("ada")
        await trio.sleep(TTL.total_seconds() - 1)
        meanwhile(here, Point.BEFORE_COMMIT, lambda: trio.sleep(2))
        done = await here.answer("ada", CITY)
        assert done.request is not None
        assert done.request.status is Status.ANSWERED
        assert world.types() == ["created", "claimed", "released", "answered"]


async def test_a_claim_right_after_the_lease_wins(autojump_clock: MockClock) -> None:
    world = open_world()
    async with world.process() as here, world.process() as there:
        await here.create(asked())
        await here.claim("ada")
        with pytest.raises(ClaimedByOther):
            await there.claim("bob")
        await trio.sleep(TTL.total_seconds())
        assert (await there.claim("bob")).status is Status.CLAIMED
        with pytest.raises(ClaimedByOther):
            await here.answer("ada", CITY)
        assert world.types() == ["created", "claimed", "released", "claimed"]


async def test_a_time_that_the_journal_does_not_see_yet_is_waited_for(
    autojump_clock: MockClock,
) -> None:
    """The estimate of the clock may be ahead: then nothing has expired yet (S8)."""
    world = open_world()
    async with world.process() as here:
        deadline = virtual_now() + timedelta(seconds=10)
        await here.create(asked(deadline_at=deadline))
        await trio.sleep(9)
        ahead = iter([deadline, deadline])
        now = here.journal.now
        here.journal.now = lambda: next(ahead, now())  # type: ignore[method-assign]
        assert (await here.claim("ada")).status is Status.CLAIMED
        assert world.types() == ["created", "claimed"]


async def test_a_claimant_who_left_the_group_loses_the_claim_at_the_next_act(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as here:
        await here.create(asked())
        await here.claim("ada")
        world.groups.members["team"].remove("ada")
        with pytest.raises(NotFound):
            await here.answer("ada", CITY)
        stored = await world.stored()
        assert (stored.status, stored.claim, stored.lapsed) == (Status.PENDING, None, None)
        assert world.types() == ["created", "claimed", "released"]
        assert world.types("entity:ada") == ["claimed", "released"]
        assert (await here.claim("bob")).status is Status.CLAIMED


async def test_a_claimant_addressed_directly_has_no_group_to_leave(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    async with world.process() as here:
        await here.create(asked("ada", "team"))
        await here.claim("ada")
        world.groups.members["team"].clear()
        assert (await here.answer("ada", CITY)).request is not None


async def test_of_a_hundred_at_once_one_wins_and_all_others_are_told_of_it(
    autojump_clock: MockClock,
) -> None:
    world = open_world()
    people = [f"user {n}" for n in range(50)]
    world.groups.members["team"] = set(people)
    won: list[str] = []
    lost: list[str] = []

    async def claim(process: Process, name: str) -> None:
        try:
            await process.claim(name)
            won.append(name)
        except ClaimedByOther as refusal:
            lost.append(str(refusal.members["holder"]))

    async with world.process() as here, world.process() as there:
        await here.create(asked())
        async with trio.open_nursery() as nursery:
            for number, name in enumerate(people):
                nursery.start_soon(claim, (here, there)[number % 2], name)
        assert len(won) == 1
        assert lost == won * (len(people) - 1)
        assert world.types() == ["created", "claimed"]
        assert (await world.memory.load("request", ID) or {})["version"] == 2
