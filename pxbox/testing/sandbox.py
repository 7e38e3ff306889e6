"""A broker for flows in memory: its checkpoints, its waits and its clock, which jumps to what comes
next. What is scripted answers (`script.py`)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import anyio.lowlevel
import msgspec

from pxbox.client.errors import Conflict, ValidationFailed
from pxbox.client.schemas import to_json
from pxbox.flows.ending import Ending
from pxbox.flows.errors import Parked
from pxbox.flows.history import History, Record
from pxbox.flows.kinds import Cursor, FlowKind
from pxbox.flows.run import Run
from pxbox.model.flow import OPEN_FLOW, FlowStatus, WaitKind, WaitOutcome
from pxbox.model.wire.flows import Checkpointed, LeasedFlow, StepView, WaitView
from pxbox.testing.script import (
    Decline,
    Ended,
    NothingHappens,
    Question,
    Script,
    Signal,
    Silence,
)

START = datetime(2030, 1, 1, tzinfo=UTC)
MOST_CURSOR_BYTES = 256 * 1024
_NULL = msgspec.Raw(b"null")


@dataclass(slots=True)
class _Wait:
    view: WaitView
    question: Question | None = None
    deadline: datetime | None = None


@dataclass(slots=True)
class _Flow:
    id: str
    kind: FlowKind
    input: msgspec.Raw
    parent: tuple[str, str] | None = None
    status: FlowStatus = FlowStatus.RUNNING
    revision: int = 0
    wake: int = 0
    compensations: int = 0
    text: str | None = None
    error: str | None = None
    parked: str | None = None
    result: msgspec.Raw = field(default_factory=lambda: msgspec.Raw(b"null"))
    cursor: Cursor = field(default_factory=Cursor)
    state: dict[str, Any] = field(default_factory=dict)
    steps: list[StepView] = field(default_factory=list)
    waits: dict[str, _Wait] = field(default_factory=dict)
    signals: list[tuple[str, msgspec.Raw]] = field(default_factory=list)
    run: Run | None = None
    waiting: bool = False

    @property
    def over(self) -> bool:
        closed = self.status not in OPEN_FLOW and not self.compensations
        return closed or self.parked is not None


class _Crash(BaseException):
    pass


class Sandbox:
    """The broker's part, in memory, and the clock."""

    def __init__(self, script: Script, crash_after: int | None) -> None:
        self._script = script
        self._crash_after = crash_after
        self._now = START
        self._flows: dict[str, _Flow] = {}
        self._ids = itertools.count(1)
        self._questions: list[Question] = []
        self._checkpoints = 0
        self._recorded = False
        self._changed = anyio.Event()
        self._coming = sorted(script.signals, key=lambda signal: signal.after)

    async def run(self, kind: FlowKind, input: Any) -> Ended:
        flow = self._new(kind, to_json(input), None)
        return await self._drive(flow)

    async def replay(self, kind: FlowKind, record: Record) -> Ended:
        flow = self._new(kind, record.input, None)
        self._flows = {record.flow_id: flow}
        self._recorded = True
        try:
            if record.version != kind.version:
                flow.cursor = kind.migrated(Cursor(record.state), record.version)
        except Parked as parked:
            flow.parked = str(parked)
        flow.id, flow.steps = record.flow_id, record.steps
        flow.waits = {view.id: _Wait(view) for view in record.waits}
        flow.wake = max((view.wake for view in record.waits), default=0)
        return await self._drive(flow)

    def now(self) -> datetime:
        return self._now

    async def pause(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        await anyio.lowlevel.checkpoint()

    async def checkpoint(self, frame: dict[str, Any]) -> Checkpointed:
        await anyio.lowlevel.checkpoint()
        flow = self._flows[frame["id"]]
        if frame["revision"] != flow.revision:
            raise Conflict("another revision", code="stale_checkpoint")
        size = len(frame.get("cursor", b""))
        if size > MOST_CURSOR_BYTES:
            raise ValidationFailed(
                f"the cursor has {size} bytes, at most {MOST_CURSOR_BYTES} are kept",
                code="invalid_request",
            )
        flow.revision += 1
        self._checkpoints += 1
        ids = self._apply(flow, frame)
        waits = frame["status"] in (FlowStatus.WAITING_INPUT, FlowStatus.SUSPENDED)
        fresh = [one.view for one in flow.waits.values() if one.view.wake > frame.get("wake", 0)]
        behind = waits and flow.wake > frame["wake"]
        flow.waiting = waits and not behind
        self._tell()
        after = self._crash_after
        if after is not None and self._checkpoints >= after and not self._busy(flow):
            self._crash_after = None
            raise _Crash
        return Checkpointed(
            flow_id=flow.id, revision=flow.revision, status=flow.status, wake=flow.wake,
            behind=behind, wait_ids=ids, outcomes=fresh if behind else [],
        )  # fmt: skip

    def _busy(self, flow: _Flow) -> bool:
        """A step that runs would run again after a crash, as it may; that is no difference that a
        test wants to hear of."""
        return flow.run is not None and flow.run.exposed

    def _apply(self, flow: _Flow, frame: dict[str, Any]) -> dict[str, str]:
        for step in frame.get("steps", ()):
            view = StepView(n=len(flow.steps) + 1, at=self._now, **step)
            flow.steps.append(view)
        ids = {wait["key"]: self._open(flow, wait) for wait in frame.get("waits", ())}
        for id in frame.get("cancels", ()):
            self._cancel_wait(flow, id)
        flow.text = frame.get("text", flow.text)
        if "cursor" in frame:
            flow.state = (msgspec.json.decode(frame["cursor"]) or {}).get("state", {})
        flow.compensations = frame.get("compensations", 0)
        if "parked" in frame:
            flow.parked = frame["parked"]["reason"]
        elif "restart" in frame:
            flow.input, flow.steps, flow.waits = frame["restart"], [], {}
        elif flow.status in OPEN_FLOW:
            flow.status = FlowStatus(frame["status"])
        flow.error = frame.get("error", flow.error)
        flow.result = frame.get("result", flow.result)
        if flow.over and flow.parent is not None:
            self._child_ended(flow)
        return ids

    def _open(self, flow: _Flow, wait: dict[str, Any]) -> str:
        kind, name = WaitKind(wait["kind"]), wait["key"].rpartition("#")[0]
        if kind is WaitKind.CHILD:
            child = wait["child"]
            made = next(one for one in self._script.kinds if one.name == child["kind"])
            id = self._new(made, child["input"], flow.id).id
        else:
            id = f"{kind}-{next(self._ids)}"
        view = WaitView(
            id=id, key=wait["key"], kind=kind, name=wait.get("name"), digest=wait["digest"],
            due_at=None, opened_at=self._now, outcome=None, settled_at=None, wake=0,
            detail=_NULL, payload=_NULL,
        )  # fmt: skip
        opened = flow.waits[id] = _Wait(view)
        if "after" in wait:
            opened.deadline = self._now + timedelta(seconds=wait["after"])
        if kind is WaitKind.ASK:
            request = msgspec.json.decode(wait["request"])
            opened.question = Question(name, request, self._now)
            self._questions.append(opened.question)
            if request.get("deadlineAt"):
                opened.deadline = datetime.fromisoformat(request["deadlineAt"])
        if kind is WaitKind.SIGNAL:
            self._match_signal(flow, opened)
        return id

    def _match_signal(self, flow: _Flow, wait: _Wait) -> None:
        for n, (name, data) in enumerate(flow.signals):
            if name == wait.view.name:
                del flow.signals[n]
                self._settle(flow, wait, WaitOutcome.RECEIVED, data)
                return

    def _cancel_wait(self, flow: _Flow, id: str) -> None:
        wait = flow.waits[id]
        if wait.view.outcome is None:
            self._settle(flow, wait, WaitOutcome.CANCELLED, _NULL, quiet=True)
        child = self._flows.get(id)
        if child is not None and child.status in OPEN_FLOW:
            self._cancel(child)

    def _settle(
        self, flow: _Flow, wait: _Wait, outcome: WaitOutcome, detail: msgspec.Raw,
        payload: msgspec.Raw = _NULL, *, quiet: bool = False,
    ) -> None:  # fmt: skip
        if not quiet:
            flow.wake += 1
        view = wait.view
        view.outcome, view.settled_at, view.wake = outcome, self._now, flow.wake
        view.detail, view.payload = detail, payload
        if flow.run is not None and not quiet and flow.waiting:
            flow.waiting = False
            flow.run.deliver([view], flow.wake)

    def _child_ended(self, child: _Flow) -> None:
        assert child.parent is not None
        parent = self._flows[child.parent[0]]
        outcome = {
            FlowStatus.COMPLETED: WaitOutcome.COMPLETED,
            FlowStatus.FAILED: WaitOutcome.FAILED,
            FlowStatus.CANCELLED: WaitOutcome.CANCELLED,
        }[child.status]
        wait = parent.waits.get(child.id)
        if wait is not None and wait.view.outcome is None:
            detail = child.result if child.error is None else to_json(child.error)
            self._settle(parent, wait, outcome, detail)

    def _new(self, kind: FlowKind, input: msgspec.Raw, parent: str | None) -> _Flow:
        id = f"flow-{next(self._ids)}"
        flow = _Flow(id, kind, input, None if parent is None else (parent, id))
        self._flows[id] = flow
        return flow

    async def _drive(self, flow: _Flow) -> Ended:
        stuck: NothingHappens | None = None
        async with anyio.create_task_group() as group:
            while not flow.over:
                for one in list(self._flows.values()):
                    if one.run is None and not one.over:
                        one.run = self._run_of(one)
                        group.start_soon(self._serve, one, one.run)
                if all(one.waiting or one.over for one in self._flows.values()):
                    if self._recorded:
                        break
                    try:
                        self._let_happen(flow)
                    except NothingHappens as error:
                        # Raised here it would come out of the group in a group of its own.
                        stuck = error
                        break
                    continue
                await self._changed.wait()
                self._changed = anyio.Event()
            group.cancel_scope.cancel()
        if stuck is not None:
            raise stuck
        return self._ended(flow)

    async def _serve(self, flow: _Flow, run: Run) -> None:
        try:
            ending = await run.go()
            if ending is Ending.CLOSED:
                flow.compensations = 0
        except* _Crash:
            pass
        flow.run, flow.waiting = None, False
        self._tell()

    def _run_of(self, flow: _Flow) -> Run:
        leased = LeasedFlow(
            flow_id=flow.id, kind=flow.kind.name, version=flow.kind.version, status=flow.status,
            fence=1, wake=flow.wake, revision=flow.revision, steps=len(flow.steps),
            compensations=flow.compensations, resident=False, input=flow.input, cursor=_NULL,
            outcomes=[],
        )  # fmt: skip
        history = History()
        history.add_steps(flow.steps)
        history.add_waits([wait.view for wait in flow.waits.values()])
        return Run(flow.kind, leased, history, flow.cursor, self)

    def _let_happen(self, root: _Flow) -> None:
        """Everything waits: have a responder answer, else let time go on to what comes next."""
        open_waits = [
            (flow, wait)
            for flow in self._flows.values() if not flow.over
            for wait in flow.waits.values() if wait.view.outcome is None
        ]  # fmt: skip
        for flow, wait in open_waits:
            if wait.question is not None and self._answered(flow, wait):
                return
        times = [(wait.deadline, n) for n, (_, wait) in enumerate(open_waits) if wait.deadline]
        due, n = min(times, default=(None, -1))
        cancel = self._script.cancel_after
        if (
            cancel is not None
            and (due is None or START + cancel < due)
            and root.status in OPEN_FLOW
        ):
            self._now = max(self._now, START + cancel)
            self._cancel(root)
            return
        if self._coming and (due is None or START + self._coming[0].after <= due):
            signal = self._coming.pop(0)
            self._now = max(self._now, START + signal.after)
            self._signal(root, signal)
            return
        if due is None:
            names = ", ".join(wait.view.key for _, wait in open_waits)
            raise NothingHappens(f"the flow waits for {names}, and nothing more is scripted")
        self._now = max(self._now, due)
        flow, wait = open_waits[n]
        timer = wait.view.kind is WaitKind.TIMER
        self._settle(flow, wait, WaitOutcome.FIRED if timer else WaitOutcome.EXPIRED, _NULL)

    def _answered(self, flow: _Flow, wait: _Wait) -> bool:
        question = wait.question
        assert question is not None
        said = self._script.answers.get(question.name, Silence())
        if callable(said):
            said = said(question)
        if isinstance(said, Silence):
            return False
        if isinstance(said, Decline):
            detail = to_json({"by": "responder", "reason": said.reason})
            self._settle(flow, wait, WaitOutcome.DECLINED, detail)
        else:
            detail = to_json({"by": "responder", "reason": None})
            self._settle(flow, wait, WaitOutcome.ANSWERED, detail, to_json(said))
        return True

    def _signal(self, flow: _Flow, signal: Signal) -> None:
        for wait in flow.waits.values():
            view = wait.view
            if view.outcome is None and view.kind is WaitKind.SIGNAL and view.name == signal.name:
                self._settle(flow, wait, WaitOutcome.RECEIVED, to_json(signal.data))
                return
        flow.signals.append((signal.name, to_json(signal.data)))

    def _cancel(self, flow: _Flow) -> None:
        flow.status = FlowStatus.CANCELLED
        for id in list(flow.waits):
            self._cancel_wait(flow, id)
        if flow.run is not None and not flow.over:
            flow.waiting = False
            flow.run.cancel()
        elif flow.parent is not None:
            self._child_ended(flow)
        self._tell()

    def _tell(self) -> None:
        self._changed.set()

    def _ended(self, flow: _Flow) -> Ended:
        record = Record(
            flow.id, flow.kind.version, flow.input, flow.state, flow.steps,
            [wait.view for wait in flow.waits.values()],
        )  # fmt: skip
        return Ended(
            status=str(flow.status), result=msgspec.json.decode(flow.result), error=flow.error,
            text=flow.text, parked=flow.parked, questions=self._questions,
            lasted=self._now - START, checkpoints=self._checkpoints,
            record=msgspec.json.encode(record),
        )  # fmt: skip
