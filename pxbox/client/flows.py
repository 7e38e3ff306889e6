"""Flows: started, steered, read, and waited for."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

import anyio
import msgspec

from pxbox.client import timing
from pxbox.client.errors import PxBoxError, Unreachable
from pxbox.client.schemas import shape_of, to_json
from pxbox.model.flow import OPEN_FLOW, FlowStatus
from pxbox.model.wire import flows as wire

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox

T = TypeVar("T")

_PAGE = 200


class FlowFailed(PxBoxError):
    """The flow ended without a result: `flow` says how. It failed, or it was cancelled."""

    def __init__(self, flow: wire.FlowDetail) -> None:
        why = f": {flow.error}" if flow.error else ""
        super().__init__(f"the flow {flow.id} is {flow.status}{why}", code="no_result")
        self.flow = flow


class Kind(Protocol):
    """The code of a flow, as `@flow` makes it."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...


class FlowHandle:
    """One flow that was started or found."""

    def __init__(self, px: AsyncPxBox, id: str) -> None:
        self._px = px
        self.id = id

    async def get(self) -> wire.FlowDetail:
        """The flow as it is now. Raises NotFound."""
        return await self._px.flows.get(self.id)

    async def wait(self, timeout: float | None = None) -> wire.FlowDetail:
        """The flow once it is completed, failed or cancelled, be it in months.

        One that is parked may go on, so it is waited for. Raises TimeoutError after `timeout`
        seconds; the flow is left as it is.
        """
        with anyio.fail_after(timeout):
            return await self._px.flows.wait(self.id)

    def changes(self) -> AsyncGenerator[wire.FlowDetail, None]:
        """The flow now, and again after each change, until it has ended; see Flows.changes."""
        return self._px.flows.changes(self.id)

    @overload
    async def result(self, type: type[T], *, timeout: float | None = None) -> T: ...
    @overload
    async def result(self, type: None = None, *, timeout: float | None = None) -> Any: ...
    async def result(self, type: Any = None, *, timeout: float | None = None) -> Any:
        """What the flow returned, once it has, as a value of `type`. Raises FlowFailed where it
        ended otherwise."""
        ended = await self.wait(timeout)
        if ended.status is not FlowStatus.COMPLETED:
            raise FlowFailed(ended)
        return shape_of(True if type is None else type).read(bytes(ended.result))


class Flows:
    """Every operation on flows. Those that name an `id` take the flow's."""

    def __init__(self, px: AsyncPxBox) -> None:
        self._px = px

    async def start(
        self,
        kind: Kind | tuple[str, int],
        input: Any = None,
        *,
        owner: str | None = None,
        key: str | None = None,
    ) -> FlowHandle:
        """Start a flow that workers run, by its code or by its name and version.

        `owner` is an entity, by any address; by default the caller's own. With a `key` it is
        started once: whoever starts it again with the same key and input within 24 hours gets the
        flow that is there.
        """
        name, version = kind if isinstance(kind, tuple) else (kind.name, kind.version)
        return await self._create({"kind": name, "version": version, "input": to_json(input)},
                                  owner, key)  # fmt: skip

    async def start_external(
        self, kind: str, cursor: Any = None, *, owner: str | None = None, key: str | None = None
    ) -> FlowHandle:
        """Start a flow whose author runs it, and keeps its state in `cursor`."""
        return await self._create({"kind": kind, "cursor": to_json(cursor)}, owner, key)

    async def _create(
        self, input: dict[str, Any], owner: str | None, key: str | None
    ) -> FlowHandle:
        if owner is not None:
            input["ownerEntity"] = owner
        idempotency_key = (
            None if key is None else f"flow:{hashlib.sha256(key.encode()).hexdigest()}"
        )
        created = await self._px.carry_out("createFlow", input, wire.FlowCreated, idempotency_key)
        return FlowHandle(self._px, created.id)

    def attach(self, id: str) -> FlowHandle:
        """A handle on a flow that is there."""
        return FlowHandle(self._px, id)

    async def get(self, id: str) -> wire.FlowDetail:
        """The flow as it is now, with its input, cursor, result and open waits. Raises NotFound."""
        return await self._px.carry_out("getFlow", {"id": id}, wire.FlowDetail)

    async def page(
        self,
        *,
        kind: str | None = None,
        status: FlowStatus | str | None = None,
        parked: bool | None = None,
        owner: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> wire.FlowPage:
        """A page of the flows that the caller may see, newest first."""
        input: dict[str, Any] = {
            "kind": kind, "status": None if status is None else str(status), "parked": parked,
            "ownerEntity": owner, "limit": limit, "cursor": cursor,
        }  # fmt: skip
        given = {name: value for name, value in input.items() if value is not None}
        return await self._px.carry_out("listFlows", given, wire.FlowPage)

    async def list(
        self,
        *,
        kind: str | None = None,
        status: FlowStatus | str | None = None,
        parked: bool | None = None,
        owner: str | None = None,
    ) -> AsyncIterator[wire.FlowSummary]:
        """All flows that the caller may see, newest first, read page by page."""
        cursor: str | None = None
        while True:
            page = await self.page(
                kind=kind, status=status, parked=parked, owner=owner, limit=_PAGE, cursor=cursor
            )
            for flow in page.items:
                yield flow
            cursor = page.next_cursor
            if cursor is None:
                return

    async def signal(
        self, id: str, name: str, data: Any = None, *, key: str | None = None
    ) -> wire.FlowSummary:
        """Send a signal; one that comes before the flow waits for it is kept. Raises Conflict where
        the flow has ended. With a `key` it is sent once, however often this is called."""
        input = {"id": id, "name": name, "data": to_json(data)}
        return await self._px.carry_out("signalFlow", input, wire.FlowSummary, key)

    async def resume(
        self, id: str, event: str, data: Any = None, *, key: str | None = None
    ) -> wire.FlowSummary:
        """Tell an external flow that something happened: it is kept as its cursor's `lastEvent`. A
        flow that workers run gets it as a signal."""
        input = {"id": id, "event": event, "data": to_json(data)}
        return await self._px.carry_out("resumeFlow", input, wire.FlowSummary, key)

    async def cancel(self, id: str, reason: str | None = None) -> wire.FlowSummary:
        """Cancel it and what it waits for (F6). Raises Conflict where it ended before."""
        input = {"id": id} if reason is None else {"id": id, "reason": reason}
        return await self._px.carry_out("cancelFlow", input, wire.FlowSummary)

    async def retry(self, id: str) -> wire.FlowSummary:
        """Run a parked or a failed flow again, from its last checkpoint."""
        return await self._px.carry_out("retryFlow", {"id": id}, wire.FlowSummary)

    async def checkpoint(
        self,
        id: str,
        *,
        revision: int,
        status: FlowStatus | str,
        cursor: Any = msgspec.UNSET,
        **members: Any,
    ) -> wire.Checkpointed:
        """Write down what an external flow has come to; `members` are the others of
        `CheckpointFlow`. Raises Conflict where the flow is at another revision."""
        input = {"id": id, "revision": revision, "status": str(status), **members}
        if cursor is not msgspec.UNSET:
            input["cursor"] = to_json(cursor)
        return await self._px.carry_out("checkpointFlow", input, wire.Checkpointed)

    async def timeline(self, id: str, *, after: int = 0) -> Sequence[wire.TimelineItem]:
        """Every step, wait and outcome, in the order they happened, less the first `after`."""
        items: list[wire.TimelineItem] = []
        more = True
        while more:
            input = {"id": id, "after": after + len(items), "limit": _PAGE}
            page = await self._px.carry_out("getFlowTimeline", input, wire.FlowTimeline)
            items += page.items
            more = page.more
        return items

    async def wait(self, id: str) -> wire.FlowDetail:
        """The flow once it has ended."""
        # To the end of it: a generator that is left in the middle is closed who knows when.
        last: wire.FlowDetail | None = None
        async for flow in self.changes(id):
            last = flow
        assert last is not None, "there is at least the flow as it was found"
        return last

    async def changes(self, id: str) -> AsyncGenerator[wire.FlowDetail, None]:
        """The flow as it is now, and again after each change, until it has ended.

        What changes between two looks is seen once. Where no WebSocket is to be had, it is looked
        at every few seconds. Whoever leaves it earlier closes it (`contextlib.aclosing`).
        """
        try:
            async with self._px.events(f"flow:{id}") as stream:
                flow = await self.get(id)
                yield flow
                while flow.status in OPEN_FLOW:
                    await anext(stream)
                    flow = await self.get(id)
                    yield flow
        except Unreachable:
            if not self._px.link.main.blocked:
                raise
            async for flow in self._looking(id):
                yield flow

    async def _looking(self, id: str) -> AsyncIterator[wire.FlowDetail]:
        seen = None
        while True:
            flow = await self.get(id)
            if flow.updated_at != seen:
                seen = flow.updated_at
                yield flow
            if flow.status not in OPEN_FLOW:
                return
            await anyio.sleep(timing.RELOAD_SECONDS)
