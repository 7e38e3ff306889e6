"""One flow being run here: its handler, replayed and then going on.

The handler does what it did before, answered from the history, until it comes to something new.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import anyio
import msgspec

from pxbox.client.errors import PxBoxError
from pxbox.client.schemas import to_json
from pxbox.flows.backend import Backend
from pxbox.flows.checkpoints import Checkpoints
from pxbox.flows.context import Context
from pxbox.flows.ending import End, Ending, shown
from pxbox.flows.errors import InvalidInput, Lost, Parked, Restarting
from pxbox.flows.history import History
from pxbox.flows.kinds import Cursor, FlowKind
from pxbox.flows.progress import Progress
from pxbox.model.flow import FlowStatus
from pxbox.model.wire.flows import LeasedFlow, WaitView


class Run:
    """`go` runs the flow until it is over here; `deliver` and `cancel` tell it what happened."""

    def __init__(
        self, kind: FlowKind, leased: LeasedFlow, history: History, cursor: Cursor, backend: Backend
    ) -> None:
        self.kind = kind
        self.flow_id = leased.flow_id
        self.fence = leased.fence
        self._leased = leased
        self._progress = Progress(leased, history, cursor, backend)
        self._checkpoints = Checkpoints(leased, kind.version, cursor, self._progress, backend)

    @property
    def idle(self) -> bool:
        """It waits, and nothing of it would be lost with this memory."""
        return self._progress.idle

    @property
    def exposed(self) -> bool:
        """Has it done something, or is it doing it, that no checkpoint holds?"""
        return self._progress.exposed

    @property
    def wake(self) -> int:
        """The count of wakes that it has seen."""
        return self._progress.wake

    @property
    def revision(self) -> int:
        """Of its last checkpoint."""
        return self._checkpoints.revision

    @property
    def compensations(self) -> int:
        """How much there is to undo."""
        return len(self._progress.compensations)

    async def go(self) -> Ending:
        """Run to the end of the flow, or of our part in it."""
        try:
            async with anyio.create_task_group() as group:
                self._scope = anyio.CancelScope()
                group.start_soon(self._handle)
                ending = await self._checkpoints.keep(self._interrupt)
                group.cancel_scope.cancel()
        except* Lost:
            ending = Ending.LOST
        return ending

    def deliver(self, outcomes: Iterable[WaitView], wake: int) -> None:
        """Outcomes have come; some may be known already."""
        self._progress.deliver(outcomes, wake)

    def cancel(self) -> None:
        """The flow was cancelled: undo what it registered, then end."""
        self._progress.cancelled = True
        self._progress.touch()

    def _interrupt(self) -> None:
        self._scope.cancel()

    async def _handle(self) -> None:
        progress = self._progress
        attempt = 1
        while True:
            end = await self._attempt(attempt)
            if end is None or (end.status is FlowStatus.FAILED and not progress.compensations):
                progress.forget_failures()
            if end is not None:
                break
            await progress.pause(self.kind.retry.pause(attempt))
            attempt += 1
            progress.begin()
        if end.status is not FlowStatus.COMPLETED and end.parked is None and end.restart is None:
            end = await self._undone(end)
        progress.end = progress.end or end
        progress.touch()

    async def _attempt(self, attempt: int) -> End | None:
        """Run the handler once; None: it is to be tried again."""
        try:
            with anyio.CancelScope() as self._scope:
                result = await self._call()
                self._progress.meet_all("the code comes to its end without it")
                return End(FlowStatus.COMPLETED, _result(result))
        except (Restarting, BaseExceptionGroup) as ended:
            if self._progress.restart_with is None:
                if not isinstance(ended, Exception):
                    raise
                return self._failed(ended, attempt)
            return End(FlowStatus.RUNNING, restart=self._progress.restart_with)
        except Parked as parked:
            return End(FlowStatus.RUNNING, parked=parked)
        except (Exception, SystemExit) as error:
            return self._failed(error, attempt)
        return End(FlowStatus.CANCELLED)

    def _failed(self, error: BaseException, attempt: int) -> End | None:
        retry = self.kind.retry
        if attempt < retry.attempts and isinstance(error, retry.on):
            return None
        return End(FlowStatus.FAILED, error=shown(error))

    async def _call(self) -> Any:
        context = Context(self._progress)
        if self.kind.input is None:
            return await self.kind.handler(context)
        try:
            input = self.kind.input.read(bytes(self._leased.input))
        except (ValueError, PxBoxError) as error:
            raise InvalidInput(f"the input is not what the code takes: {error}") from None
        return await self.kind.handler(context, input)

    async def _undone(self, end: End) -> End:
        """Run the compensations, the last one first; each is a step like any other. One that fails
        holds up no other."""
        self._progress.undoing = True
        context = Context(self._progress)
        errors = [end.error] if end.error else []
        for name, undo, arguments in reversed(self._progress.compensations):
            try:
                await context.step(f"undo {name}", undo, *arguments)
            except Parked as parked:
                return End(end.status, parked=parked)
            except Exception as error:
                errors.append(f"undoing {name!r} failed: {shown(error)}")
        return End(end.status, error="\n".join(errors) or None)


def _result(value: Any) -> msgspec.Raw:
    try:
        return to_json(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the result of the flow has to be JSON: {error}") from None
