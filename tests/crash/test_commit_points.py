"""A broker process ends by SIGKILL at each point of each kind of commit (S1, S7, E1, E2, E3).

Another broker lives on beside it, with a subscriber; a third one is started afterwards.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import httpx
import pytest
import trio

from tests.brokers import Broker, Brokers, Socket
from tests.crash.commits import KINDS, Cast, Command, Kind, Scene
from tests.crash.launcher import Point
from tests.crash.launching import Launcher
from tests.inspection import Database, assert_sound, eventually

DELIVERED_SECONDS = 3.0

ACKNOWLEDGED = frozenset({Point.BEFORE_APPEND, Point.APPENDED})
"""Where the caller has had the reply."""


@dataclass(slots=True)
class Stage:
    """One scene, played at a broker that ends; `head` is the channel's before its commit."""

    kind: Kind
    scene: Scene
    socket: Socket
    database: Database
    head: int
    key: str = field(default_factory=lambda: uuid4().hex)
    visible_at: float = float("inf")

    def events(self) -> list[str]:
        """The types of what the commit has left on the channel."""
        return [type for _, _, type in self.database.events(self.scene.channel)[self.head :]]

    async def see_commit(self) -> None:
        """Note when the commit becomes visible to others."""
        await eventually(self.events, "the commit is visible")
        self.visible_at = trio.current_time()

    async def see_event(self) -> float:
        """The seconds from then until the subscriber has it."""
        await self.socket.until(lambda: bool(self.socket.events))
        return trio.current_time() - self.visible_at


@pytest.fixture
async def stage(
    kind: str, module_broker: Broker, module_database: Database
) -> AsyncIterator[Stage]:
    """A scene of this kind, prepared and watched at the broker that lives on."""
    cast = Cast(module_broker)
    await cast.enter()
    async with module_broker.websocket(cast.asker) as socket:
        scene = await KINDS[kind].prepare(cast)
        head = (await socket.subscribe(scene.channel))["seq"]
        yield Stage(KINDS[kind], scene, socket, module_database, head)


@asynccontextmanager
async def frozen_if(needed: bool, broker: Broker) -> AsyncIterator[None]:
    """The broker stands still while the block lasts, so that another one fires the alarm."""
    if needed:
        broker.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        broker.process.send_signal(signal.SIGCONT)


async def send_to_the_doomed(command: Command, broker: Broker, key: str) -> httpx.Response | None:
    """The reply; None where the connection ended first."""
    try:
        return await command.send(broker, key)
    except httpx.TransportError:
        return None


@pytest.mark.parametrize("point", [point for point in Point if point is not Point.BEFORE_COMMIT])
@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_committed_outlives_the_broker_and_is_told_by_another(
    stage: Stage, point: Point, launcher: Launcher, module_brokers: Brokers, module_broker: Broker
) -> None:
    """Nobody writes to the channel again before the event has come (E3)."""
    command = stage.scene.command
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stage.see_commit)
        async with frozen_if(stage.kind.by_alarm, module_broker):
            doomed, process = await trio.to_thread.run_sync(
                lambda: launcher(module_brokers, point, replies=command is not None)
            )
            reply = await send_to_the_doomed(command, doomed, stage.key) if command else None
            assert await trio.to_thread.run_sync(process.died_at, point)
    assert (reply is not None) is (point in ACKNOWLEDGED and command is not None)
    assert await stage.see_event() <= DELIVERED_SECONDS
    assert [frame["data"]["type"] for frame in stage.socket.events] == [stage.kind.event]
    assert [frame["seq"] for frame in stage.socket.events] == [stage.head + 1]
    if command is not None:
        await repeated_elsewhere(stage, command, reply, launcher, module_brokers, module_broker)
    assert stage.events() == [stage.kind.event]
    await assert_sound(module_brokers, stage.database)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_was_not_sent_to_postgres_has_not_happened_and_can_be_repeated(
    stage: Stage, launcher: Launcher, module_brokers: Brokers, module_broker: Broker
) -> None:
    command = stage.scene.command
    async with frozen_if(stage.kind.by_alarm, module_broker):
        doomed, process = await trio.to_thread.run_sync(
            lambda: launcher(module_brokers, Point.BEFORE_COMMIT)
        )
        reply = await send_to_the_doomed(command, doomed, stage.key) if command else None
        assert await trio.to_thread.run_sync(process.died_at, Point.BEFORE_COMMIT)
        assert reply is None
        assert stage.events() == []
    if command is not None:
        fresh, _ = await trio.to_thread.run_sync(lambda: launcher(module_brokers))
        assert (await command.send(fresh, stage.key)).is_success
        fresh.kill()
    else:
        let_the_taken_alarm_be_seen_again(stage)
    await stage.see_event()
    assert stage.events() == [stage.kind.event]
    await assert_sound(module_brokers, stage.database)


async def repeated_elsewhere(
    stage: Stage,
    command: Command,
    reply: httpx.Response | None,
    launcher: Launcher,
    brokers: Brokers,
    survivor: Broker,
) -> None:
    """A broker that never saw the command, and one that did not, give the same reply (S7)."""
    fresh, _ = await trio.to_thread.run_sync(lambda: launcher(brokers))
    again = [await command.send(broker, stage.key) for broker in (fresh, survivor)]
    fresh.kill()
    for one in (*again, *([reply] if reply else [])):
        assert one.is_success, one.text
        assert one.json() == again[0].json()
    if command.method == "POST":
        assert [one.headers.get("idempotent-replayed") for one in again] == ["true", "true"]


def let_the_taken_alarm_be_seen_again(stage: Stage) -> None:
    """As if the time for which a taken alarm is invisible had passed (S10)."""
    stage.database.execute("update alarm set visible_at = clock_timestamp() where due_at < now()")
