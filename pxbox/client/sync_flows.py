"""Flows for programs without an event loop; see pxbox.client.sync."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from pxbox.model.flow import FlowStatus
from pxbox.model.wire import flows as wire

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox
    from pxbox.client.flows import FlowHandle, Kind
    from pxbox.client.sync import Loop

T = TypeVar("T")


class SyncFlowHandle:
    """As FlowHandle."""

    def __init__(self, loop: Loop, handle: FlowHandle) -> None:
        self._loop = loop
        self._handle = handle

    @property
    def id(self) -> str:
        return self._handle.id

    def get(self) -> wire.FlowDetail:
        """The flow as it is now. Raises NotFound."""
        return self._loop.run(self._handle.get)

    def wait(self, timeout: float | None = None) -> wire.FlowDetail:
        """The flow once it has ended; see FlowHandle.wait."""
        return self._loop.run(lambda: self._handle.wait(timeout))

    @overload
    def result(self, type: type[T], *, timeout: float | None = None) -> T: ...
    @overload
    def result(self, type: None = None, *, timeout: float | None = None) -> Any: ...
    def result(self, type: Any = None, *, timeout: float | None = None) -> Any:
        """What the flow returned, once it has. Raises FlowFailed where it ended otherwise."""
        return self._loop.run(lambda: self._handle.result(type, timeout=timeout))


class SyncFlows:
    """As Flows."""

    def __init__(self, loop: Loop, px: AsyncPxBox) -> None:
        self._loop = loop
        self._flows = px.flows

    def start(
        self,
        kind: Kind | tuple[str, int],
        input: Any = None,
        *,
        owner: str | None = None,
        key: str | None = None,
    ) -> SyncFlowHandle:
        """Start a flow that workers run; see Flows.start."""
        made = self._loop.run(lambda: self._flows.start(kind, input, owner=owner, key=key))
        return SyncFlowHandle(self._loop, made)

    def start_external(
        self, kind: str, cursor: Any = None, *, owner: str | None = None, key: str | None = None
    ) -> SyncFlowHandle:
        """Start a flow whose author runs it; see Flows.start_external."""
        made = self._loop.run(
            lambda: self._flows.start_external(kind, cursor, owner=owner, key=key)
        )
        return SyncFlowHandle(self._loop, made)

    def attach(self, id: str) -> SyncFlowHandle:
        """A handle on a flow that is there."""
        return SyncFlowHandle(self._loop, self._flows.attach(id))

    def get(self, id: str) -> wire.FlowDetail:
        """The flow as it is now, with its input, cursor, result and open waits. Raises NotFound."""
        return self._loop.run(lambda: self._flows.get(id))

    def list(
        self,
        *,
        kind: str | None = None,
        status: FlowStatus | str | None = None,
        parked: bool | None = None,
        owner: str | None = None,
    ) -> Iterator[wire.FlowSummary]:
        """All flows that the caller may see, newest first, read page by page."""
        cursor: str | None = None
        more = True
        while more:
            page = self.page(kind=kind, status=status, parked=parked, owner=owner, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            more = cursor is not None

    def page(
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
        return self._loop.run(
            lambda: self._flows.page(
                kind=kind, status=status, parked=parked, owner=owner, limit=limit, cursor=cursor
            )
        )

    def signal(
        self, id: str, name: str, data: Any = None, *, key: str | None = None
    ) -> wire.FlowSummary:
        """Send a signal; see Flows.signal."""
        return self._loop.run(lambda: self._flows.signal(id, name, data, key=key))

    def resume(
        self, id: str, event: str, data: Any = None, *, key: str | None = None
    ) -> wire.FlowSummary:
        """Tell an external flow that something happened; see Flows.resume."""
        return self._loop.run(lambda: self._flows.resume(id, event, data, key=key))

    def cancel(self, id: str, reason: str | None = None) -> wire.FlowSummary:
        """Cancel it and what it waits for. Raises Conflict where it ended before."""
        return self._loop.run(lambda: self._flows.cancel(id, reason))

    def retry(self, id: str) -> wire.FlowSummary:
        """Run a parked or a failed flow again, from its last checkpoint."""
        return self._loop.run(lambda: self._flows.retry(id))

    def checkpoint(
        self, id: str, *, revision: int, status: FlowStatus | str, **members: Any
    ) -> wire.Checkpointed:
        """Write down what an external flow has come to; see Flows.checkpoint."""
        return self._loop.run(
            lambda: self._flows.checkpoint(id, revision=revision, status=status, **members)
        )

    def timeline(self, id: str, *, after: int = 0) -> Sequence[wire.TimelineItem]:
        """Every step, wait and outcome, in the order they happened, less the first `after`."""
        return self._loop.run(lambda: self._flows.timeline(id, after=after))

    def wait(self, id: str) -> wire.FlowDetail:
        """The flow once it has ended."""
        return self._loop.run(lambda: self._flows.wait(id))
