"""What a flow's code works with: each wait and step is recorded, and answered from the record."""

from __future__ import annotations

import functools
import hashlib
import inspect
import random
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, overload

import anyio
import anyio.to_thread
import msgspec

from pxbox.client.requests import Addressees, AsSchema, Details
from pxbox.client.schemas import to_json
from pxbox.flows.ending import raised_at
from pxbox.flows.errors import StepFailed
from pxbox.flows.history import digest
from pxbox.flows.kinds import FlowKind
from pxbox.flows.results import Asked, ChildEnded, Raced, Signalled
from pxbox.flows.retry import NEVER, Retry
from pxbox.flows.waiting import Asking, Child, SignalWait, Sleep, Waiting

if TYPE_CHECKING:
    from pxbox.flows.progress import Progress

T = TypeVar("T")

MOST_RESULT_BYTES = 512 * 1024
_TIME = msgspec.json.Decoder(datetime)


class Context:
    """One run of one flow. Everything that has an effect, or is not the same every time, goes
    through here; what lies between has to be the same code on the same data."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    @property
    def flow_id(self) -> str:
        return self._progress.flow_id

    @property
    def state(self) -> dict[str, Any]:
        """What its author wants seen of it: shown with the flow, and given to migrations. A replay
        makes it anew."""
        return self._progress.state

    @overload
    async def ask(
        self, name: str, *, to: Addressees, schema: type[T], **details: Unpack[Details]
    ) -> Asked[T]: ...
    @overload
    async def ask(
        self,
        name: str,
        *,
        to: Addressees,
        schema: Mapping[str, Any] | bool,
        **details: Unpack[Details],
    ) -> Asked[Any]: ...
    async def ask(
        self, name: str, *, to: Addressees, schema: AsSchema, **details: Unpack[Details]
    ) -> Asked[Any]:
        """Ask, and wait until it is answered, declined, cancelled or expired, for months if need
        be. `details` are those of `AsyncPxBox.ask`."""
        asked: Asked[Any] = await self._one(name, Asking(to, schema, details))
        return asked

    async def step(
        self,
        name: str,
        function: Callable[..., Any],
        *arguments: Any,
        retry: Retry = NEVER,
        **named: Any,
    ) -> Any:
        """Call a function at least once, and never again once its result is recorded (F1).

        It may be async, or sync: then it runs in a thread. A parameter called `idempotency_key` is
        given a key that stays the same over every repetition. What it takes and what it returns is
        recorded, so both have to be JSON, or types with a JSON form; the result comes back as
        plain JSON. Raises StepFailed after the last attempt; code that catches it and goes on has
        that recorded, and a flow that fails of it runs the step again when it is retried.
        """
        progress = self._progress
        key = progress.key(name)
        what = _digest(key, arguments, named)
        recorded = progress.recorded_step(key, what)
        if recorded is not None:
            return _result(key, recorded.result)
        await progress.may_begin()
        if _takes_key(function):
            named = {**named, "idempotency_key": f"{progress.flow_id}:{key}"}
        progress.step_begins()
        try:
            call = functools.partial(function, *arguments, **named)
            succeeded, result = await _attempt(key, call, retry, progress.pause)
        finally:
            progress.step_ends()
        if succeeded:
            await progress.record_step(key, what, result)
        else:
            await progress.record_failure(key, what, result)
        return _result(key, result)

    async def sleep(self, name: str, lasts: timedelta | float) -> None:
        """Wait, for seconds or for months; it costs nothing meanwhile."""
        await self._one(name, Sleep(lasts))

    @overload
    async def signal(
        self, name: str, schema: type[T], *, timeout: timedelta | None = None
    ) -> Signalled[T]: ...
    @overload
    async def signal(
        self, name: str, schema: None = None, *, timeout: timedelta | None = None
    ) -> Signalled[Any]: ...
    async def signal(
        self, name: str, schema: Any = None, *, timeout: timedelta | None = None
    ) -> Signalled[Any]:
        """Wait for a signal of this name; one that came before is taken at once, oldest first."""
        found: Signalled[Any] = await self._one(name, SignalWait(schema, timeout))
        return found

    async def child(
        self, name: str, kind: FlowKind | tuple[str, int], input: Any = None
    ) -> ChildEnded[Any]:
        """Start another flow and wait for its end. It is cancelled with this one."""
        ended: ChildEnded[Any] = await self._one(name, Child(kind, input))
        return ended

    def asking(self, *, to: Addressees, schema: AsSchema, **details: Unpack[Details]) -> Asking:
        """A question for `race` or `gather`."""
        return Asking(to, schema, details)

    def sleeping(self, lasts: timedelta | float) -> Sleep:
        """A pause for `race` or `gather`."""
        return Sleep(lasts)

    def signalling(self, schema: Any = None, *, timeout: timedelta | None = None) -> SignalWait:
        """A wait for a signal for `race` or `gather`; its name there is the signal's."""
        return SignalWait(schema, timeout)

    def starting(self, kind: FlowKind | tuple[str, int], input: Any = None) -> Child:
        """A child for `race` or `gather`."""
        return Child(kind, input)

    async def gather(self, waits: Mapping[str, Waiting]) -> dict[str, Any]:
        """Open all at once and wait for all; by name, what each came to."""
        keys = {name: self._open(name, wait) for name, wait in waits.items()}
        return {name: waits[name].read(await self._progress.settled(keys[name])) for name in waits}

    async def race(self, waits: Mapping[str, Waiting]) -> Raced:
        """Open all at once and wait for the first that comes to something: an answer, a signal,
        a pause's end, a completed child. The others are cancelled in the same checkpoint."""
        if not waits:
            raise ValueError("a race has at least one wait")
        progress = self._progress
        keys = {name: self._open(name, wait) for name, wait in waits.items()}
        won = await progress.first({key: waits[name].fruitful for name, key in keys.items()})
        for key in keys.values():
            progress.let_go(key)
        name = next(name for name, key in keys.items() if key == won)
        return Raced(name, waits[name].read(progress.wait_of(won)))

    def now(self) -> datetime:
        """The time, recorded: the same on every replay."""
        return _TIME.decode(self._noted("now", lambda: msgspec.json.encode(self._progress.now())))

    def random(self) -> float:
        """A random number of at least 0 and below 1, the same on every replay."""
        return random.Random(self._seed("random")).random()

    def uuid(self) -> uuid.UUID:
        """A random UUID, the same on every replay."""
        return uuid.UUID(int=random.Random(self._seed("uuid")).getrandbits(128), version=4)

    def status(self, text: str) -> None:
        """What a dashboard shows of the flow, from its next checkpoint on; at most 256 letters."""
        self._progress.text = text[:256]

    def compensate(self, name: str, undo: Callable[..., Any], *arguments: Any) -> None:
        """Have something undone if the flow fails or is cancelled: what was registered last is
        undone first, each as a step."""
        self._progress.compensations.append((name, undo, arguments))

    def restart(self, input: Any) -> None:
        """Begin anew with this input and an empty record: for loops that never end. Never
        returns."""
        self._progress.restart(input)

    async def _one(self, name: str, wait: Waiting) -> Any:
        return wait.read(await self._progress.settled(self._open(name, wait)))

    def _open(self, name: str, wait: Waiting) -> str:
        key = self._progress.key(name)
        progress = self._progress
        progress.open_wait(
            key, wait.kind, wait.digest(name), lambda: wait.said(name, progress.now())
        )
        return key

    def _noted(self, name: str, make: Callable[[], bytes]) -> bytes:
        key = self._progress.key(name)
        recorded = self._progress.recorded_step(key, "")
        if recorded is not None:
            return recorded.result
        result = make()
        self._progress.note_step(key, "", result)
        return result

    def _seed(self, name: str) -> bytes:
        # From the flow and the occurrence: there is nothing to record.
        return hashlib.sha256(f"{self.flow_id}/{self._progress.key(name)}".encode()).digest()


async def _attempt(
    key: str, call: Callable[[], Any], retry: Retry, pause: Callable[[float], Awaitable[None]]
) -> tuple[bool, bytes]:
    """Whether it succeeded at last, and the record of its result or of its last failure."""
    failed = 0
    while True:
        try:
            value = await _called(call)
            break
        except retry.on as error:
            failed += 1
            if failed >= retry.attempts:
                return False, _failure(error)
        except Exception as error:
            return False, _failure(error)
        await pause(retry.pause(failed))
    try:
        return True, _recorded(key, value)
    except (TypeError, ValueError) as error:
        # Not for another attempt: what it did, it has done.
        return False, _failure(error)


async def _called(call: Callable[[], Any]) -> Any:
    function = call.func if isinstance(call, functools.partial) else call
    if inspect.iscoroutinefunction(function):
        return await call()
    result = await anyio.to_thread.run_sync(call)
    return await result if isinstance(result, Awaitable) else result


def _digest(key: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> str:
    try:
        return digest(arguments, named)
    except (TypeError, ValueError) as error:
        raise TypeError(f"what step {key} takes has to be JSON: {error}") from None


def _recorded(key: str, value: Any) -> bytes:
    try:
        result = msgspec.json.encode({"ok": to_json(value)})
    except (TypeError, ValueError) as error:
        raise TypeError(f"the result of step {key} has to be JSON: {error}") from None
    if len(result) > MOST_RESULT_BYTES:
        raise ValueError(
            f"the result of step {key} has {len(result)} bytes and at most {MOST_RESULT_BYTES} are "
            "recorded; keep large data elsewhere and return where it is"
        )
    return result


def _failure(error: Exception) -> bytes:
    where = "\n".join(raised_at(error))[:4096]
    return msgspec.json.encode({"error": [type(error).__name__, str(error)[:4096], where]})


def _result(key: str, record: bytes) -> Any:
    read = msgspec.json.decode(record)
    if "error" in read:
        raise StepFailed(key, *read["error"])
    return read["ok"]


def _takes_key(function: Callable[..., Any]) -> bool:
    try:
        return "idempotency_key" in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
