"""The keeper: a thread with a connection of its own, so that a flow which never awaits cannot end
its worker's session, nor hold up the worker's other flows.

It renews the session, and watches the worker's event loop. Where that stands still for too long, it
names the flow that runs, hands the others back, and has the process begin again; a flow that does
so three times is parked.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import anyio
import msgspec

from pxbox.client import AsyncPxBox
from pxbox.client.errors import Conflict, NotFound, PxBoxError
from pxbox.client.link import Token
from pxbox.flows.run import Run
from pxbox.flows.worker import RENEW_SECONDS, Worker
from pxbox.model.flow import FlowStatus

log = logging.getLogger("pxbox.worker")

LOOK_SECONDS = 1.0
STUCK_SECONDS = 15.0
MOST_STRIKES = 3
_LEAVE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Stuck:
    """The flow that kept the event loop, None where that cannot be told, and how often it has."""

    flow_id: str | None
    strikes: int


class Keeper:
    """`strikes` are those of earlier processes of this worker, by flow. `on_stuck` is called in the
    keeper's thread, and is to make the process begin again; it does not return."""

    def __init__(
        self,
        url: str,
        token: Token,
        worker: Worker,
        strikes: dict[str, int],
        on_stuck: Callable[[dict[str, int]], None],
        stuck_seconds: float = STUCK_SECONDS,
    ) -> None:
        self._url = url
        self._token = token
        self._worker = worker
        self._strikes = strikes
        self._on_stuck = on_stuck
        self._stuck_seconds = stuck_seconds
        self._stop = threading.Event()
        self._told: anyio.Event
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main = threading.get_ident()
        self._thread = threading.Thread(target=self._run, name="pxbox keeper", daemon=True)

    def start(self) -> None:
        """Begin. To be called in the thread that runs the worker."""
        self._thread.start()

    def stop(self) -> None:
        """End it, and return once its connection is closed."""
        self._stop.set()
        if self._loop is not None:
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._told.set)
        self._thread.join(timeout=_LEAVE_SECONDS)

    def _run(self) -> None:
        try:
            # A loop of asyncio's own, whatever policy a library has set.
            options = {"loop_factory": asyncio.SelectorEventLoop}
            anyio.run(self._keep, backend_options=options)
        except Exception:
            log.exception("the keeper ended; the session ends with it")

    async def _keep(self) -> None:
        self._told = anyio.Event()
        self._loop = asyncio.get_running_loop()
        async with AsyncPxBox(self._url, self._token) as px:
            renew_at = time.monotonic() + RENEW_SECONDS
            while not self._stop.is_set():
                with anyio.move_on_after(LOOK_SECONDS):
                    await self._told.wait()
                if self._stop.is_set():
                    return
                if time.monotonic() - self._worker.beat > self._stuck_seconds:
                    await self._unstick(px)
                elif time.monotonic() >= renew_at:
                    renew_at = time.monotonic() + RENEW_SECONDS
                    await self._renew(px)

    async def _renew(self, px: AsyncPxBox) -> None:
        session = self._worker.session
        if session is None:
            return
        try:
            await px.call("renewSession", {"id": session})
        except (Conflict, NotFound):
            self._worker.session_ended(session)
        except PxBoxError as error:
            log.warning("the session could not be renewed: %s", error)

    async def _unstick(self, px: AsyncPxBox) -> None:
        run = self._culprit()
        strikes = 0
        if run is not None:
            strikes = self._strikes[run.flow_id] = self._strikes.get(run.flow_id, 0) + 1
        log.error(
            "flow %s has kept the event loop for %.0f s without awaiting anything (%d of %d); code "
            "that computes or blocks for long belongs into ctx.step with a sync function",
            run.flow_id if run else "(unknown)", self._stuck_seconds, strikes, MOST_STRIKES,
        )  # fmt: skip
        with anyio.move_on_after(10.0):
            await self._hand_back(px, run if strikes >= MOST_STRIKES else None)
        self._on_stuck(self._strikes)

    async def _hand_back(self, px: AsyncPxBox, parked: Run | None) -> None:
        session = self._worker.session
        if session is None:
            return
        try:
            if parked is not None:
                del self._strikes[parked.flow_id]
                await px.call("checkpointFlow", _parking(parked, session))
            await px.call("closeSession", {"id": session})
        except PxBoxError as error:
            log.warning("the flows could not be handed back; the session ends by itself: %s", error)

    def _culprit(self) -> Run | None:
        """The run whose handler is on the stack of the worker's thread."""
        frame = sys._current_frames().get(self._main)
        while frame is not None:
            mine = frame.f_locals.get("self")
            if isinstance(mine, Run):
                return mine
            frame = frame.f_back
        return None


def _parking(run: Run, session: str) -> dict[str, object]:
    reason = (
        f"its code kept the event loop {MOST_STRIKES} times without awaiting anything; mend the "
        "code, then retry it"
    )
    return {
        "id": run.flow_id, "sessionId": session, "fence": run.fence, "revision": run.revision,
        "status": FlowStatus.RUNNING, "compensations": run.compensations,
        "parked": {"code": "stuck", "reason": reason},
    }  # fmt: skip


def strikes_of(text: str) -> dict[str, int]:
    """As an earlier process wrote them; none where they cannot be read."""
    try:
        return msgspec.json.decode(text, type=dict[str, int])
    except msgspec.MsgspecError:
        return {}
