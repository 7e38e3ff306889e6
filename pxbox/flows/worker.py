"""A worker: leases flows of its kinds, runs many at once, and makes their checkpoints durable.

A worker that dies loses nothing: its session ends, and its flows go to others (F4).
"""

from __future__ import annotations

import logging
import math
import time
from collections import OrderedDict
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import anyio
import anyio.abc
import msgspec

from pxbox.client import AsyncPxBox
from pxbox.client.errors import (
    AuthError,
    Conflict,
    Forbidden,
    NotFound,
    Overloaded,
    PxBoxError,
    Unreachable,
)
from pxbox.client.retry import Backoff, Transient
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
# For so long the broker waits for something to run before it says that there is nothing.
WAIT_SECONDS = 15
LEASE_AT_ONCE = 200
GATHER_SECONDS = 0.001
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
        self._unsure = False
        self._sure_until = math.inf
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
        """Serve until cancelled; then hand back what is in hand.

        Raises AuthError, Forbidden: the token is not for this, and there is no other to be had.
        """
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(self._tick)
                refused = await self._lease_for_long(group)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(5.0):
                await self._close_session()
        raise refused

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

    async def _lease_for_long(self, group: anyio.abc.TaskGroup) -> AuthError | Forbidden:
        """Lease until that is refused for good, and return how."""
        backoff = Backoff()
        while True:
            try:
                if self._session is None:
                    await self._open_session()
                waited = await self._lease(group)
            except (Conflict, NotFound) as error:
                if self._session is None:
                    # No broker's words about a session: something else answers there.
                    log.warning("no session can be opened: %s", error)
                    await anyio.sleep(backoff.next())
                    continue
                log.warning("the session has ended: its flows are with others now")
                self._drop_all()
                continue
            except Transient as lost:
                # With a reply that was lost flows may have come that are not known here.
                self._unsure = True
                await anyio.sleep(backoff.next(lost.after))
                continue
            except PxBoxError as error:
                # What a gateway says, with no code of the contract, may be over soon.
                told = bool(error.code) and not self._px.link.renews_tokens
                if told and isinstance(error, AuthError | Forbidden):
                    return error
                log.warning("the broker is away: %s", error)
                self._unsure = True
                await anyio.sleep(backoff.next())
                continue
            if waited:
                backoff.reset()
            # What was given runs first; what wakes meanwhile comes along with the next.
            await anyio.sleep(GATHER_SECONDS)

    async def _open_session(self) -> None:
        kinds = [{"kind": one.name, "version": one.version} for one in self._kinds.values()]
        opened = await self._px.carry_out("openSession", {"kinds": kinds}, WorkerSession)
        self._session = opened.id
        self._unsure = False
        self._sure_until = anyio.current_time() + WAIT_SECONDS

    async def _close_session(self) -> None:
        self._stopping = True
        session, self._session = self._session, None
        if session is not None:
            try:
                await self._px.call("closeSession", {"id": session})
            except PxBoxError as error:
                log.warning("the session was not closed; it ends by itself: %s", error)

    async def _lease(self, group: anyio.abc.TaskGroup) -> bool:
        """Take what is to be run, once there is something; False: it was only asked for what is
        amiss. Raises PxBoxErrors, and Transient: it is not simply repeated, for what a lost reply
        brought would be unknown here."""
        input: dict[str, Any] = {"id": self._session, "limit": LEASE_AT_ONCE}
        # By the clock too: a reply may go to a connection that is dead, and nothing says so.
        unsure = self._unsure or anyio.current_time() >= self._sure_until
        self._unsure = False
        if unsure:
            # A reply may have been lost: say what is here, and hear what else should be.
            input["held"] = {id: run.wake for id, run in self._runs.items()}
        else:
            input["waitSeconds"] = WAIT_SECONDS
        reply = await self._px.link.once("leaseFlows", msgspec.json.encode(input), None)
        leased = msgspec.json.decode(reply, type=FlowsLeased)
        if unsure:
            self._sure_until = anyio.current_time() + WAIT_SECONDS
        for id in leased.lost:
            self._drop(id)
        for flow in leased.flows:
            self._take(flow, group)
        self._evict()
        return not unsure

    def _take(self, flow: LeasedFlow, group: anyio.abc.TaskGroup) -> None:
        run = self._runs.get(flow.flow_id)
        if run is not None and flow.resident and run.fence == flow.fence:
            self._runs.move_to_end(flow.flow_id)
            if flow.status is FlowStatus.CANCELLED:
                run.cancel()
            else:
                run.deliver(flow.outcomes, flow.wake)
            return
        # Also one whose record is still being read: it has become longer.
        self._drop(flow.flow_id)
        if flow.status is not FlowStatus.CANCELLED or flow.compensations:
            scope = self._scopes[flow.flow_id] = anyio.CancelScope()
            group.start_soon(self._serve, flow, scope)

    async def _serve(self, flow: LeasedFlow, scope: anyio.CancelScope) -> None:
        """Run a flow here, from its record, until it is over or another's."""
        with scope:
            try:
                run = await self._made(flow)
                if run is None:
                    return
                self._runs[flow.flow_id] = run
                await run.go()
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

    async def _tick(self) -> None:
        while True:
            self.beat = time.monotonic()
            await anyio.sleep(1.0)
