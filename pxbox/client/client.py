"""`AsyncPxBox`: everything that a program can do with a broker, on trio and on asyncio."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack, overload

import anyio
import msgspec

from pxbox.client.entities import Entities
from pxbox.client.errors import AuthError
from pxbox.client.events import Position
from pxbox.client.files import Files
from pxbox.client.flows import Flows
from pxbox.client.inbox import Inbox
from pxbox.client.link import Link, Token
from pxbox.client.marks import Marks
from pxbox.client.requests import Addressees, AsSchema, Details, Requests
from pxbox.client.schemas import to_json
from pxbox.client.stream import EventStream
from pxbox.client.times import aware
from pxbox.client.waits import Waits
from pxbox.model import wire
from pxbox.model.ids import as_uuid
from pxbox.model.request import Status

T = TypeVar("T")

DEFAULT_URL = "http://127.0.0.1:8080"
PATIENCE_SECONDS = 30.0


class AsyncPxBox:
    """A client of one broker, or of several behind one URL; use it by `async with`.

    `token` is a JWT, or a function, sync or async, that gives the one to use now. `patience` is
    for how many seconds a call is repeated while the broker cannot be reached or has no room;
    waiting for answers and watching channels go on for ever.
    """

    def __init__(
        self, url: str = DEFAULT_URL, token: Token = "", *, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.link = Link(url, token, patience)
        self.requests = Requests(self)
        self.entities = Entities(self)
        self.flows = Flows(self)
        self.marks = Marks(self)
        self.files = Files(self)
        self.waits = Waits(self)

    @classmethod
    def from_environment(cls, *, patience: float = PATIENCE_SECONDS) -> Self:
        """The client that PXBOX_URL and PXBOX_TOKEN describe. Raises AuthError without a token."""
        token = os.environ.get("PXBOX_TOKEN", "")
        if not token:
            raise AuthError("set PXBOX_TOKEN to a token", code="unauthenticated")
        return cls(os.environ.get("PXBOX_URL") or DEFAULT_URL, token, patience=patience)

    async def __aenter__(self) -> Self:
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        await self.link.open(self._group)
        return self

    async def __aexit__(
        self,
        type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._group.cancel_scope.cancel()
        try:
            # What the block raised is not for the group, which would wrap it.
            await self._group.__aexit__(None, None, None)
        finally:
            await self.link.aclose()

    @overload
    async def ask(
        self,
        schema: type[T],
        *,
        to: Addressees,
        cancel_on_exit: bool = False,
        **details: Unpack[Details],
    ) -> T: ...
    @overload
    async def ask(
        self,
        schema: Mapping[str, Any] | bool,
        *,
        to: Addressees,
        cancel_on_exit: bool = False,
        **details: Unpack[Details],
    ) -> Any: ...
    async def ask(
        self,
        schema: AsSchema,
        *,
        to: Addressees,
        cancel_on_exit: bool = False,
        **details: Unpack[Details],
    ) -> Any:
        """Ask, wait, and return the answer as a value of what was asked for; see `Details`.

        With a `key` the question is asked once: a program that starts again waits for the same
        request. Raises Declined, Cancelled or Expired. Being cancelled leaves the request open,
        unless `cancel_on_exit`.
        """
        handle = await self.requests.create(schema, to=to, **details)
        try:
            return (await handle.wait()).data
        except anyio.get_cancelled_exc_class():
            if cancel_on_exit:
                with anyio.CancelScope(shield=True), anyio.move_on_after(self.link.patience):
                    await handle.cancel()
            raise

    def events(
        self, channel: str, *, since: Position | int | None = None, session: str | None = None
    ) -> EventStream:
        """Watch a channel: `request:<id>`, `requestor:<sub>`, or `entity:<address>`.

        It begins after `since`, a Position or a number (0: everything that is kept); without it,
        after what `session` has acknowledged last; without that, now.
        """
        return EventStream(self, channel, since, session)

    def inbox(self, entity: str) -> Inbox:
        """What is open and addressed to an entity of the caller's, kept right by itself."""
        return Inbox(self, entity)

    async def inquiries(
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
        """A page of what is addressed to the caller's entities, and where their channels stood.

        `entity` is any address of one of them, and leaves out the others, its groups too. `q` looks
        into titles, descriptions and meta. `section` is `attention`, `dueSoon` or `pending`;
        `snoozed` lists just that. `sort_by` is `deadline`, `attention` or `created`.
        """
        input = {
            "entityId": None if entity is None else await self.entity_id(entity),
            "status": None if status is None else str(status),
            "section": section, "unread": unread, "snoozed": snoozed or None,
            "includeDeleted": include_deleted or None, "requestor": requestor, "tag": tag, "q": q,
            "dueBefore": aware(due_before), "dueAfter": aware(due_after), "flowId": flow_id,
            "sortBy": sort_by, "limit": limit, "cursor": cursor,
        }  # fmt: skip
        given = {name: value for name, value in input.items() if value is not None}
        return await self.carry_out("listInquiries", given, wire.InquiryPage)

    async def queue(
        self, entity: str, *, limit: int = 50, cursor: str | None = None
    ) -> wire.RequestPage:
        """A page of what is PENDING for that entity itself, oldest deadline first."""
        input = {"id": entity, "limit": limit, "cursor": cursor}
        given = {name: value for name, value in input.items() if value is not None}
        return await self.carry_out("listQueue", given, wire.RequestPage)

    async def validate(
        self, schema: Mapping[str, Any], data: Any = msgspec.UNSET
    ) -> wire.Validated:
        """Check a schema, and data against it. Nothing is created."""
        input: dict[str, Any] = {"schema": schema}
        if data is not msgspec.UNSET:
            input["data"] = to_json(data)
        return await self.carry_out("validate", input, wire.Validated)

    async def call(
        self, op: str, input: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> Any:
        """Any operation by its name in the contract, with its input and reply as on the wire."""
        return msgspec.json.decode(await self.link.call(op, input or {}, idempotency_key))

    async def entity_id(self, address: str) -> str:
        """The id of the entity with this address. Raises NotFound."""
        return as_uuid(address) or (await self.entities.get(address)).id

    async def carry_out(
        self, op: str, input: Mapping[str, Any], reply: type[T], key: str | None = None
    ) -> T:
        """An operation whose reply is read as `reply`."""
        return msgspec.json.decode(await self.link.call(op, input, key), type=reply)
