"""The actor of one flow: decides, commits, then remembers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import uuid4

import msgspec
from msgspec import Raw
from msgspec.structs import replace as replaced

from actors.journal import AlarmClear, AlarmFired, Commit, Committed, Conflict, Journal
from pxbox.behaviors.courier import CancelMessage
from pxbox.behaviors.durable import KeyHolders, Once, Record, Stale
from pxbox.behaviors.flow_commits import (
    ended,
    flow_row,
    happened,
    new_flow_row,
    opened,
    saving,
    take_signals,
    told,
    wait_alarm,
)  # fmt: skip
from pxbox.behaviors.flow_messages import (
    AskBeside,
    CreateFlow,
    FireWait,
    FlowDone,
    FlowMessage,
    NewWait,
    ResumeFlow,
    Save,
    SendSignal,
    Steer,
)  # fmt: skip
from pxbox.behaviors.settling import settled, woken
from pxbox.domain import flow as domain
from pxbox.domain.flow import OpenWait
from pxbox.model.errors import (
    InvalidRequest,
    InvalidTime,
    PxError,
    StaleCheckpoint,
)
from pxbox.model.flow import OPEN_FLOW, Flow, FlowStatus, WaitKind, WaitOutcome

_encode = msgspec.json.encode
_decode = msgspec.json.Decoder(Flow).decode


class FlowReads(KeyHolders, Protocol):
    """Reads what a flow's row does not hold."""

    async def open_waits(self, flow_id: str) -> Sequence[OpenWait]: ...

    async def cursor(self, flow_id: str) -> Raw: ...


@dataclass(frozen=True, slots=True)
class FlowSurroundings:
    """What a flow's actor works with. `reply(flow)` is kept under an idempotency key."""

    journal: Journal
    reads: FlowReads
    reply: Callable[[Flow], bytes]


class FlowActor:
    """One flow. Its memory is a copy of its row; whatever casts doubt on it drops it."""

    def __init__(self, id: str, around: FlowSurroundings) -> None:
        self._id = id
        self._around = around
        self._row = Record(around.journal, "flow", id, _decode)

    async def receive(self, message: object) -> FlowDone:
        """Handle a `FlowMessage`.

        Raises PxErrors: what the domain refuses, StaleCheckpoint, Contended, OutcomeUnknown,
        Overloaded, Unavailable.
        """
        assert isinstance(message, FlowMessage)
        return await self._row.decide(
            lambda: self._turn(message), creates=isinstance(message, CreateFlow)
        )

    async def _turn(self, message: FlowMessage) -> FlowDone:
        match message:
            case CreateFlow():
                return await self._create(message)
            case FireWait():
                return await self._fire(message)
            case CancelMessage():
                return await self._cancel_by_message(message)
        try:
            return await self._act(message)
        except PxError as refusal:
            once = None if isinstance(message, Save) else message.once
            reply = await self._row.refuse(refusal, self._around.reads, once)
            return FlowDone(self._row.held, reply)

    async def _create(self, message: CreateFlow) -> FlowDone:
        now = self._around.journal.now()
        flow = replaced(message.flow, version=1, created_at=now, updated_at=now)
        news = () if flow.external else woken(flow.ref, f"{flow.id}.1", now)
        commit = Commit(
            id=uuid4(),
            rows=(new_flow_row(flow, message.input, message.cursor),),
            events=(told(flow, "flow.created", flow.requestor), *news),
        )
        return await self._commit(commit, flow, message.once)

    async def _act(self, message: Save | Steer | SendSignal | ResumeFlow | AskBeside) -> FlowDone:
        match message:
            case Save():
                return await self._save(message)
            case Steer(command, once):
                return await self._steer(command, once)
            case SendSignal():
                return await self._signal(message)
            case ResumeFlow():
                return await self._resume(message)
            case AskBeside():
                return await self._ask_beside(message)

    async def _save(self, message: Save, behind: bool = False) -> FlowDone:
        flow, now = self._row.held, self._around.journal.now()
        transition = domain.decide(flow, message.command, now)
        if transition is None:
            # Its reply was lost on the way: the outcomes since are read anew.
            await self._row.confirm()
            return FlowDone(flow, behind=True)
        after = replaced(transition.after, version=flow.version + 1)
        after, taken = take_signals(after, message.waits)
        waits = message.command.status in (FlowStatus.WAITING_INPUT, FlowStatus.SUSPENDED)
        if taken and waits:
            after, behind = replaced(after, status=FlowStatus.RUNNING), True
        suspends = waits and not behind and after.parked is None
        if after.status not in OPEN_FLOW and (after.external or after.beside):
            # A worker names what its code has open, and knows of nothing else.
            message = replace(message, cancels=await self._around.reads.open_waits(self._id))
        commit = saving(flow, after, message, suspends)
        if transition.type is not None:
            commit = replace(commit, events=(*commit.events, told(after, transition.type, None)))
        if message.restart is not None:
            news = woken(after.ref, f"{after.id}.{after.version}", now)
            commit = replace(commit, events=(*commit.events, *news))
        commit = replace(commit, settlements=(*commit.settlements, *taken))
        return await self._commit_save(commit, after, message, behind)

    async def _commit_save(
        self, commit: Commit, after: Flow, message: Save, behind: bool
    ) -> FlowDone:
        """What came meanwhile keeps the flow from waiting, and from nothing else (F2)."""
        before = self._row.held
        result = await self._row.commit(commit, after)
        if isinstance(result, Committed):
            return FlowDone(after, behind=behind)
        column = result.holds.get("column")
        if result.guard == "fence" and column == "wake":
            self._row.remember(before)
            status = FlowStatus.RUNNING
            again = replace(message, command=replace(message.command, status=status), wake=None)
            return await self._save(again, behind=True)
        if result.guard == "fence":
            raise StaleCheckpoint("the flow was given to another worker; drop it")
        if result.holds.get("table") == "flow_step":
            self._row.remember(before)
            key = str(result.holds["id"]).partition("/")[2]
            raise InvalidRequest(
                f"the step {key!r} is recorded already; a checkpoint has those since the last one"
            )
        raise Stale

    async def _steer(self, command: domain.Cancel | domain.Retry, once: Once | None) -> FlowDone:
        flow, now = self._row.held, self._around.journal.now()
        transition = domain.decide(flow, command, now)
        if transition is None:
            await self._row.confirm()
            return FlowDone(flow)
        after = replaced(transition.after, version=flow.version + 1)
        assert transition.type is not None
        by = command.by if isinstance(command, domain.Cancel) else None
        commit = Commit(
            id=uuid4(),
            rows=(flow_row(after, runnable="now" if transition.runnable else "clear"),),
            events=(
                told(after, transition.type, by),
                *(
                    woken(after.ref, f"{after.id}.{after.version}", now)
                    if transition.runnable
                    else ()
                ),
            ),
        )
        if isinstance(command, domain.Cancel):
            commit = ended(commit, after, await self._around.reads.open_waits(self._id))
        return await self._commit(commit, after, once)

    async def _signal(self, message: SendSignal) -> FlowDone:
        flow, now = self._row.held, self._around.journal.now()
        waiting = await self._awaiting(message.name)
        command = domain.Give(message.name, message.data, taken=waiting is not None)
        transition = domain.decide(flow, command, now)
        assert transition is not None, "a signal is never a repeat of another"
        after = replaced(transition.after, version=flow.version + 1)
        commit = Commit(id=uuid4(), rows=(flow_row(after),))
        if waiting is not None:
            settlement, news = settled(
                after.ref, waiting.id, WaitOutcome.RECEIVED, now, bytes(message.data)
            )
            commit = replace(
                commit,
                settlements=(settlement,),
                events=news,
                alarms=(AlarmClear(wait_alarm(self._id, waiting.id)),),
            )
        return await self._commit(commit, after, message.once)

    async def _awaiting(self, name: str) -> OpenWait | None:
        """The oldest open wait for this signal: it changes only with the flow's version."""
        waits = await self._around.reads.open_waits(self._id)
        return next(
            (wait for wait in waits if wait.kind is WaitKind.SIGNAL and wait.name == name), None
        )

    async def _resume(self, message: ResumeFlow) -> FlowDone:
        flow, now = self._row.held, self._around.journal.now()
        if flow.status not in OPEN_FLOW:
            domain.decide(flow, domain.Give(message.event, message.data, taken=True), now)
        cursor = msgspec.json.decode(await self._around.reads.cursor(self._id))
        kept = dict(cursor) if isinstance(cursor, dict) else {}
        last = {"event": message.event, "data": msgspec.json.decode(message.data)}
        if kept.get("lastEvent") == last and flow.status is FlowStatus.RUNNING:
            await self._row.confirm()
            return FlowDone(flow)
        after = replaced(flow, version=flow.version + 1, status=FlowStatus.RUNNING, updated_at=now)
        row = flow_row(after, cursor=_encode({**kept, "lastEvent": last}).decode())
        # An outcome too: a checkpoint that has not seen it is not to wait (F2).
        wait, settlement = happened(after, message.event, message.data)
        commit = Commit(
            id=uuid4(),
            rows=(row, wait),
            events=(told(after, "flow.updated", message.by),),
            settlements=(settlement,),
        )
        return await self._commit(commit, after, message.once)

    async def _ask_beside(self, message: AskBeside) -> FlowDone:
        """The request and the flow's wait for it, in one commit: whoever cancels the flow from now
        on finds it (F6)."""
        flow, now = self._row.held, self._around.journal.now()
        transition = domain.decide(flow, domain.AskBeside(), now)
        assert transition is not None, "a request is never a repeat of another"
        after = replaced(transition.after, version=flow.version + 1)
        request = message.request
        id = request.request.id
        wait = NewWait(id, id, WaitKind.ASK, "", request=request)
        commit = opened(Commit(id=uuid4(), rows=(flow_row(after),)), after, wait)
        return await self._commit(commit, after, message.once, message.reply)

    async def _fire(self, message: FireWait) -> FlowDone:
        """A timer fires; the wait for a signal expires, if none has come."""
        flow = self._row.held
        gone = AlarmFired(message.alarm_id, message.generation)
        waits = await self._around.reads.open_waits(self._id)
        wait = next((wait for wait in waits if wait.id == message.wait), None)
        if wait is None or flow.status not in OPEN_FLOW:
            return await self._commit(Commit(id=uuid4(), alarms=(gone,)), flow, None)
        outcome = WaitOutcome.FIRED if wait.kind is WaitKind.TIMER else WaitOutcome.EXPIRED
        after = replaced(flow, version=flow.version + 1)
        settlement, news = settled(after.ref, wait.id, outcome, self._around.journal.now())
        # Guarded by the version: a signal that takes this wait is not lost to its expiry.
        commit = Commit(
            id=uuid4(),
            rows=(flow_row(after),),
            alarms=(gone,),
            settlements=(settlement,),
            events=news,
        )
        return await self._commit(commit, after, None)

    async def _cancel_by_message(self, message: CancelMessage) -> FlowDone:
        flow, now = self._row.held, self._around.journal.now()
        received = (message.message,)
        command = domain.Cancel(message.by, message.reason)
        try:
            transition = domain.decide(flow, command, now)
        except PxError:
            transition = None
        if transition is None:
            return await self._commit(Commit(id=uuid4(), received=received), flow, None)
        after = replaced(transition.after, version=flow.version + 1)
        commit = Commit(
            id=uuid4(),
            rows=(flow_row(after, runnable="now" if transition.runnable else "clear"),),
            events=(
                told(after, "flow.cancelled", message.by),
                *(
                    woken(after.ref, f"{after.id}.{after.version}", now)
                    if transition.runnable
                    else ()
                ),
            ),
            received=received,
        )
        commit = ended(commit, after, await self._around.reads.open_waits(self._id))
        return await self._commit(commit, after, None)

    async def _commit(
        self, commit: Commit, after: Flow, once: Once | None, reply: bytes | None = None
    ) -> FlowDone:
        """Make it durable, then remember. Raises Stale where it must be decided again."""
        if once is not None:
            key = once.reservation(self._around.reply(after) if reply is None else reply)
            commit = replace(commit, keys=(*commit.keys, key))
        result = await self._row.commit(commit, after)
        if isinstance(result, Committed):
            return FlowDone(after)
        return self._lost(result, after, once)

    def _lost(self, conflict: Conflict, after: Flow, once: Once | None) -> FlowDone:
        if conflict.guard == "key" and once is not None and "bodyHash" in conflict.holds:
            return FlowDone(after, once.replay(conflict.holds))
        if conflict.guard == "key" and "requestId" in conflict.holds:
            return FlowDone(after, existing=str(conflict.holds["requestId"]))
        if conflict.guard == "time":
            raise InvalidTime("the deadline has passed already")
        if conflict.guard == "fence":
            # Another process fired this alarm, or received this message.
            return FlowDone(after)
        raise Stale
