"""The checkpoints of a run: what is new gathers until nothing moves any more, and goes into one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.lowlevel
import msgspec

from pxbox.client.errors import AuthError, Conflict, Forbidden, NotFound, PxBoxError
from pxbox.client.schemas import to_json
from pxbox.flows.backend import Backend
from pxbox.flows.ending import End, Ending
from pxbox.flows.errors import Lost, NotDeterministic
from pxbox.flows.kinds import Cursor
from pxbox.flows.outbox import Outbox
from pxbox.flows.progress import Progress
from pxbox.model.flow import FlowStatus, WaitKind
from pxbox.model.wire.flows import Checkpointed, LeasedFlow

# How often the event loop turns before nothing is taken to move any more: gathered waits start in
# tasks of their own, which need a turn or two each.
QUIET_TURNS = 4
_GONE_ON = {"flow_parked", "stale_checkpoint", "wrong_status"}


class Checkpoints:
    """Of one run, by code of `version`. `revision` is that of the last one."""

    def __init__(
        self, leased: LeasedFlow, version: int, base: Cursor, progress: Progress, backend: Backend
    ) -> None:
        self.revision = leased.revision
        self._leased = leased
        self._version = version
        self._base = base
        self._progress = progress
        self._backend = backend

    async def keep(self, interrupt: Callable[[], None]) -> Ending:
        """Make them until the run is over. `interrupt` is called where the flow was cancelled, so
        that its code comes to undo what it did. Raises Lost."""
        progress = self._progress
        while True:
            await progress.changed.wait()
            progress.changed = anyio.Event()
            await self._quiet()
            if progress.cancelled and not progress.undoing and progress.end is None:
                interrupt()
                continue
            if progress.end is not None:
                return await self._finish(progress.end)
            if progress.outbox or (progress.told and progress.waits):
                await self._save()

    async def _quiet(self) -> None:
        moved = -1
        while moved != self._progress.moved:
            moved = self._progress.moved
            for _ in range(QUIET_TURNS):
                await anyio.lowlevel.checkpoint()

    async def _save(self) -> None:
        progress = self._progress
        sent, later = progress.outbox.portion()
        if progress.outbox.steps or progress.outbox.waits:
            self._meet_all_or_park()
            if progress.end is not None:
                return
        progress.outbox, progress.told = later, bool(later)
        try:
            frame = self._frame(sent)
            if progress.waits and not later:
                waits = progress.history.waits
                asks = any(waits[key].kind is WaitKind.ASK for key in progress.awaiting)
                frame["status"] = FlowStatus.WAITING_INPUT if asks else FlowStatus.SUSPENDED
                frame["wake"] = progress.wake
            reply = await self._send(frame)
        except PxBoxError as refusal:
            progress.refuse(sent, refusal)
            return
        progress.durable(sent, reply.wait_ids)
        if later:
            progress.touch()
        if reply.behind:
            progress.deliver(reply.outcomes, reply.wake)

    def _frame(self, sent: Outbox) -> dict[str, Any]:
        progress = self._progress
        frame: dict[str, Any] = {
            "id": self._leased.flow_id,
            "fence": self._leased.fence,
            "revision": self.revision,
            "status": FlowStatus.RUNNING,
            "compensations": len(progress.compensations),
            "cursor": self._cursor(),
            "steps": sent.steps,
            "waits": sent.waits,
            "cancels": sent.cancels,
        }
        if progress.text is not None:
            frame["text"] = progress.text
        if self._leased.version != self._version:
            frame["version"] = self._version
        return frame

    def _cursor(self) -> msgspec.Raw:
        """Raises PxBoxError where its author has put something into the state that is no JSON."""
        cursor = {"version": self._version, "base": self._base.state, "state": self._progress.state}
        if self._base.renames:
            cursor["renames"] = self._base.renames
        try:
            return to_json(cursor)
        except (TypeError, ValueError) as error:
            raise PxBoxError(f"ctx.state has to be JSON: {error}") from None

    async def _finish(self, end: End) -> Ending:
        progress = self._progress
        if end.parked is None and end.restart is None:
            while len(progress.outbox.steps) > len(progress.outbox.portion()[0].steps):
                progress.outbox.waits.clear()
                await self._save()
        undoing = self._leased.compensations or progress.compensations
        if progress.cancelled and not undoing:
            return Ending.CLOSED
        try:
            await self._send(self._last_frame(end))
        except PxBoxError as refusal:
            await self._send(self._refused_end(end, refusal))
        return Ending.CLOSED if end.parked is None else Ending.PARKED

    def _last_frame(self, end: End) -> dict[str, Any]:
        frame = self._frame(self._progress.outbox)
        frame["status"] = FlowStatus.CANCELLED if self._progress.cancelled else end.status
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

    def _refused_end(self, end: End, refusal: PxBoxError) -> dict[str, Any]:
        """Its end as a failure, with nothing else that could be refused."""
        told = f"{end.error}\n" if end.error else ""
        return {
            "id": self._leased.flow_id, "fence": self._leased.fence, "revision": self.revision,
            "status": FlowStatus.CANCELLED if self._progress.cancelled else FlowStatus.FAILED,
            "error": f"{told}how the flow ended cannot be recorded: {refusal}"[:16_384],
            "cancels": self._open_waits(),
        }  # fmt: skip

    def _open_waits(self) -> list[str]:
        return [w.id for w in self._progress.history.waits.values() if w.id and w.outcome is None]

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
        self.revision = reply.revision
        return reply

    def _meet_all_or_park(self) -> None:
        """Nothing moves any more: what is recorded and was not met will not be."""
        new = self._progress.outbox.keys[0]
        try:
            self._progress.meet_all(f"the code does {new} where it was")
        except NotDeterministic as parked:
            self._progress.end = End(FlowStatus.RUNNING, parked=parked)
            self._progress.touch()
