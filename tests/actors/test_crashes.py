"""What a failing behavior does to its asker, to what waits, and to nobody else (A4)."""

from __future__ import annotations

import gc
import logging
import traceback
import weakref

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from actors import (
    ActorCrashed,
    ActorFailing,
    Address,
    Behavior,
    Drop,
    RestartLimit,
    System,
    open_system,
)
from actors.testing import Failure, open_stage
from tests.actors.behaviors import Count, Refused, Scripted

ANN = Address("person", "ann")
BOB = Address("person", "bob")


async def crash(system: System, address: Address = ANN) -> None:
    with pytest.raises(ActorCrashed):
        await system.ask(address, LookupError("lost"), 1)


async def test_the_asker_gets_the_crash_and_its_cause() -> None:
    async with open_stage() as stage:
        stage.system.register("person", Count)
        error = LookupError("lost")
        with pytest.raises(ActorCrashed) as crashed:
            await stage.system.ask(ANN, error, 1)
        assert crashed.value.address == ANN
        assert crashed.value.__cause__ is error
        assert stage.failures == [Failure(ANN, error)]
        assert stage.system.stats()["person"].crashes == 1


async def test_a_crash_drops_the_activation() -> None:
    async with open_stage() as stage:
        stage.system.register("person", Count)
        assert await stage.system.ask(ANN, "hello", 1) == 1
        await crash(stage.system)
        assert stage.system.stats()["person"].resident == 0
        assert await stage.system.ask(ANN, "hello", 1) == 1


async def test_messages_behind_a_crash_are_handled_by_a_fresh_activation() -> None:
    replies: list[object] = []

    async def ask(system: System) -> None:
        replies.append(await system.ask(ANN, "hello", 1))

    async with open_stage() as stage:
        stage.system.register("person", Count)
        async with trio.open_nursery() as nursery:
            stage.system.tell(ANN, "first")
            stage.system.tell(ANN, LookupError("lost"))
            nursery.start_soon(ask, stage.system)
        assert replies == [1]
        assert await stage.system.ask(ANN, "hello", 1) == 2


async def test_a_refusal_reaches_the_asker_as_it_is_and_keeps_the_activation() -> None:
    async with open_stage() as stage:
        stage.system.register("person", Count, refusals=(Refused,))
        no = Refused("no")
        with pytest.raises(Refused) as refused:
            await stage.system.ask(ANN, no, 1)
        assert refused.value is no
        assert await stage.system.ask(ANN, "hello", 1) == 2
        assert stage.failures == []
        assert stage.system.stats()["person"].crashes == 0


@pytest.mark.parametrize("raised", [Refused("no"), LookupError("lost")])
async def test_the_traceback_of_an_asker_holds_no_frame_of_the_turn(raised: Exception) -> None:
    async with open_stage() as stage:
        stage.system.register("person", Count, refusals=(Refused,))
        lengths = set()
        for _ in range(3):  # the same exception each time: nothing may pile up in it
            with pytest.raises((Refused, ActorCrashed)) as caught:
                await stage.system.ask(ANN, raised, 1)
            frames = traceback.extract_tb(caught.value.__traceback__)
            assert "receive" not in {frame.name for frame in frames}
            lengths.add(len(frames))
        assert len(lengths) == 1


async def test_a_refusal_leaves_no_garbage_in_cycles() -> None:
    gone: list[weakref.ref[Refused]] = []

    async def turn() -> None:
        raise Refused("no")

    async def ask(system: System) -> None:
        try:
            await system.ask(ANN, turn, 1)
        except Refused as refused:
            gone.append(weakref.ref(refused))

    async with open_stage() as stage:
        stage.system.register("person", Scripted, refusals=(Refused,))
        gc.disable()
        try:
            await ask(stage.system)
            await wait_all_tasks_blocked()
            assert gone[0]() is None
        finally:
            gc.enable()


@pytest.mark.parametrize(("error", "crashes"), [(Refused("no"), 0), (LookupError("lost"), 1)])
async def test_a_told_message_that_fails_is_counted_and_reported(
    error: Exception, crashes: int
) -> None:
    async with open_stage() as stage:
        stage.system.register("person", Count, refusals=(Refused,))
        stage.system.tell(ANN, error)
        await wait_all_tasks_blocked()
        assert stage.failures == [Failure(ANN, error)]
        stats = stage.system.stats()["person"]
        assert (stats.failed_tells, stats.crashes) == (1, crashes)


async def test_a_failing_report_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    def report(address: Address, error: BaseException) -> None:
        raise RuntimeError("the report failed")

    async with open_system(on_crash=report) as system:
        system.register("person", Count)
        await crash(system)
        assert await system.ask(ANN, "hello", 1) == 1
    assert caplog.messages == ["on_crash failed for person:ann: RuntimeError"]


async def test_by_default_a_crash_is_logged_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_system() as system:
        system.register("person", Count)
        await crash(system)
    assert caplog.record_tuples == [
        ("actors", logging.ERROR, "actor person:ann failed: LookupError")
    ]
    assert caplog.records[0].exc_info is None


async def test_a_factory_that_fails_is_a_crash() -> None:
    def build(address: Address) -> Behavior:
        raise LookupError("no such behavior")

    async with open_stage() as stage:
        stage.system.register("person", build)
        with pytest.raises(ActorCrashed):
            await stage.system.ask(ANN, "hello", 1)
        assert stage.system.stats()["person"].resident == 0


async def test_a_failing_child_task_of_a_behavior_is_a_crash() -> None:
    async def fail() -> None:
        raise LookupError("lost")

    async def turn() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            nursery.start_soon(fail)

    async with open_stage() as stage:
        stage.system.register("person", Scripted)
        with pytest.raises(ActorCrashed) as crashed:
            await stage.system.ask(ANN, turn, 1)
        assert isinstance(crashed.value.__cause__, ExceptionGroup)


async def test_a_cancellation_from_elsewhere_is_a_crash() -> None:
    kept: list[BaseException] = []

    async def be_cancelled() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.lowlevel.checkpoint()
            except trio.Cancelled as cancelled:
                kept.append(cancelled)
                raise

    async def turn() -> None:
        raise kept[0]

    await be_cancelled()
    async with open_stage() as stage:
        stage.system.register("person", Scripted)
        with pytest.raises(ActorCrashed):
            await stage.system.ask(ANN, turn, 1)
        assert await stage.system.ask(ANN, trio.lowlevel.checkpoint, 1) is None


async def test_a_child_that_fails_while_its_turn_is_cancelled_escapes_nowhere(
    autojump_clock: MockClock,
) -> None:
    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise LookupError("lost")

    async def turn() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail_when_cancelled)
            nursery.start_soon(trio.sleep_forever)

    async with open_stage() as stage:
        stage.system.register("person", Scripted)
        stage.system.tell(ANN, turn)
        assert await stage.system.drain(1) == 1
    assert [failure.address for failure in stage.failures] == [ANN]


async def test_too_many_crashes_make_an_address_fail_at_once(autojump_clock: MockClock) -> None:
    async with open_stage(restarts=RestartLimit(crashes=2, window_seconds=10)) as stage:
        system = stage.system
        system.register("person", Count)
        for _ in range(3):
            await crash(system)
            await trio.sleep(1)
        with pytest.raises(ActorFailing) as failing:
            await system.ask(ANN, "hello", 1)
        assert failing.value.retry_after == pytest.approx(7)
        with pytest.raises(ActorFailing):
            system.tell(ANN, "hello")
        assert await system.ask(BOB, "hello", 1) == 1
        await trio.sleep(failing.value.retry_after)
        assert await system.ask(ANN, "hello", 1) == 1


async def test_what_waits_behind_too_many_crashes_fails_at_once(
    autojump_clock: MockClock,
) -> None:
    async with open_stage(restarts=RestartLimit(crashes=0)) as stage:
        stage.system.register("person", Count)
        stage.system.tell(ANN, LookupError("lost"))
        stage.system.tell(ANN, "told")
        with pytest.raises(ActorFailing):
            await stage.system.ask(ANN, "hello", 1)
        stats = stage.system.stats()["person"]
        assert (stats.turns, stats.failed_tells, stats.resident) == (1, 2, 0)
        assert [type(failure.error) for failure in stage.failures] == [LookupError, ActorFailing]


@pytest.mark.parametrize("error", [None, Refused("stale")])
async def test_a_drop_replies_and_forgets_the_activation(error: Exception | None) -> None:
    class Stale(Count):
        async def receive(self, message: object, /) -> object:
            if message == "drop":
                return Drop("dropped", error)
            return await super().receive(message)

    async with open_stage() as stage:
        stage.system.register("person", Stale)
        assert await stage.system.ask(ANN, "hello", 1) == 1
        stage.system.tell(ANN, "hello")
        if error is None:
            assert await stage.system.ask(ANN, "drop", 1) == "dropped"
        else:
            with pytest.raises(Refused, match="stale"):
                await stage.system.ask(ANN, "drop", 1)
        assert stage.system.stats()["person"].resident == 0
        assert await stage.system.ask(ANN, "hello", 1) == 1
        assert stage.system.stats()["person"].crashes == 0
        assert stage.failures == []
