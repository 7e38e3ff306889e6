"""A broker and workers that play stories, and are started again whenever they have been killed."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import msgspec
import trio

from pxbox.client import AsyncPxBox
from pxbox.model.flow import WaitKind
from pxbox.model.wire.flows import FlowDetail, WaitView
from tests.brokers import SECRET, Broker, Brokers, new_log
from tests.crash.flow_points import Moment, Note, Order, Victim, heeded, notes, order
from tests.crash.flow_stories import FINANCE, PEOPLE, Says, Story
from tests.crash.launcher import Launch
from tests.crash.launching import Launched, Launcher, serving
from tests.inspection import Database

MODULES = ("examples.onboarding", "examples.approval", "examples.agent")
AUTHOR = "flow request respond admin"
AGAIN_SECONDS = 0.05
PATIENCE_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class End:
    """How a flow ended, as far as it may not differ."""

    status: str
    result: Any
    error: str | None
    text: str | None


class Clock:
    """The database's, which passes over what nobody wants to wait for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._turn = threading.Lock()

    def ring(self, alarm: str) -> None:
        """This alarm is due."""
        due = "update alarm set due_at = now(), visible_at = now() where id = $1"
        with self._turn:
            self._database.fetch(due, alarm)

    def end_sessions(self, sub: str) -> None:
        """Those of this client are over."""
        over = "update worker_session set expires_at = clock_timestamp() where sub = $1"
        with self._turn:
            self._database.fetch(over, sub)


class BrokerSeat:
    """A broker at a port that stays the same."""

    def __init__(self, brokers: Brokers, launcher: Launcher, points: Path) -> None:
        self._brokers, self._launcher, self._points = brokers, launcher, points
        self.port = 0
        self.broker: Broker
        self.process: Launched

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(self) -> None:
        launch = Launch(
            serving(self._brokers, self.port), {"PXBOX_SECRET": SECRET},
            str(new_log(self._brokers.data_dir)), None, flow_points=str(self._points),
        )  # fmt: skip
        self.broker, self.process = self._launcher.broker(self._brokers, launch)
        self.port = httpx.URL(self.broker.url).port or 0


class WorkerSeat:
    """A worker of all examples, by a client of its own."""

    def __init__(self, launcher: Launcher, points: Path, broker: Broker, clock: Clock) -> None:
        self._launcher, self._points, self._clock = launcher, points, clock
        self._sub = f"worker-{uuid4().hex[:8]}"
        self._environ = {
            "PXBOX_URL": broker.url,
            "PXBOX_TOKEN": broker.token(self._sub, "worker:* flow request"),
        }
        self.process: Launched

    @property
    def pid(self) -> int:
        return self.process.pid

    def start(self) -> None:
        """Start it; the session of one that was killed before is over by the database's clock."""
        self._clock.end_sessions(self._sub)
        log = str(self._points / f"{self._sub}-{uuid4().hex[:4]}.log")
        launch = Launch(["worker", *MODULES], self._environ, log, None,
                        flow_points=str(self._points))  # fmt: skip
        _, self.process = self._launcher.process(launch)


class Stage:
    """Plays stories; `notes` are all that was noted."""

    def __init__(
        self, points: Path, clock: Clock, brokers: list[BrokerSeat], workers: list[WorkerSeat]
    ) -> None:
        self.points, self.brokers, self.workers = points, brokers, workers
        self._clock = clock

    def notes(self, flow: str) -> list[Note]:
        return [note for note in notes(self.points) if note.flow == flow]

    async def play(self, story: Story, seat: int = 0) -> tuple[str, End]:
        """Have a flow run to its end, everybody speaking to the broker of this seat; its id, and
        how it ended."""
        broker = self.brokers[seat].broker
        with trio.fail_after(PATIENCE_SECONDS):
            async with AsyncPxBox(broker.url, broker.token("author", AUTHOR)) as px:
                handle = await px.flows.start(story.kind, story.input, key=uuid4().hex)
                done: set[str] = set()
                async with aclosing(handle.changes()) as changes:
                    async for flow in changes:
                        await self._act(broker, story, flow, done)
        return flow.id, _end(flow)

    async def play_with_a_kill(self, story: Story, given: Order) -> tuple[str, End]:
        """The same, while somebody is killed, and started again."""
        seat = (self.brokers if given.victim is Victim.BROKER else self.workers)[0]
        order(self.points, msgspec.structs.replace(given, pid=seat.pid))
        ended: list[tuple[str, End]] = []

        async def play() -> None:
            ended.append(await self.play(story))

        with trio.fail_after(PATIENCE_SECONDS):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(play)
                await trio.to_thread.run_sync(seat.process.wait, PATIENCE_SECONDS)
                assert heeded(self.points), "it ended of something else"
                await trio.to_thread.run_sync(seat.start)
        return ended[0]

    async def _act(self, broker: Broker, story: Story, flow: FlowDetail, done: set[str]) -> None:
        """Have the people do what they are asked for; where none is asked, let time pass."""
        new = [wait for wait in flow.waiting if wait.id not in done]
        spoken = False
        for wait in new:
            says = story.answers.get(wait.key.rpartition("#")[0])
            if wait.kind is WaitKind.ASK and says is not None:
                await say(broker, says, wait)
                done.add(wait.id)
                spoken = True
        if not spoken and new and all(wait.kind is WaitKind.TIMER for wait in flow.waiting):
            for wait in new:
                await trio.to_thread.run_sync(self._clock.ring, f"flow:{flow.id}:{wait.id}")
                done.add(wait.id)


async def say(broker: Broker, says: Says, wait: WaitView) -> None:
    """Until it was heard: it is the same each time."""
    path, body = ("response", {"payload": says.payload})
    if says.payload is None:
        path, body = ("decline", {})
    async with broker.rest(broker.token(says.speaker, "respond")) as rest:
        while True:
            with suppress(httpx.TransportError):
                reply = await rest.post(f"/v1/requests/{wait.id}/{path}", json=body)
                if reply.status_code < 500:
                    break
            await trio.sleep(AGAIN_SECONDS)
    assert reply.is_success, reply.text


def _end(flow: FlowDetail) -> End:
    error = None if flow.error is None else flow.error.splitlines()[0]
    result = msgspec.json.decode(flow.result)
    if isinstance(result, dict) and "account" in result:
        # It is the same whichever flow made it.
        assert result["account"] == "ada@example.org"
    return End(str(flow.status), result, error, flow.text)


def ran(found: list[Note]) -> Counter[str]:
    """How often each step ran."""
    return Counter(key for note in found if note.what == "ran" for key in note.keys)


def checkpoints(found: list[Note]) -> list[list[str]]:
    """The steps of each checkpoint that a run without a kill sent."""
    return [note.keys for note in found if note.what == "sent"]


def ran_after_acknowledged(found: list[Note]) -> list[str]:
    """The steps that ran once more although their checkpoint had been acknowledged (F1)."""
    acked: set[str] = set()
    again: list[str] = []
    for note in found:
        if note.what == "acked":
            acked |= set(note.keys)
        elif note.what == "ran":
            again += [key for key in note.keys if key in acked]
    return again


def lost(found: list[Note], given: Order) -> Counter[str]:
    """The steps that had run, and that nothing durable held, when the worker was killed: they run
    again. Those of a broker that is killed are with the worker."""
    if given.victim is Victim.BROKER:
        return Counter()
    place = next(n for n, note in enumerate(found) if note.what == "killed")
    before = found[:place]
    held = {key for note in before if note.what == "sent" for key in note.keys}
    if given.moment is Moment.BEFORE:
        held -= set(found[place].keys)
    return Counter({key: 1 for key in ran(before) if key not in held})


@asynccontextmanager
async def open_stage(
    brokers: Brokers, launcher: Launcher, database: Database, points: Path,
    *, seats: int = 1,
) -> AsyncIterator[Stage]:  # fmt: skip
    """So many brokers and workers on one database, and the people."""
    at = [BrokerSeat(brokers, launcher, points) for _ in range(seats)]
    for seat in at:
        await trio.to_thread.run_sync(seat.start)
    await _introduce(at[0].broker)
    clock = Clock(database)
    hands = [WorkerSeat(launcher, points, seat.broker, clock) for seat in at]
    try:
        for hand in hands:
            await trio.to_thread.run_sync(hand.start)
        yield Stage(points, clock, at, hands)
    finally:
        for hand in hands:
            if hand.process.poll() is None:
                hand.process.send_signal(9)
                await trio.to_thread.run_sync(partial(hand.process.wait, PATIENCE_SECONDS))


async def _introduce(broker: Broker) -> None:
    async with broker.rest(broker.token("admin")) as rest:
        for who in PEOPLE:
            made = await rest.post("/v1/entities", json={"kind": "user", "handle": who})
            assert made.is_success, made.text
        role = await rest.post("/v1/entities", json={"kind": "role", "handle": FINANCE})
        assert role.is_success, role.text
        joined = await rest.put(f"/v1/entities/{role.json()['id']}/members/carol")
        assert joined.is_success, joined.text
