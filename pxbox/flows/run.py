"""One flow being run here: its handler, replayed and then going on, and its checkpoints.

The handler does what it did before, answered from the history, until it comes to something new.
What is new gathers until nothing moves any more, and goes into one checkpoint.
"""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, NoReturn, Protocol

import anyio
import msgspec

from pxbox.client.errors import AuthError, Conflict, Forbidden, NotFound, PxBoxError
from pxbox.client.schemas import to_json
from pxbox.flows.context import Context
from pxbox.flows.errors import InvalidInput, Lost, NotDeterministic, Parked, Restarting
from pxbox.flows.history import History, Step, Wait
from pxbox.flows.kinds import Cursor, FlowKind
from pxbox.model.flow import FlowStatus, WaitKind
from pxbox.model.flow_wire import Checkpointed, LeasedFlow, WaitView

# How often the event loop turns before nothing is taken to move any more: gathered waits start in
# tasks of their own, which need a turn or two each.
QUIET_TURNS = 4
# A checkpoint takes 1,000 steps and waits; a message is best kept well below its 1 MiB.
MOST_AT_ONCE = 500
MOST_BYTES_AT_ONCE = 256 * 1024
_FRAMES_KEPT = 5
_GONE_ON = {"flow_parked", "stale_checkpoint", "wrong_status"}


class Ending(Enum):
    """Why a run is over: the flow ended, was parked, begins anew, or is another's."""

    CLOSED = "closed"
    PARKED = "parked"
    RESTARTED = "restarted"
    LOST = "lost"


class Backend(Protocol):
    """Where checkpoints go, and whose clock counts."""

    def now(self) -> datetime: ...

    async def pause(self, seconds: float) -> None:
        """Let time go by before something is tried again."""
        ...

    async def checkpoint(self, frame: dict[str, Any]) -> Checkpointed:
        """Make it durable. Raises PxBoxErrors; repeating the same frame is safe."""
        ...


@dataclass(slots=True)
class _Outbox:
    """What the next checkpoint brings."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    waits: list[dict[str, Any]] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.steps or self.waits or self.cancels)

    def portion(self) -> tuple[_Outbox, _Outbox]:
        """What one checkpoint can bring, at least one thing, and what is left for later ones."""
        steps = _fitting([len(step["result"]) for step in self.steps])
        waits = _fitting([len(wait.get("request", b"")) for wait in self.waits])
        now = _Outbox(self.steps[:steps], self.waits[:waits], self.cancels[:MOST_AT_ONCE])
        later = _Outbox(self.steps[steps:], self.waits[waits:], self.cancels[MOST_AT_ONCE:])
        those = {one["key"] for one in (*now.steps, *now.waits)}
        now.keys = [key for key in self.keys if key in those]
        later.keys = [key for key in self.keys if key not in those]
        return now, later


def _fitting(sizes: list[int]) -> int:
    """How many of these fit into one checkpoint, from the first on."""
    total = 0
    for n, size in enumerate(sizes[:MOST_AT_ONCE]):
        total += size
        if n and total > MOST_BYTES_AT_ONCE:
            return n
    return min(len(sizes), MOST_AT_ONCE)


@dataclass(frozen=True, slots=True)
class _End:
    status: FlowStatus
    result: msgspec.Raw | None = None
    error: str | None = None
    parked: Parked | None = None
    restart: bytes | None = None


class Run:
    """`go` runs the flow until it is over here; `deliver` and `cancel` tell it what happened."""

    def __init__(
        self, kind: FlowKind, leased: LeasedFlow, history: History, cursor: Cursor, backend: Backend
    ) -> None:
        self.kind = kind
        self.flow_id = leased.flow_id
        self.fence = leased.fence
        self.wake = leased.wake
        self.state: dict[str, Any] = {}
        self.text: str | None = None
        self.compensations: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = []
        self._leased = leased
        self._base = cursor
        self._history = history.renamed(cursor.renames) if cursor.renames else history
        self._backend = backend
        self._revision = leased.revision
        self._cancelled = leased.status is FlowStatus.CANCELLED
        self._undoing = False
        self._changed = anyio.Event()
        self._news = anyio.Event()
        self._outbox = _Outbox()
        self._acks: dict[str, anyio.Event] = {}
        self._refused: dict[str, Exception] = {}
        self._failures: set[str] = set()
        self._restart: bytes | None = None
        self._fault: NotDeterministic | None = None
        self._came: dict[str, anyio.Event] = {}
        self._awaiting: set[str] = set()
        self._active = 0
        self._acking = 0
        self._moved = 0
        # Where a replay ends, the flow has to be made to wait again.
        self._told = True
        self._end: _End | None = None
        self._begin()

    def _begin(self) -> None:
        """As at the start of the handler, with the same history."""
        self.state = dict(self._base.state)
        self.compensations = []
        self._occurrences: Counter[str] = Counter()
        self._unmet = {*self._history.steps, *self._history.waits}

    @property
    def idle(self) -> bool:
        """It waits, and nothing of it would be lost with this memory."""
        return bool(self._awaiting) and not self._active and not self._outbox and not self._acks

    @property
    def exposed(self) -> bool:
        """Has it done something, or is it doing it, that no checkpoint holds?"""
        return self._active > 0 or bool(self._outbox.steps)

    @property
    def revision(self) -> int:
        return self._revision

    def now(self) -> datetime:
        return self._backend.now()

    async def pause(self, seconds: float) -> None:
        await self._backend.pause(seconds)

    async def go(self) -> Ending:
        """Run to the end of the flow, or of our part in it."""
        try:
            async with anyio.create_task_group() as group:
                self._scope = anyio.CancelScope()
                group.start_soon(self._handle)
                ending = await self._keep()
                group.cancel_scope.cancel()
        except* Lost:
            ending = Ending.LOST
        return ending

    def deliver(self, outcomes: Iterable[WaitView], wake: int) -> None:
        """Outcomes have come; some may be known already."""
        self.wake = max(self.wake, wake)
        self._told = True
        for key in self._history.add_waits(outcomes):
            if event := self._came.get(key):
                event.set()
        self._tell()

    def cancel(self) -> None:
        """The flow was cancelled: undo what it registered, then end."""
        self._cancelled = True
        self._touch()

    # What a Context calls.

    def key(self, name: str) -> str:
        """The next occurrence of this name."""
        if self._fault is not None:
            # Code that caught it does nothing more.
            raise self._fault
        self._occurrences[name] += 1
        return f"{name}#{self._occurrences[name]}"

    def recorded_step(self, key: str, digest: str) -> Step | None:
        step = self._history.steps.get(key)
        if key in self._history.waits:
            self._diverge(key, "a wait is recorded under this name, and this is a step")
        if step is not None and step.digest != digest:
            self._diverge(key, "it was recorded with other arguments")
        self._unmet.discard(key)
        return step

    def _diverge(self, key: str, detail: str) -> NoReturn:
        """It parks, whatever its code does about the error."""
        self._fault = NotDeterministic(key, detail)
        self._end = _End(FlowStatus.RUNNING, parked=self._fault)
        self._touch()
        raise self._fault

    async def may_begin(self) -> None:
        """Return once something new may be done; a cancelled flow does nothing new."""
        if self._cancelled and not self._undoing:
            await anyio.sleep_forever()
        if self._outbox.steps and not self._undoing:
            # Recorded times and the like are durable before anything is done with them.
            await self._acked(self._outbox.keys[-1])

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
        if self._undoing:
            await self._acked(key)
        else:
            self._failures.add(key)

    def note_step(self, key: str, digest: str, result: bytes) -> None:
        """Have it recorded by the next checkpoint."""
        self._history.steps[key] = Step(digest, result)
        self._outbox.steps.append({"key": key, "digest": digest, "result": msgspec.Raw(result)})
        self._outbox.keys.append(key)
        self._acks[key] = anyio.Event()
        self._touch()

    def open_wait(
        self, key: str, kind: WaitKind, digest: str, said: Callable[[], dict[str, Any]]
    ) -> None:
        """The wait of this key, recorded or new; `said` gives what a new one says beside."""
        recorded = self._history.waits.get(key)
        if recorded is None and key in self._history.steps:
            self._diverge(key, "a step is recorded under this name, and this is a wait")
        if recorded is not None and (recorded.kind, recorded.digest) != (kind, digest):
            self._diverge(key, "it was recorded as another kind of wait, or for another")
        self._unmet.discard(key)
        self._came.setdefault(key, anyio.Event())
        if recorded is None:
            self._history.waits[key] = Wait("", kind, digest)
            frame = {"key": key, "kind": kind, "digest": digest, **said()}
            self._outbox.waits.append(frame)
            self._outbox.keys.append(key)
        elif recorded.outcome is not None:
            self._came[key].set()
        self._touch()

    async def settled(self, key: str) -> Wait:
        """Wait for the outcome."""
        self._awaiting.add(key)
        self._touch()
        try:
            await self._came[key].wait()
        finally:
            self._awaiting.discard(key)
        if key in self._refused:
            raise self._refused.pop(key)
        self._moved += 1
        return self._history.waits[key]

    async def first(self, fruitful: Mapping[str, Callable[[Wait], bool]]) -> str:
        """The key of the first of these waits that comes to something; of none, of the last to
        end. The same on every replay: outcomes have an order."""
        self._awaiting |= fruitful.keys()
        self._touch()
        try:
            while True:
                ended = [self._history.waits[key] for key in fruitful if self._ended(key)]
                good = [key for key in fruitful if self._good(key, fruitful[key])]
                if good:
                    return min(good, key=self._order)
                if len(ended) == len(fruitful):
                    return max(fruitful, key=self._order)
                await self._news.wait()
        finally:
            self._awaiting -= fruitful.keys()
            self._moved += 1

    def wait_of(self, key: str) -> Wait:
        return self._history.waits[key]

    def _ended(self, key: str) -> bool:
        if key in self._refused:
            raise self._refused.pop(key)
        return self._history.waits[key].outcome is not None

    def _good(self, key: str, fruitful: Callable[[Wait], bool]) -> bool:
        wait = self._history.waits[key]
        return wait.outcome is not None and fruitful(wait)

    def _order(self, key: str) -> tuple[object, ...]:
        return self._history.waits[key].order

    def let_go(self, key: str) -> None:
        """The wait is needed no more; the next checkpoint cancels what it waits for."""
        wait = self._history.waits[key]
        if wait.outcome is None and wait.id:
            self._outbox.cancels.append(wait.id)
            self._touch()

    def restart(self, input: Any) -> None:
        self._restart = bytes(to_json(input))
        raise Restarting

    async def _acked(self, key: str) -> None:
        self._acking += 1
        self._touch()
        try:
            await self._acks[key].wait()
        finally:
            self._acking -= 1
        if key in self._refused:
            raise self._refused.pop(key)
        self._moved += 1

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()
        self._touch()

    def _touch(self) -> None:
        self._moved += 1
        self._changed.set()

    # The handler's side.

    async def _handle(self) -> None:
        attempt = 1
        while True:
            end = await self._attempt(attempt)
            if end is None or (end.status is FlowStatus.FAILED and not self.compensations):
                self._forget_failures()
            if end is not None:
                break
            await self.pause(self.kind.retry.pause(attempt))
            attempt += 1
            self._begin()
        if end.status is not FlowStatus.COMPLETED and end.parked is None and end.restart is None:
            end = await self._undone(end)
        self._end = self._end or end
        self._touch()

    def _forget_failures(self) -> None:
        """Failures of steps that no checkpoint holds yet were what the code ended with."""
        for key in self._failures.intersection(self._outbox.keys):
            self._outbox.keys.remove(key)
            self._outbox.steps = [step for step in self._outbox.steps if step["key"] != key]
            del self._history.steps[key]
            self._acks.pop(key)
        self._failures.clear()

    async def _attempt(self, attempt: int) -> _End | None:
        """Run the handler once; None: it is to be tried again."""
        try:
            with anyio.CancelScope() as self._scope:
                result = await self._call()
                self._meet_all("the code comes to its end without it")
                return _End(FlowStatus.COMPLETED, _result(result))
        except (Restarting, BaseExceptionGroup) as ended:
            if self._restart is None:
                if not isinstance(ended, Exception):
                    raise
                return self._failed(ended, attempt)
            return _End(FlowStatus.RUNNING, restart=self._restart)
        except Parked as parked:
            return _End(FlowStatus.RUNNING, parked=parked)
        except (Exception, SystemExit) as error:
            return self._failed(error, attempt)
        return _End(FlowStatus.CANCELLED)

    def _failed(self, error: BaseException, attempt: int) -> _End | None:
        retry = self.kind.retry
        if attempt < retry.attempts and isinstance(error, retry.on):
            return None
        return _End(FlowStatus.FAILED, error=_shown(error))

    async def _call(self) -> Any:
        context = Context(self)
        if self.kind.input is None:
            return await self.kind.handler(context)
        try:
            input = self.kind.input.read(bytes(self._leased.input))
        except (ValueError, PxBoxError) as error:
            raise InvalidInput(f"the input is not what the code takes: {error}") from None
        return await self.kind.handler(context, input)

    async def _undone(self, end: _End) -> _End:
        """Run the compensations, the last one first; each is a step like any other. One that fails
        holds up no other."""
        self._undoing = True
        context = Context(self)
        errors = [end.error] if end.error else []
        for name, undo, arguments in reversed(self.compensations):
            try:
                await context.step(f"undo {name}", undo, *arguments)
            except Parked as parked:
                return _End(end.status, parked=parked)
            except Exception as error:
                errors.append(f"undoing {name!r} failed: {_shown(error)}")
        return _End(end.status, error="\n".join(errors) or None)

    # The checkpoints' side.

    async def _keep(self) -> Ending:
        while True:
            await self._changed.wait()
            self._changed = anyio.Event()
            await self._quiet()
            if self._cancelled and not self._undoing and self._end is None:
                self._scope.cancel()
                continue
            if self._end is not None:
                return await self._finish(self._end)
            if self._outbox or (self._told and self._waits()):
                await self._save()

    async def _quiet(self) -> None:
        moved = -1
        while moved != self._moved:
            moved = self._moved
            for _ in range(QUIET_TURNS):
                await anyio.lowlevel.checkpoint()

    def _waits(self) -> bool:
        return bool(self._awaiting) and not self._active and not self._acking

    async def _save(self) -> None:
        sent, later = self._outbox.portion()
        if self._outbox.steps or self._outbox.waits:
            self._meet_all_or_park()
            if self._end is not None:
                return
        self._outbox, self._told = later, bool(later)
        try:
            frame = self._frame(sent)
            if self._waits() and not later:
                asks = any(self._history.waits[key].kind is WaitKind.ASK for key in self._awaiting)
                frame["status"] = FlowStatus.WAITING_INPUT if asks else FlowStatus.SUSPENDED
                frame["wake"] = self.wake
            reply = await self._send(frame)
        except PxBoxError as refusal:
            self._refuse(sent, refusal)
            return
        for key, id in reply.wait_ids.items():
            self._history.waits[key].id = id
        for step in sent.steps:
            self._acks.pop(step["key"]).set()
        if later:
            self._touch()
        if reply.behind:
            self.deliver(reply.outcomes, reply.wake)

    def _refuse(self, sent: _Outbox, refusal: PxBoxError) -> None:
        """What was to be made durable cannot be: that is for the code that wanted it, and where
        none did, such as for a `ctx.state` that is too large, the flow fails."""
        if not sent.keys:
            self._end = _End(FlowStatus.FAILED, error=f"a checkpoint was refused: {refusal}")
        for key in sent.keys:
            self._refused[key] = refusal
            if key in self._acks:
                del self._history.steps[key]
                self._acks.pop(key).set()
            elif key in self._came:
                self._came[key].set()
        self._tell()

    def _frame(self, sent: _Outbox) -> dict[str, Any]:
        frame: dict[str, Any] = {
            "id": self.flow_id,
            "fence": self.fence,
            "revision": self._revision,
            "status": FlowStatus.RUNNING,
            "compensations": len(self.compensations),
            "cursor": self._cursor(),
            "steps": sent.steps,
            "waits": sent.waits,
            "cancels": sent.cancels,
        }
        if self.text is not None:
            frame["text"] = self.text
        if self._leased.version != self.kind.version:
            frame["version"] = self.kind.version
        return frame

    def _cursor(self) -> msgspec.Raw:
        """Raises PxBoxError where its author has put something into the state that is no JSON."""
        cursor = {"version": self.kind.version, "base": self._base.state, "state": self.state}
        if self._base.renames:
            cursor["renames"] = self._base.renames
        try:
            return to_json(cursor)
        except (NotImplementedError, TypeError, ValueError) as error:
            raise PxBoxError(f"ctx.state has to be JSON: {error}") from None

    async def _finish(self, end: _End) -> Ending:
        if end.parked is None and end.restart is None:
            while len(self._outbox.steps) > len(self._outbox.portion()[0].steps):
                self._outbox.waits.clear()
                await self._save()
        undoing = self._leased.compensations or self.compensations
        if self._cancelled and not undoing:
            return Ending.CLOSED
        try:
            await self._send(self._last_frame(end))
        except PxBoxError as refusal:
            await self._send(self._refused_end(end, refusal))
        if end.parked is not None:
            return Ending.PARKED
        return Ending.CLOSED if end.restart is None else Ending.RESTARTED

    def _last_frame(self, end: _End) -> dict[str, Any]:
        frame = self._frame(self._outbox)
        frame["status"] = FlowStatus.CANCELLED if self._cancelled else end.status
        if end.parked is not None:
            frame |= {"steps": [], "waits": [], "cancels": []}
            frame["parked"] = {"code": end.parked.code, "reason": str(end.parked)[:4096]}
        elif end.restart is not None:
            frame |= {"restart": msgspec.Raw(end.restart), "cancels": self._open_waits()}
            frame |= {"cursor": msgspec.Raw(b"null"), "compensations": 0, "steps": [], "waits": []}
        else:
            frame |= {"cancels": self._open_waits(), "waits": [], "compensations": 0}
        if end.result is not None:
            frame["result"] = end.result
        if end.error is not None:
            frame["error"] = end.error[:16_384]
        return frame

    def _refused_end(self, end: _End, refusal: PxBoxError) -> dict[str, Any]:
        """Its end as a failure, with nothing else that could be refused."""
        told = f"{end.error}\n" if end.error else ""
        return {
            "id": self.flow_id, "fence": self.fence, "revision": self._revision,
            "status": FlowStatus.CANCELLED if self._cancelled else FlowStatus.FAILED,
            "error": f"{told}how the flow ended cannot be recorded: {refusal}"[:16_384],
            "cancels": self._open_waits(),
        }  # fmt: skip

    def _open_waits(self) -> list[str]:
        return [w.id for w in self._history.waits.values() if w.id and w.outcome is None]

    async def _send(self, frame: dict[str, Any]) -> Checkpointed:
        try:
            reply = await self._backend.checkpoint(frame)
        except (AuthError, Forbidden, NotFound):
            # The worker's trouble, and not the flow's.
            raise Lost from None
        except Conflict as conflict:
            if conflict.code in _GONE_ON:
                raise Lost from None
            raise
        self._revision = reply.revision
        return reply

    def _meet_all(self, where: str) -> None:
        if self._unmet:
            missed = min(self._unmet)
            raise NotDeterministic(missed, f"it is recorded, but {where}")

    def _meet_all_or_park(self) -> None:
        """Nothing moves any more: what is recorded and was not met will not be."""
        new = self._outbox.keys[0]
        try:
            self._meet_all(f"the code does {new} where it was")
        except NotDeterministic as parked:
            self._end = _End(FlowStatus.RUNNING, parked=parked)
            self._touch()


def _result(value: Any) -> msgspec.Raw:
    try:
        return to_json(value)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise TypeError(f"the result of the flow has to be JSON: {error}") from None


def _shown(error: BaseException) -> str:
    """The error with the last frames of where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES_KEPT:]
    where = "".join(traceback.format_list(frames))
    return f"{type(error).__name__}: {error}\n{where}".rstrip()
