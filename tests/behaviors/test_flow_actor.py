"""A flow's actor on a journal in memory: what comes between deciding and committing (S2, F2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import uuid4

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from actors.journal import Commit, Committed, Message, OutcomeUnknown, Row
from actors.memory_journal import MemoryJournal
from actors.testing import Point, StagedJournal, virtual_now
from pxbox.behaviors.courier import CancelMessage
from pxbox.behaviors.flow import FlowActor, FlowSurroundings
from pxbox.behaviors.flow_messages import (
    CreateFlow,
    FireWait,
    Lease,
    NewStep,
    NewWait,
    Save,
    SendSignal,
    Steer,
)
from pxbox.behaviors.settling import settled
from pxbox.domain.flow import Cancel, Checkpoint, OpenWait
from pxbox.model import errors
from pxbox.model.flow import Flow, FlowRef, FlowStatus, WaitKind, WaitOutcome
from pxbox.model.ids import new_ulid
from pxbox.service.flows import reply_to_keep

ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
REF = FlowRef(ID, "expense", None)
NULL = Raw(b"null")
WAITING = FlowStatus.WAITING_INPUT


@dataclass
class Reads:
    """Reads what the journal holds beside the rows of flows."""

    journal: MemoryJournal
    waits: list[OpenWait] = field(default_factory=list)

    async def open_waits(self, flow_id: str) -> list[OpenWait]:
        return [wait for wait in self.waits if self.journal.outcome(wait.id) is None]

    async def cursor(self, flow_id: str) -> Raw:
        return NULL

    async def key_holder(self, space: str, key: str) -> Mapping[str, object] | None:
        return self.journal.held(space, key)


class World:
    """One flow, and activations of it, each with its own way to the shared journal."""

    def __init__(self) -> None:
        self.memory = MemoryJournal(virtual_now)
        self.reads = Reads(self.memory)

    def activation(self) -> tuple[FlowActor, StagedJournal]:
        journal = StagedJournal(self.memory)
        return FlowActor(ID, FlowSurroundings(journal, self.reads, reply_to_keep)), journal

    async def started(self) -> tuple[FlowActor, StagedJournal]:
        actor, journal = self.activation()
        now = virtual_now()
        flow = Flow(ID, "expense", "asker", now, now, kind_version=1)
        await actor.receive(CreateFlow(flow, NULL, NULL, None))
        return actor, journal

    async def answered(self) -> None:
        """Somebody answers what the flow asked."""
        settlement, news = settled(REF, new_ulid(), WaitOutcome.ANSWERED, virtual_now())
        await self.commit(Commit(uuid4(), settlements=(settlement,), events=news))

    async def commit(self, commit: Commit) -> None:
        assert isinstance(await self.memory.commit(commit), Committed)

    async def give(self, session: str, fence: int) -> None:
        """Put the flow into a session's hands; here that counts as a change of it."""
        stored = await self.memory.load("flow", ID)
        assert stored is not None
        flow = msgspec.json.decode(str(stored["state"]), type=Flow)
        flow = replace(flow, version=flow.version + 1)
        values = {
            "state": msgspec.json.encode(flow).decode(), "session": session, "fence": fence,
        }  # fmt: skip
        await self.commit(Commit(uuid4(), rows=(Row("flow", ID, flow.version, values),)))

    def told(self) -> list[str]:
        return [event.id for _, event in self.memory.events(f"flow:{ID}")]


@pytest.fixture
def world() -> World:
    return World()


def save(
    status: FlowStatus = FlowStatus.RUNNING, revision: int = 0, wake: int = 0, *waits: NewWait,
    lease: Lease | None = None,
) -> Save:  # fmt: skip
    command = Checkpoint(revision, f"{status}{revision}", status, 1, 0, None)
    steps = (NewStep(f"s#{revision}", "", NULL),)
    return Save(command, lease, wake if status is WAITING else None, steps, waits)


async def test_an_outcome_that_comes_while_the_waiting_is_committed_keeps_it_going(
    world: World,
) -> None:
    """F2: all of the checkpoint is kept but the waiting."""
    actor, journal = await world.started()
    journal.at(Point.BEFORE_COMMIT, world.answered)
    done = await actor.receive(save(WAITING))
    assert (done.behind, done.flow.status, done.flow.revision) == (True, FlowStatus.RUNNING, 1)
    assert await world.memory.load("flow_step", f"{ID}/s#0") is not None
    again = await actor.receive(save(WAITING, 1, wake=1))
    assert (again.behind, again.flow.status) == (False, WAITING)


async def test_an_outcome_that_comes_after_the_waiting_leaves_it_to_be_found(world: World) -> None:
    """F2."""
    actor, journal = await world.started()
    journal.at(Point.AFTER_COMMIT, world.answered)
    done = await actor.receive(save(WAITING))
    assert (done.behind, done.flow.status) == (False, WAITING)
    stale = await actor.receive(save(WAITING, 1, wake=0))
    assert stale.behind
    assert len(world.memory.events("work:expense")) == 2


async def test_a_signal_through_another_broker_is_in_the_next_checkpoint(world: World) -> None:
    """S2: a stale activation decides again on what is so."""
    actor, _ = await world.started()
    other, _ = world.activation()
    await other.receive(SendSignal("go", Raw(b"7"), None))
    wait = NewWait(new_ulid(), "go#1", WaitKind.SIGNAL, "", "go")
    done = await actor.receive(save(WAITING, 0, 0, wait))
    assert done.behind
    assert world.memory.outcome(wait.id) == {"outcome": "received", "data": "7"}
    assert done.flow.signals == ()


async def test_a_signal_that_races_its_timeout_is_not_lost_to_it(world: World) -> None:
    """The expiry decides again and finds the wait taken."""
    actor, _ = await world.started()
    other, journal = world.activation()
    due = virtual_now()
    wait = NewWait(new_ulid(), "go#1", WaitKind.SIGNAL, "", "go", due)
    await actor.receive(save(WAITING, 0, 0, wait))
    world.reads.waits.append(OpenWait(wait.id, WaitKind.SIGNAL, "go"))
    ((alarm, generation, _, _),) = world.memory.due_alarms(due)

    async def signalled() -> None:
        await actor.receive(SendSignal("go", Raw(b"1"), None))

    journal.at(Point.BEFORE_COMMIT, signalled)
    await other.receive(FireWait(alarm, generation, wait.id))
    assert world.memory.outcome(wait.id) == {"outcome": "received", "data": "1"}


async def test_a_timer_that_is_fired_twice_settles_once(world: World) -> None:
    """S10."""
    actor, _ = await world.started()
    due = virtual_now()
    wait = NewWait(new_ulid(), "nap#1", WaitKind.TIMER, "", None, due)
    await actor.receive(save(WAITING, 0, 0, wait))
    world.reads.waits.append(OpenWait(wait.id, WaitKind.TIMER, None))
    ((alarm, generation, _, _),) = world.memory.due_alarms(due)
    other, _ = world.activation()
    for one in (actor, other):
        await one.receive(FireWait(alarm, generation, wait.id))
    assert world.memory.outcome(wait.id) == {"outcome": "fired", "data": None}
    assert len(world.memory.events("work:expense")) == 2


async def test_a_checkpoint_from_hands_that_lost_the_flow_is_stale(world: World) -> None:
    """F4: by the row, whatever the activation believes."""
    actor, _ = await world.started()
    lease = Lease("session", 1)
    await world.give("session", 1)
    assert (await actor.receive(save(lease=lease))).flow.revision == 1
    await world.give("another", 2)
    with pytest.raises(errors.StaleCheckpoint):
        await actor.receive(save(revision=1, lease=lease))


async def test_a_checkpoint_whose_reply_was_lost_is_done_once(world: World) -> None:
    """A3, F1."""
    actor, journal = await world.started()
    journal.fail(Point.AFTER_COMMIT, OutcomeUnknown("gone"))
    with pytest.raises(errors.OutcomeUnknown):
        await actor.receive(save())
    again = await actor.receive(save())
    assert (again.behind, again.flow.revision, again.flow.steps) == (True, 1, 1)


async def test_a_cancel_by_message_happens_once(world: World) -> None:
    """S5, F6: whoever is told of it however often."""
    actor, _ = await world.started()
    other, _ = world.activation()
    message = Message(uuid4(), f"flow:{ID}", b"{}")
    await world.commit(Commit(uuid4(), messages=(message,)))
    for one in (actor, other):
        await one.receive(CancelMessage(message.id, "asker", "enough"))
    assert world.memory.messages() == []
    assert len(world.told()) == 2


async def test_a_cancel_tells_asks_and_children_and_quietly_ends_the_rest(world: World) -> None:
    """F6."""
    actor, _ = await world.started()
    kinds = (WaitKind.ASK, WaitKind.CHILD, WaitKind.TIMER, WaitKind.SIGNAL)
    waits = [OpenWait(new_ulid(), kind, None) for kind in kinds]
    world.reads.waits += waits
    done = await actor.receive(Steer(Cancel("asker", None), None))
    assert done.flow.status is FlowStatus.CANCELLED
    sent = [message.to for message in world.memory.messages()]
    assert sent == [f"request:{waits[0].id}", f"flow:{waits[1].id}"]
    outcomes = [world.memory.outcome(wait.id) for wait in waits]
    assert [one and one["outcome"] for one in outcomes] == [None, None, "cancelled", "cancelled"]
