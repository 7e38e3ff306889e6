"""What a run has come to: what is recorded, what is to be, and what its code waits for.

Code that runs again is answered from the history; what is new gathers in the outbox, until a
checkpoint has made it durable (`checkpoints.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn

import anyio
import msgspec

from pxbox.client.schemas import to_json
from pxbox.flows.backend import Backend
from pxbox.flows.ending import End
from pxbox.flows.errors import NotDeterministic, Restarting
from pxbox.flows.history import History, Step, Wait
from pxbox.flows.kinds import Cursor
from pxbox.flows.outbox import Outbox
from pxbox.model.flow import FlowStatus, WaitKind
from pxbox.model.wire.flows import LeasedFlow, WaitView


class Progress:
    """Of one run. `wake` is the count of wakes that it has seen, `text` and `state` what its author
    shows, `compensations` what is to be undone. `end` is set once nothing more is to be done but to
    say so; `changed` is set whenever something is to be looked at."""

    def __init__(
        self, leased: LeasedFlow, history: History, base: Cursor, backend: Backend
    ) -> None:
        self.flow_id = leased.flow_id
        self.wake = leased.wake
        self.state: dict[str, Any] = {}
        self.text: str | None = None
        self.compensations: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = []
        self.cancelled = leased.status is FlowStatus.CANCELLED
        self.undoing = False
        self.restart_with: bytes | None = None
        self.end: End | None = None
        self.changed = anyio.Event()
        self.outbox = Outbox()
        # Where a replay ends, the flow has to be made to wait again.
        self.told = True
        self.moved = 0
        self.history = history.renamed(base.renames) if base.renames else history
        self.awaiting: set[str] = set()
        self._base = base
        self._backend = backend
        self._news = anyio.Event()
        self._acks: dict[str, anyio.Event] = {}
        self._refused: dict[str, Exception] = {}
        self._failures: set[str] = set()
        self._fault: NotDeterministic | None = None
        self._came: dict[str, anyio.Event] = {}
        self._active = 0
        self._acking = 0
        self.begin()

    def begin(self) -> None:
        """As at the start of the handler, with the same history."""
        self.state = dict(self._base.state)
        self.compensations = []
        self._occurrences: Counter[str] = Counter()
        self._unmet = {*self.history.steps, *self.history.waits}

    @property
    def idle(self) -> bool:
        """It waits, and nothing of it would be lost with this memory."""
        return bool(self.awaiting) and not self._active and not self.outbox and not self._acks

    @property
    def exposed(self) -> bool:
        """Has it done something, or is it doing it, that no checkpoint holds?"""
        return self._active > 0 or bool(self.outbox.steps)

    @property
    def waits(self) -> bool:
        """Does its code wait for outcomes, and for nothing else?"""
        return bool(self.awaiting) and not self._active and not self._acking

    def now(self) -> datetime:
        return self._backend.now()

    async def pause(self, seconds: float) -> None:
        await self._backend.pause(seconds)

    def deliver(self, outcomes: Iterable[WaitView], wake: int) -> None:
        """Outcomes have come; some may be known already."""
        self.wake = max(self.wake, wake)
        self.told = True
        for key in self.history.add_waits(outcomes):
            if event := self._came.get(key):
                event.set()
        self._tell()

    def touch(self) -> None:
        """Something is to be looked at."""
        self.moved += 1
        self.changed.set()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()
        self.touch()

    # What a Context calls.

    def key(self, name: str) -> str:
        """The next occurrence of this name."""
        if self._fault is not None:
            # Code that caught it does nothing more.
            raise self._fault
        self._occurrences[name] += 1
        return f"{name}#{self._occurrences[name]}"

    def recorded_step(self, key: str, digest: str) -> Step | None:
        step = self.history.steps.get(key)
        if key in self.history.waits:
            self._diverge(key, "a wait is recorded under this name, and this is a step")
        if step is not None and step.digest != digest:
            self._diverge(key, "it was recorded with other arguments")
        self._unmet.discard(key)
        return step

    def _diverge(self, key: str, detail: str) -> NoReturn:
        """It parks, whatever its code does about the error."""
        self._fault = NotDeterministic(key, detail)
        self.end = End(FlowStatus.RUNNING, parked=self._fault)
        self.touch()
        raise self._fault

    async def may_begin(self) -> None:
        """Return once something new may be done; a cancelled flow does nothing new."""
        if self.cancelled and not self.undoing:
            await anyio.sleep_forever()
        if self.outbox.steps and not self.undoing:
            # Recorded times and the like are durable before anything is done with them.
            await self._acked(self.outbox.keys[-1])

    def step_begins(self) -> None:
        self._active += 1

    def step_ends(self) -> None:
        self._active -= 1

    async def record_step(self, key: str, digest: str, result: bytes) -> None:
        """Return once it is durable (F1)."""
        self.note_step(key, digest, result)
        await self._acked(key)

    async def record_failure(self, key: str, digest: str, result: bytes) -> None:
        """Have it recorded before anything else is done; dropped where the flow fails of it, so
        that another try runs the step again."""
        self.note_step(key, digest, result)
        if self.undoing:
            await self._acked(key)
        else:
            self._failures.add(key)

    def note_step(self, key: str, digest: str, result: bytes) -> None:
        """Have it recorded by the next checkpoint."""
        self.history.steps[key] = Step(digest, result)
        self.outbox.steps.append({"key": key, "digest": digest, "result": msgspec.Raw(result)})
        self.outbox.keys.append(key)
        self._acks[key] = anyio.Event()
        self.touch()

    def open_wait(
        self, key: str, kind: WaitKind, digest: str, said: Callable[[], dict[str, Any]]
    ) -> None:
        """The wait of this key, recorded or new; `said` gives what a new one says beside."""
        recorded = self.history.waits.get(key)
        if recorded is None and key in self.history.steps:
            self._diverge(key, "a step is recorded under this name, and this is a wait")
        if recorded is not None and (recorded.kind, recorded.digest) != (kind, digest):
            self._diverge(key, "it was recorded as another kind of wait, or for another")
        self._unmet.discard(key)
        self._came.setdefault(key, anyio.Event())
        if recorded is None:
            self.history.waits[key] = Wait("", kind, digest)
            frame = {"key": key, "kind": kind, "digest": digest, **said()}
            self.outbox.waits.append(frame)
            self.outbox.keys.append(key)
        elif recorded.outcome is not None:
            self._came[key].set()
        self.touch()

    async def settled(self, key: str) -> Wait:
        """Wait for the outcome."""
        self.awaiting.add(key)
        self.touch()
        try:
            await self._came[key].wait()
        finally:
            self.awaiting.discard(key)
        if key in self._refused:
            raise self._refused.pop(key)
        self.moved += 1
        return self.history.waits[key]

    async def first(self, fruitful: Mapping[str, Callable[[Wait], bool]]) -> str:
        """The key of the first of these waits that comes to something; of none, of the last to
        end. The same on every replay: outcomes have an order."""
        self.awaiting |= fruitful.keys()
        self.touch()
        try:
            while True:
                ended = [self.history.waits[key] for key in fruitful if self._ended(key)]
                good = [key for key in fruitful if self._good(key, fruitful[key])]
                if good:
                    return min(good, key=self._order)
                if len(ended) == len(fruitful):
                    return max(fruitful, key=self._order)
                await self._news.wait()
        finally:
            self.awaiting -= fruitful.keys()
            self.moved += 1

    def wait_of(self, key: str) -> Wait:
        return self.history.waits[key]

    def _ended(self, key: str) -> bool:
        if key in self._refused:
            raise self._refused.pop(key)
        return self.history.waits[key].outcome is not None

    def _good(self, key: str, fruitful: Callable[[Wait], bool]) -> bool:
        wait = self.history.waits[key]
        return wait.outcome is not None and fruitful(wait)

    def _order(self, key: str) -> tuple[object, ...]:
        return self.history.waits[key].order

    def let_go(self, key: str) -> None:
        """The wait is needed no more; the next checkpoint cancels what it waits for."""
        wait = self.history.waits[key]
        if wait.outcome is None and wait.id:
            self.outbox.cancels.append(wait.id)
            self.touch()

    def restart(self, input: Any) -> None:
        self.restart_with = bytes(to_json(input))
        raise Restarting

    async def _acked(self, key: str) -> None:
        self._acking += 1
        self.touch()
        try:
            await self._acks[key].wait()
        finally:
            self._acking -= 1
        if key in self._refused:
            raise self._refused.pop(key)
        self.moved += 1

    # What becomes of it.

    def meet_all(self, where: str) -> None:
        """Raise NotDeterministic where something that is recorded has not come up."""
        if self._unmet:
            missed = min(self._unmet)
            raise NotDeterministic(missed, f"it is recorded, but {where}")

    def forget_failures(self) -> None:
        """Failures of steps that no checkpoint holds yet were what the code ended with."""
        for key in self._failures.intersection(self.outbox.keys):
            self.outbox.keys.remove(key)
            self.outbox.steps = [step for step in self.outbox.steps if step["key"] != key]
            del self.history.steps[key]
            self._acks.pop(key)
        self._failures.clear()

    def durable(self, sent: Outbox, wait_ids: Mapping[str, str]) -> None:
        """A checkpoint holds this now."""
        for key, id in wait_ids.items():
            self.history.waits[key].id = id
        for step in sent.steps:
            self._acks.pop(step["key"]).set()

    def refuse(self, sent: Outbox, refusal: Exception) -> None:
        """What was to be made durable cannot be: that is for the code that wanted it, and where
        none did, such as for a `ctx.state` that is too large, the flow fails."""
        if not sent.keys:
            self.end = End(FlowStatus.FAILED, error=f"a checkpoint was refused: {refusal}")
        else:
            refusal.add_note(f"The checkpoint with {', '.join(sent.keys[:5])} was refused.")
        for key in sent.keys:
            self._refused[key] = refusal
            if key in self._acks:
                del self.history.steps[key]
                self._acks.pop(key).set()
            elif key in self._came:
                self._came[key].set()
        self._tell()
