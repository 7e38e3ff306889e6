"""A worker: leases flows of its kinds, runs many at once, and makes their checkpoints durable.

A worker that dies loses nothing: its session ends, and its flows go to others (F4).
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.abc
import msgspec

from pxbox.client import AsyncPxBox, Gap
from pxbox.client.errors import Conflict, NotFound, Overloaded, PxBoxError, Unreachable
from pxbox.client.retry import Backoff
from pxbox.flows.ending import Ending
from pxbox.flows.errors import InvalidCursor, Parked
from pxbox.flows.history import History
from pxbox.flows.kinds import Cursor, FlowKind, by_name
from pxbox.flows.run import Run
from pxbox.model.flow import FlowStatus
from pxbox.model.wire.flows import (
    Checkpointed,
    FlowHistory,
    FlowsLeased,
    LeasedFlow,
    WorkerSession,
)

log = logging.getLogger("pxbox.worker")

RENEW_SECONDS = 10.0
# Where no news comes, this is how often a worker looks all the same.
LOOK_SECONDS = 15.0
# A flow that wakes with a worker that has died may be had by others a second later.
AGAIN_SECONDS = 1.2
LEASE_AT_ONCE = 200
RESIDENT = 1_000
_REVIVABLE = (Overloaded, Unreachable)


class _StoredCursor(msgspec.Struct):
    version: int
    base: dict[str, Any] = {}
    state: dict[str, Any] = {}
    renames: dict[str, str] = {}


class Worker:
    """Runs flows until it is stopped.

    `resident`: how many flows stay in memory while they wait; those that wait longest leave it,
    and are replayed when they go on (F3). More may run at once.
    """

    def __init__(
        self, px: AsyncPxBox, kinds: Iterable[FlowKind], *, resident: int = RESIDENT
    ) -> None:
        self._px = px
        self._kinds = by_name(kinds)
        self._resident = resident
        self._session: str | None = None
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._scopes: dict[str, anyio.CancelScope] = {}
        self._nudge = anyio.Event()
        self._unsure = False
        self._missed = False
        self._stopping = False
        self.replays = 0
        self.beat = time.monotonic()

    @property
    def session(self) -> str | None:
        return self._session

    def session_ended(self, session: str) -> None:
        """The broker says so; to be called from any thread. The next lease finds it out."""
        if self._session == session:
            self._unsure = True

    def run_of(self, flow_id: str) -> Run | None:
        return self._runs.get(flow_id)

    async def run(self) -> None:
        """Serve until cancelled; then hand back what is in hand."""
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._tick)
                for kind in self._kinds:
                    group.start_soon(self._listen, kind)
                await self._lease_for_ever(group)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(5.0):
                await self._close_session()

    def now(self) -> datetime:
        """What `ctx.now()` records."""
        return datetime.now(UTC)

    async def pause(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    async def checkpoint(self, frame: dict[str, Any]) -> Checkpointed:
        """Make it durable, however long the broker is away."""
        backoff = Backoff()
        while True:
            session = self._session
            if session is None:
                raise Conflict("the session has ended", code="stale_checkpoint")
            try:
                return await self._px.carry_out(
                    "checkpointFlow", {**frame, "sessionId": session}, Checkpointed
                )
            except _REVIVABLE as error:
                log.warning("a checkpoint of flow %s waits: %s", frame["id"], error)
                await anyio.sleep(backoff.next())

    async def _lease_for_ever(self, group: anyio.abc.TaskGroup) -> None:
        backoff = Backoff()
        while True:
            try:
                if self._session is None:
                    await self._open_session()
                more = await self._lease(group)
            except (Conflict, NotFound):
                log.warning("the session has ended: its flows are with others now")
                self._drop_all()
                continue
            except PxBoxError as error:
                log.warning("the broker is away: %s", error)
                self._unsure = True
                await anyio.sleep(backoff.next())
                continue
            backoff.reset()
            if not more:
                await self._wait_news(AGAIN_SECONDS if self._missed else LOOK_SECONDS)

    async def _wait_news(self, at_most: float) -> None:
        with anyio.move_on_after(at_most) as patience:
            await self._nudge.wait()
        # Something is to be run, and if nothing is leased now, another worker is to come for it.
        self._missed = not patience.cancelled_caught
        if at_most == LOOK_SECONDS:
            self._unsure = self._unsure or patience.cancelled_caught

    async def _open_session(self) -> None:
        kinds = [{"kind": one.name, "version": one.version} for one in self._kinds.values()]
        opened = await self._px.carry_out("openSession", {"kinds": kinds}, WorkerSession)
        self._session = opened.id
        self._unsure = False
        # One that ended without a word may have left flows that were woken just now.
        self._missed = True

    async def _close_session(self) -> None:
        self._stopping = True
        session, self._session = self._session, None
        if session is not None:
            try:
                await self._px.call("closeSession", {"id": session})
            except PxBoxError as error:
                log.warning("the session was not closed; it ends by itself: %s", error)

    async def _lease(self, group: anyio.abc.TaskGroup) -> bool:
        """Take what is to be run; True: there is more."""
        self._nudge = anyio.Event()
        input: dict[str, Any] = {"id": self._session, "limit": LEASE_AT_ONCE}
        if self._unsure:
            # A reply may have been lost: say what is here, and hear what else should be.
            input["held"] = {id: run.wake for id, run in self._runs.items()}
        leased = await self._px.carry_out("leaseFlows", input, FlowsLeased)
        self._unsure = False
        for id in leased.lost:
            self._drop(id)
        for flow in leased.flows:
            self._missed = False
            self._take(flow, group)
        self._evict()
        return leased.more

    def _take(self, flow: LeasedFlow, group: anyio.abc.TaskGroup) -> None:
        run = self._runs.get(flow.flow_id)
        if run is not None and flow.resident and run.fence == flow.fence:
            self._runs.move_to_end(flow.flow_id)
            if flow.status is FlowStatus.CANCELLED:
                run.cancel()
            else:
                run.deliver(flow.outcomes, flow.wake)
            return
        if run is not None:
            self._drop(flow.flow_id)
        if flow.status is not FlowStatus.CANCELLED or flow.compensations:
            group.start_soon(self._serve, flow)

    async def _serve(self, flow: LeasedFlow) -> None:
        """Run a flow here, from its record, until it is over or another's."""
        with anyio.CancelScope() as scope:
            self._scopes[flow.flow_id] = scope
            try:
                run = await self._made(flow)
                if run is None:
                    return
                self._runs[flow.flow_id] = run
                ending = await run.go()
                if ending is Ending.RESTARTED:
                    self._nudge.set()
            except PxBoxError as error:
                log.warning("flow %s is left to another try: %s", flow.flow_id, error)
                self._unsure = True
            except Exception:
                log.exception("flow %s cannot be run here", flow.flow_id)
            finally:
                if self._scopes.get(flow.flow_id) is scope:
                    del self._scopes[flow.flow_id]
                    self._runs.pop(flow.flow_id, None)

    async def _made(self, flow: LeasedFlow) -> Run | None:
        kind = self._kinds[flow.kind]
        history = await self._history(flow)
        try:
            cursor = self._cursor(kind, flow)
        except Parked as parked:
            await self._park(flow, parked)
            return None
        return Run(kind, flow, history, cursor, self)

    def _cursor(self, kind: FlowKind, flow: LeasedFlow) -> Cursor:
        """The cursor as the code of today wants it. Raises Parked errors."""
        if bytes(flow.cursor) == b"null":
            stored = _StoredCursor(flow.version)
        else:
            try:
                stored = msgspec.json.decode(flow.cursor, type=_StoredCursor)
            except msgspec.MsgspecError as error:
                raise InvalidCursor(f"the cursor cannot be read: {error}") from None
        if flow.version == kind.version:
            return Cursor(stored.base, stored.renames)
        return kind.migrated(Cursor(stored.state, stored.renames), flow.version)

    async def _park(self, flow: LeasedFlow, parked: Parked) -> None:
        log.error("flow %s is parked: %s", flow.flow_id, parked)
        frame = {
            "id": flow.flow_id, "fence": flow.fence, "revision": flow.revision,
            "status": flow.status, "wake": flow.wake, "compensations": flow.compensations,
            "parked": {"code": parked.code, "reason": str(parked)[:4096]},
        }  # fmt: skip
        try:
            await self.checkpoint(frame)
        except (Conflict, NotFound):
            log.info("flow %s went elsewhere", flow.flow_id)

    async def _history(self, flow: LeasedFlow) -> History:
        history = History()
        if flow.revision == 0:
            return history
        self.replays += 1
        more = True
        while more:
            page = await self._px.carry_out(
                "getFlowHistory",
                {"id": flow.flow_id, "afterStep": len(history.steps)},
                FlowHistory,
            )
            history.add_steps(page.steps)
            history.add_waits(page.waits)
            more = page.more
        return history

    def _evict(self) -> None:
        """Have those leave memory that wait longest (F3)."""
        for id in list(self._runs):
            if len(self._runs) <= self._resident:
                return
            if self._runs[id].idle:
                self._drop(id)

    def _drop(self, flow_id: str) -> None:
        self._runs.pop(flow_id, None)
        if scope := self._scopes.pop(flow_id, None):
            scope.cancel()

    def _drop_all(self) -> None:
        self._session = None
        for id in list(self._scopes):
            self._drop(id)

    async def _listen(self, kind: str) -> None:
        """Hear that something is to be run (F4)."""
        while True:
            try:
                async with self._px.events(f"work:{kind}") as stream:
                    # What came between the last lease and this.
                    self._nudge.set()
                    async for told in stream:
                        self._unsure = self._unsure or isinstance(told, Gap)
                        self._nudge.set()
            except PxBoxError as error:
                log.warning("no news of %s: %s", kind, error)
                await anyio.sleep(LOOK_SECONDS)

    async def _tick(self) -> None:
        while True:
            self.beat = time.monotonic()
            await anyio.sleep(1.0)
