"""Told messages that a behavior handles at once, in the sender's stack."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors import Address, Limits, MailboxFull, open_system
from actors.testing import open_stage

ADDRESS = Address("prompt", "1")


class Prompt:
    """Handles words at once; numbers and whatever it is asked are queued."""

    def __init__(self) -> None:
        self.now: list[object] = []
        self.queued: list[object] = []

    def receive_now(self, message: object) -> bool:
        if message == "fault":
            raise RuntimeError("a fault")
        if isinstance(message, str):
            self.now.append(message)
        return isinstance(message, str)

    async def receive(self, message: object) -> object:
        self.queued.append(message)
        await trio.lowlevel.checkpoint()
        return self


async def test_a_told_message_is_handled_at_once_while_the_actor_is_at_rest() -> None:
    async with open_stage() as stage:
        stage.system.register("prompt", lambda _: Prompt(), prompt=True)
        actor = await stage.system.ask(ADDRESS, 0, timeout=1)
        assert isinstance(actor, Prompt)
        stage.system.tell(ADDRESS, "word")
        assert actor.now == ["word"]
        assert stage.system.stats()["prompt"].turns == 2


async def test_what_it_declines_to_handle_at_once_is_queued(autojump_clock: object) -> None:
    async with open_stage() as stage:
        stage.system.register("prompt", lambda _: Prompt(), prompt=True)
        actor = await stage.system.ask(ADDRESS, 0, timeout=1)
        assert isinstance(actor, Prompt)
        stage.system.tell(ADDRESS, 7)
        await trio.testing.wait_all_tasks_blocked()
        assert actor.queued == [0, 7]
        assert actor.now == []


async def test_a_busy_actor_gets_it_in_its_turn_after_what_was_queued(
    autojump_clock: object,
) -> None:
    async with open_stage() as stage:
        stage.system.register("prompt", lambda _: Prompt(), prompt=True)
        actor = await stage.system.ask(ADDRESS, 0, timeout=1)
        assert isinstance(actor, Prompt)
        stage.system.tell(ADDRESS, 1)
        stage.system.tell(ADDRESS, "word")
        assert actor.now == []
        await trio.testing.wait_all_tasks_blocked()
        assert actor.queued == [0, 1, "word"]


async def test_a_fault_drops_the_activation_and_reaches_nobody_but_on_crash(
    autojump_clock: object,
) -> None:
    crashes: list[BaseException] = []
    async with open_system(on_crash=lambda _, error: crashes.append(error)) as system:
        system.register("prompt", lambda _: Prompt(), prompt=True)
        before = await system.ask(ADDRESS, 0, timeout=1)
        system.tell(ADDRESS, "fault")
        after = await system.ask(ADDRESS, 0, timeout=1)
        assert after is not before
        assert [str(crash) for crash in crashes] == ["a fault"]
        assert system.stats()["prompt"].crashes == 1


async def test_without_an_activation_it_is_queued_like_any_other(autojump_clock: object) -> None:
    async with open_stage() as stage:
        made: list[Prompt] = []

        def make(_: Address) -> Prompt:
            made.append(Prompt())
            return made[-1]

        stage.system.register("prompt", make, prompt=True)
        stage.system.tell(ADDRESS, "word")
        await trio.testing.wait_all_tasks_blocked()
        assert made[0].queued == ["word"]
        for _ in range(Limits().mailbox):
            stage.system.tell(ADDRESS, 1)
        with pytest.raises(MailboxFull):
            stage.system.tell(ADDRESS, 1)
