"""Whatever is sent, and whatever happens meanwhile: what a sender may rely on holds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import (
    ActorCrashed,
    Address,
    AskTimeout,
    Draining,
    Limits,
    MailboxFull,
    RestartLimit,
    System,
    TurnAbandoned,
    open_system,
)
from tests.actors.behaviors import run_virtual

RESTARTS = RestartLimit(crashes=1000)

Sent = tuple[int, Address, int]
"""Who sent it, to whom, and the sender's number for it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A sender waits, sends, and, unless it tells, is cancelled or times out at some time."""

    wait: int
    to: int
    seconds: int
    patience: int | None
    timeout: int
    crash: bool


@dataclass(slots=True)
class World:
    """What the senders were promised, and what the actors did."""

    accepted: list[Sent] = field(default_factory=list)
    handled: list[Sent] = field(default_factory=list)
    running: Counter[Address] = field(default_factory=Counter)
    draining: bool = False

    def build(self, address: Address) -> Worker:
        return Worker(address, self)


class Worker:
    """Works on a message for as long as it says, and may crash at its end."""

    def __init__(self, address: Address, world: World) -> None:
        self.address = address
        self.world = world

    async def receive(self, message: object, /) -> object:
        assert isinstance(message, tuple)
        sent, step = message
        running = self.world.running
        running[self.address] += 1
        assert running[self.address] == 1
        try:
            await trio.sleep(step.seconds)
        finally:
            running[self.address] -= 1
        self.world.handled.append(sent)
        if step.crash:
            raise LookupError("lost")
        return sent


steps = st.builds(
    Step,
    wait=st.integers(0, 5),
    to=st.integers(0, 3),
    seconds=st.integers(0, 4),
    patience=st.one_of(st.none(), st.integers(1, 6)),
    timeout=st.integers(0, 6),
    crash=st.booleans(),
)
programs = st.lists(st.lists(steps, max_size=8), min_size=1, max_size=4)
limits = st.builds(Limits, st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))


async def follow(system: System, world: World, sender: int, program: list[Step]) -> None:
    for number, step in enumerate(program):
        await trio.sleep(step.wait)
        sent = (sender, Address("worker", str(step.to)), number)
        # Before it is sent, for whether it was queued shows only in the reply or the refusal.
        world.accepted.append(sent)
        in_time = not world.draining
        try:
            await send(system, world, sent, step)
        except MailboxFull:
            world.accepted.remove(sent)
        except Draining:
            if not in_time:
                world.accepted.remove(sent)


async def send(system: System, world: World, sent: Sent, step: Step) -> None:
    if step.patience is None:
        system.tell(sent[1], (sent, step))
        return
    with trio.move_on_after(step.patience):
        try:
            assert await system.ask(sent[1], (sent, step), step.timeout) == sent
            assert sent in world.handled
        except ActorCrashed:
            assert step.crash
            assert sent in world.handled
        except AskTimeout:
            pass
        except TurnAbandoned:
            assert sent not in world.handled


def ignore(address: Address, error: BaseException) -> None:
    assert isinstance(error, LookupError)


def by_sender_and_address(messages: list[Sent]) -> dict[tuple[int, Address], list[int]]:
    numbers: dict[tuple[int, Address], list[int]] = {}
    for sender, address, number in messages:
        numbers.setdefault((sender, address), []).append(number)
    return numbers


@settings(deadline=None, max_examples=200)
@given(programs, limits, st.lists(st.integers(0, 5), max_size=3))
def test_what_was_accepted_is_handled_once_and_in_order_per_sender(
    programs: list[list[Step]], limits: Limits, drops: list[int]
) -> None:
    async def main() -> None:
        world = World()
        async with open_system(restarts=RESTARTS, on_crash=ignore) as system:
            system.register("worker", world.build, limits)
            async with trio.open_nursery() as nursery:
                for sender, program in enumerate(programs):
                    nursery.start_soon(follow, system, world, sender, program)
                for wait in drops:
                    await trio.sleep(wait)
                    system.drop_all()
            assert await system.drain(1000) == 0
            stats = system.stats()["worker"]
        assert by_sender_and_address(world.handled) == by_sender_and_address(world.accepted)
        assert Counter(world.handled) == Counter(world.accepted)
        assert stats.turns == len(world.handled)
        assert stats.resident <= limits.max_resident
        assert (stats.active, stats.queued, stats.deepest) == (0, 0, 0)

    run_virtual(main)


@settings(deadline=None)
@given(programs, limits)
def test_memory_holds_no_more_than_the_limit_and_what_is_busy(
    programs: list[list[Step]], limits: Limits
) -> None:
    async def watch(system: System) -> None:
        while True:
            stats = system.stats()["worker"]
            assert stats.resident <= max(limits.max_resident, stats.active)
            assert stats.deepest <= limits.mailbox
            await trio.sleep(0.5)

    async def main() -> None:
        world = World()
        async with open_system(restarts=RESTARTS, on_crash=ignore) as system:
            system.register("worker", world.build, limits)
            async with trio.open_nursery() as watching:
                watching.start_soon(watch, system)
                async with trio.open_nursery() as nursery:
                    for sender, program in enumerate(programs):
                        nursery.start_soon(follow, system, world, sender, program)
                await trio.sleep(30)  # what is queued takes 20 s at most, then it is idle
                watching.cancel_scope.cancel()
            assert system.stats()["worker"].resident == 0

    run_virtual(main)


@settings(deadline=None, max_examples=200)
@given(programs, limits, st.integers(0, 20), st.integers(0, 10))
def test_a_drain_ends_in_its_time_and_accounts_for_every_message(
    programs: list[list[Step]], limits: Limits, start: int, grace: int
) -> None:
    async def main() -> None:
        world = World()
        async with trio.open_nursery() as nursery:
            async with open_system(restarts=RESTARTS, on_crash=ignore) as system:
                system.register("worker", world.build, limits)
                for sender, program in enumerate(programs):
                    nursery.start_soon(follow, system, world, sender, program)
                await trio.sleep(start)
                began = trio.current_time()
                world.draining = True
                abandoned = await system.drain(grace)
                assert trio.current_time() - began <= grace
                assert system.stats()["worker"].queued == 0
            stats = system.stats()["worker"]
            assert len(world.handled) + abandoned == len(world.accepted)
            assert stats.active == 0
        assert set(world.handled) <= set(world.accepted)

    run_virtual(main)
