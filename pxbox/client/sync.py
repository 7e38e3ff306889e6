"""`PxBox`: the same client for programs without an event loop.

Everything runs in a loop of its own in a thread; every call blocks until its result is there.
Threads may share one. Interrupting a call (Ctrl-C) cancels it, as cancelling does elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, Unpack, overload

import msgspec
from anyio.from_thread import BlockingPortal, start_blocking_portal

from pxbox.client.client import DEFAULT_URL, PATIENCE_SECONDS, AsyncPxBox
from pxbox.client.events import Event, Gap, Position
from pxbox.client.inbox import Change, Inbox
from pxbox.client.link import Token
from pxbox.client.marks import Action
from pxbox.client.requests import Addressees, Answer, AsSchema, Details, RequestHandle
from pxbox.client.stream import EventStream
from pxbox.client.sync_files import SyncFiles
from pxbox.client.sync_flows import SyncFlows
from pxbox.model import wire
from pxbox.model.entity import EntityKind
from pxbox.model.request import Status

T = TypeVar("T")
R = TypeVar("R")


class Loop:
    """The event loop in its thread."""

    def __init__(self, portal: BlockingPortal) -> None:
        self._portal = portal

    def run(self, work: Callable[[], Coroutine[Any, Any, R]]) -> R:
        """Have it done and return its result; what interrupts the wait cancels it."""
        future = self._portal.start_task_soon(work)
        try:
            result: R = future.result()
        except BaseException:
            future.cancel()
            raise
        return result


class SyncHandle(Generic[T]):
    """As RequestHandle."""

    def __init__(self, loop: Loop, handle: RequestHandle[T]) -> None:
        self._loop = loop
        self._handle = handle

    @property
    def id(self) -> str:
        return self._handle.id

    @property
    def request(self) -> wire.RequestSummary:
        return self._handle.request

    @property
    def status(self) -> Status:
        return self._handle.status

    def refresh(self) -> Status:
        """Look again."""
        return self._loop.run(self._handle.refresh)

    def wait(self, timeout: float | None = None) -> Answer[T]:
        """The answer, once there is one; see RequestHandle.wait."""
        return self._loop.run(lambda: self._handle.wait(timeout))

    def cancel(self, reason: str | None = None) -> None:
        """Withdraw the request. Raises Conflict where it was closed before."""
        self._loop.run(lambda: self._handle.cancel(reason))


class SyncRequests:
    """As Requests."""

    def __init__(self, loop: Loop, px: AsyncPxBox) -> None:
        self._loop = loop
        self._requests = px.requests

    @overload
    def create(
        self, schema: type[T], *, to: Addressees, **details: Unpack[Details]
    ) -> SyncHandle[T]: ...
    @overload
    def create(
        self, schema: Mapping[str, Any] | bool, *, to: Addressees, **details: Unpack[Details]
    ) -> SyncHandle[Any]: ...
    def create(
        self, schema: AsSchema, *, to: Addressees, **details: Unpack[Details]
    ) -> SyncHandle[Any]:
        """Ask for data of this shape; see `Details` for what else can be said."""
        made = self._loop.run(lambda: self._requests.create(schema, to=to, **details))
        return SyncHandle(self._loop, made)

    @overload
    def attach(self, id: str) -> SyncHandle[Any]: ...
    @overload
    def attach(self, id: str, schema: type[T]) -> SyncHandle[T]: ...
    def attach(self, id: str, schema: type[Any] | None = None) -> SyncHandle[Any]:
        """A handle on a request that is there. Raises NotFound."""
        if schema is None:
            return SyncHandle(self._loop, self._loop.run(lambda: self._requests.attach(id)))
        return SyncHandle(self._loop, self._loop.run(lambda: self._requests.attach(id, schema)))

    def get(self, id: str) -> wire.RequestDetail:
        """The request as it is now, with its schema. Raises NotFound."""
        return self._loop.run(lambda: self._requests.get(id))

    def claim(self, id: str) -> wire.RequestSummary:
        """Take it: nobody else may answer until the lease ends. Raises Conflict."""
        return self._loop.run(lambda: self._requests.claim(id))

    def release(self, id: str) -> wire.RequestSummary:
        """Give a claim back. Raises Conflict."""
        return self._loop.run(lambda: self._requests.release(id))

    def answer(
        self, id: str, data: Any, *, files: Sequence[str] = (), key: str | None = None
    ) -> wire.Response:
        """Answer it. Raises ValidationFailed with every error, and Conflict."""
        return self._loop.run(lambda: self._requests.answer(id, data, files=files, key=key))

    def decline(self, id: str, reason: str | None = None) -> wire.RequestSummary:
        """Say that no answer will come from here. Raises Conflict."""
        return self._loop.run(lambda: self._requests.decline(id, reason))

    def cancel(self, id: str, reason: str | None = None) -> wire.RequestSummary:
        """Withdraw a request of one's own. Raises Conflict where it was closed before."""
        return self._loop.run(lambda: self._requests.cancel(id, reason))

    def reassign(self, id: str, to: Addressees, reason: str | None = None) -> wire.RequestSummary:
        """Have others asked instead of all who were. Raises Forbidden and Conflict."""
        return self._loop.run(lambda: self._requests.reassign(id, to, reason))

    def delegate(self, id: str, to: str, reason: str | None = None) -> wire.RequestSummary:
        """Have another hold the claim. Raises Forbidden and Conflict."""
        return self._loop.run(lambda: self._requests.delegate(id, to, reason))

    def draft(self, id: str) -> wire.Draft:
        """One's own half-filled form. Raises NotFound where there is none."""
        return self._loop.run(lambda: self._requests.draft(id))

    def keep_draft(self, id: str, data: Any) -> wire.Draft:
        """Keep it in place of the one before; see Requests.keep_draft."""
        return self._loop.run(lambda: self._requests.keep_draft(id, data))

    def delete_draft(self, id: str) -> None:
        """Also where there is none."""
        self._loop.run(lambda: self._requests.delete_draft(id))

    def list(
        self,
        *,
        status: Status | str | None = None,
        reached: str | None = None,
        tag: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> wire.AskedPage:
        """A page of what this client has asked; see Requests.list."""
        return self._loop.run(
            lambda: self._requests.list(
                status=status, reached=reached, tag=tag, limit=limit, cursor=cursor
            )
        )

    def timeline(self, id: str, *, limit: int = 200, cursor: str | None = None) -> wire.Timeline:
        """Who did what to it, the oldest first; see Requests.timeline."""
        return self._loop.run(lambda: self._requests.timeline(id, limit=limit, cursor=cursor))

    def response(self, id: str) -> wire.Response:
        """The accepted answer; see Requests.response."""
        return self._loop.run(lambda: self._requests.response(id))


class SyncMarks:
    """As Marks."""

    def __init__(self, loop: Loop, px: AsyncPxBox) -> None:
        self._loop = loop
        self._marks = px.marks

    def read(self, id: str) -> wire.InquiryState:
        """Mark it as read."""
        return self._loop.run(lambda: self._marks.read(id))

    def unread(self, id: str) -> wire.InquiryState:
        return self._loop.run(lambda: self._marks.unread(id))

    def snooze(self, id: str, until: datetime | timedelta) -> wire.InquiryState:
        """Out of sight until then, when a reminder comes."""
        return self._loop.run(lambda: self._marks.snooze(id, until))

    def wake(self, id: str) -> wire.InquiryState:
        """Have it in sight again before its time."""
        return self._loop.run(lambda: self._marks.wake(id))

    def delete(self, id: str) -> wire.InquiryState:
        """Throw it out of the inbox, until it is restored."""
        return self._loop.run(lambda: self._marks.delete(id))

    def restore(self, id: str) -> wire.InquiryState:
        return self._loop.run(lambda: self._marks.restore(id))

    def update(
        self, action: Action, ids: Sequence[str], until: datetime | timedelta | None = None
    ) -> wire.InquiriesUpdated:
        """Do the same to up to 1,000; see Marks.update."""
        return self._loop.run(lambda: self._marks.update(action, ids, until))


class SyncEntities:
    """As Entities."""

    def __init__(self, loop: Loop, px: AsyncPxBox) -> None:
        self._loop = loop
        self._entities = px.entities

    def create(
        self,
        kind: EntityKind | str,
        handle: str,
        *,
        aliases: Sequence[str] = (),
        meta: Mapping[str, Any] | None = None,
    ) -> wire.EntityCreated:
        """Make one of kind `user`, `bot`, `group` or `role`. Raises Conflict."""
        return self._loop.run(
            lambda: self._entities.create(kind, handle, aliases=aliases, meta=meta)
        )

    def get(self, address: str) -> wire.EntityView:
        """The entity with its members. Raises NotFound."""
        return self._loop.run(lambda: self._entities.get(address))

    def add_member(self, group: str, member: str) -> wire.Membership:
        """Have a user or bot be a member of a group or role; also if it is one already."""
        return self._loop.run(lambda: self._entities.add_member(group, member))

    def remove_member(self, group: str, member: str) -> wire.Membership:
        """Have it be a member no more; also if it is none."""
        return self._loop.run(lambda: self._entities.remove_member(group, member))


class SyncStream:
    """As EventStream."""

    def __init__(self, loop: Loop, stream: EventStream) -> None:
        self._loop = loop
        self._stream = stream

    def __iter__(self) -> Iterator[Event | Gap]:
        return self

    def __next__(self) -> Event | Gap:
        return self._loop.run(self._stream.__anext__)

    @property
    def channel(self) -> str:
        return self._stream.channel

    def ack(self, item: Event | Gap) -> None:
        """Everything up to this one was dealt with."""

        async def acknowledge() -> None:
            self._stream.ack(item)

        self._loop.run(acknowledge)


class SyncInbox:
    """As Inbox."""

    def __init__(self, loop: Loop, inbox: Inbox) -> None:
        self._loop = loop
        self._inbox = inbox

    def __iter__(self) -> Iterator[Change]:
        return self

    def __next__(self) -> Change:
        return self._loop.run(self._inbox.__anext__)

    @property
    def items(self) -> list[wire.Inquiry]:
        """The list now, earliest deadline first, then the oldest."""

        async def read() -> list[wire.Inquiry]:
            return self._inbox.items

        return self._loop.run(read)


class PxBox:
    """As AsyncPxBox; use it by `with`."""

    requests: SyncRequests
    entities: SyncEntities
    flows: SyncFlows
    marks: SyncMarks
    files: SyncFiles

    def __init__(
        self, url: str = DEFAULT_URL, token: Token = "", *, patience: float = PATIENCE_SECONDS
    ) -> None:
        self._px = AsyncPxBox(url, token, patience=patience)
        self._stack = ExitStack()

    @classmethod
    def from_environment(cls, *, patience: float = PATIENCE_SECONDS) -> Self:
        """The client that PXBOX_URL and PXBOX_TOKEN describe. Raises AuthError without a token."""
        made = cls()
        made._px = AsyncPxBox.from_environment(patience=patience)
        return made

    def __enter__(self) -> Self:
        import asyncio

        # The loop is named, so that a process whose asyncio was changed, such as by trio-asyncio,
        # makes no difference.
        options = {"loop_factory": asyncio.SelectorEventLoop}
        portal = self._stack.enter_context(start_blocking_portal("asyncio", options))
        self._stack.enter_context(portal.wrap_async_context_manager(self._px))
        self._loop = Loop(portal)
        self.requests = SyncRequests(self._loop, self._px)
        self.entities = SyncEntities(self._loop, self._px)
        self.flows = SyncFlows(self._loop, self._px)
        self.marks = SyncMarks(self._loop, self._px)
        self.files = SyncFiles(self._loop, self._px)
        return self

    def __exit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.__exit__(type, error, traceback)

    @overload
    def ask(self, schema: type[T], *, to: Addressees, **details: Unpack[Details]) -> T: ...
    @overload
    def ask(
        self, schema: Mapping[str, Any] | bool, *, to: Addressees, **details: Unpack[Details]
    ) -> Any: ...
    def ask(self, schema: AsSchema, *, to: Addressees, **details: Unpack[Details]) -> Any:
        """Ask, wait, and return the answer as a value of what was asked for."""
        return self._loop.run(lambda: self._px.ask(schema, to=to, **details))

    @contextmanager
    def events(
        self, channel: str, *, since: Position | int | None = None, session: str | None = None
    ) -> Iterator[SyncStream]:
        """Watch a channel; see AsyncPxBox.events."""

        async def opened() -> EventStream:
            return await self._px.events(channel, since=since, session=session).__aenter__()

        stream = self._loop.run(opened)
        try:
            yield SyncStream(self._loop, stream)
        finally:
            self._loop.run(lambda: stream.__aexit__(None, None, None))

    @contextmanager
    def inbox(self, entity: str) -> Iterator[SyncInbox]:
        """What is open and addressed to an entity of the caller's, kept right by itself."""

        async def opened() -> Inbox:
            return await self._px.inbox(entity).__aenter__()

        inbox = self._loop.run(opened)
        try:
            yield SyncInbox(self._loop, inbox)
        finally:
            self._loop.run(lambda: inbox.__aexit__(None, None, None))

    def inquiries(
        self,
        *,
        entity: str | None = None,
        status: Status | str | None = None,
        section: str | None = None,
        unread: bool | None = None,
        snoozed: bool = False,
        include_deleted: bool = False,
        requestor: str | None = None,
        tag: str | None = None,
        q: str | None = None,
        due_before: datetime | None = None,
        due_after: datetime | None = None,
        flow_id: str | None = None,
        sort_by: str = "deadline",
        limit: int = 50,
        cursor: str | None = None,
    ) -> wire.InquiryPage:
        """A page of what is addressed to the caller's entities; see AsyncPxBox.inquiries."""
        return self._loop.run(
            lambda: self._px.inquiries(
                entity=entity, status=status, section=section, unread=unread, snoozed=snoozed,
                include_deleted=include_deleted, requestor=requestor, tag=tag, q=q,
                due_before=due_before, due_after=due_after, flow_id=flow_id, sort_by=sort_by,
                limit=limit, cursor=cursor,
            )
        )  # fmt: skip

    def queue(self, entity: str, *, limit: int = 50, cursor: str | None = None) -> wire.RequestPage:
        """A page of what is PENDING for that entity itself, oldest deadline first."""
        return self._loop.run(lambda: self._px.queue(entity, limit=limit, cursor=cursor))

    def validate(self, schema: Mapping[str, Any], data: Any = msgspec.UNSET) -> wire.Validated:
        """Check a schema, and data against it. Nothing is created."""
        return self._loop.run(lambda: self._px.validate(schema, data))

    def call(
        self, op: str, input: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> Any:
        """Any operation by its name in the contract, with its input and reply as on the wire."""
        return self._loop.run(lambda: self._px.call(op, input, idempotency_key=idempotency_key))
