"""Requests: asking, and what responders do with them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, Unpack, overload

import anyio
import msgspec

from pxbox.client.errors import Cancelled, Conflict, Declined, Expired, NoAnswer, NotFound
from pxbox.client.schemas import Shape, shape_of, to_json
from pxbox.client.times import aware, deadline_of
from pxbox.model import wire
from pxbox.model.request import OPEN, Status

if TYPE_CHECKING:
    from pxbox.client.client import AsyncPxBox

T = TypeVar("T")

Addressees = str | Sequence[str]
AsSchema = type[Any] | Mapping[str, Any] | bool


class Details(TypedDict, total=False):
    """What can be said of a question beside its schema and its addressees.

    `title` is what lists show, in place of the schema's own. `deadline`, a moment or how long from
    now, closes the request; `attention` only signals.
    `prefill` and `ui_hints` are for the form. `claim_ttl` is in seconds. `key` names the question:
    whoever asks again with the same key and the same question within 24 hours, be it after a
    restart, gets the request that is there; another question with it is a Conflict. `subject` is
    what it is about: while a request with it is open, that one is returned. `why` and `context` are
    for the responder, Markdown; `escalate` has steps as in the contract; `default_answer` stands at
    the deadline. `files_policy` says which files an answer may refer to.
    """

    title: str | None
    deadline: datetime | timedelta | None
    attention: datetime | None
    prefill: Any
    ui_hints: Mapping[str, Any] | None
    claim_ttl: int | None
    claim_required: bool
    meta: Mapping[str, Any] | None
    key: str | None
    why: str | None
    context: str | None
    tags: Sequence[str] | None
    subject: str | None
    no_self_answer: bool | None
    escalate: Sequence[Mapping[str, Any]] | None
    default_answer: Any
    files_policy: Mapping[str, Any] | None


class Answer(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """An accepted answer; it never changes. `data` is of the type that was asked for.

    `answered_by` is an entity; None for the default answer, which stands at the deadline.
    """

    data: T
    request_id: str
    response_id: str
    answered_by: str | None
    answered_at: datetime


class RequestHandle(Generic[T]):
    """One request that was made or found. `request` is how it was when that was last looked at."""

    def __init__(
        self, px: AsyncPxBox, request: wire.RequestSummary, shape: Shape[T] | None = None
    ) -> None:
        self._px = px
        self._shape: Shape[T] = shape or shape_of(True)
        self.request = request

    @property
    def id(self) -> str:
        return self.request.id

    @property
    def status(self) -> Status:
        return self.request.status

    async def refresh(self) -> Status:
        """Look again."""
        self.request = await self._px.requests.get(self.id)
        return self.status

    async def wait(self, timeout: float | None = None) -> Answer[T]:
        """The answer, once there is one.

        Raises Declined, Cancelled or Expired where there will be none, and TimeoutError after
        `timeout` seconds. Being cancelled, or timed out, leaves the request as it is: wait again,
        here or in another process.
        """
        with anyio.fail_after(timeout):
            return await self._px.waits.answer(self)

    async def cancel(self, reason: str | None = None) -> None:
        """Withdraw the request. Raises Conflict where it was closed before."""
        self.request = await self._px.requests.cancel(self.id, reason)

    def read(self, response: wire.Response) -> Answer[T]:
        """A response as the type that was asked for. Raises ValidationFailed."""
        return Answer(
            data=self._shape.read(bytes(response.payload)),
            request_id=response.request_id,
            response_id=response.response_id,
            answered_by=response.answered_by,
            answered_at=response.answered_at,
        )


class Requests:
    """Every operation on requests. Those that name an `id` take the request's."""

    def __init__(self, px: AsyncPxBox) -> None:
        self._px = px

    @overload
    async def create(
        self, schema: type[T], *, to: Addressees, **details: Unpack[Details]
    ) -> RequestHandle[T]: ...
    @overload
    async def create(
        self, schema: Mapping[str, Any] | bool, *, to: Addressees, **details: Unpack[Details]
    ) -> RequestHandle[Any]: ...
    async def create(
        self, schema: AsSchema, *, to: Addressees, **details: Unpack[Details]
    ) -> RequestHandle[Any]:
        """Ask for data of this shape; see `Details` for what else can be said."""
        shape = shape_of(schema)
        key = details.get("key")
        created = await self._px.carry_out(
            "createRequest",
            question(shape, to, details),
            wire.RequestCreated,
            None if key is None else f"ask:{hashlib.sha256(key.encode()).hexdigest()}",
        )
        return RequestHandle(self._px, created, shape)

    @overload
    async def attach(self, id: str) -> RequestHandle[Any]: ...
    @overload
    async def attach(self, id: str, schema: type[T]) -> RequestHandle[T]: ...
    async def attach(self, id: str, schema: AsSchema | None = None) -> RequestHandle[Any]:
        """A handle on a request that is there. Raises NotFound."""
        shape = None if schema is None else shape_of(schema)
        return RequestHandle(self._px, await self.get(id), shape)

    async def get(self, id: str) -> wire.RequestDetail:
        """The request as it is now, with its schema. Raises NotFound."""
        return await self._px.carry_out("getRequest", {"id": id}, wire.RequestDetail)

    async def claim(self, id: str) -> wire.RequestSummary:
        """Take it: nobody else may answer until the lease ends. Raises Conflict."""
        return await self._px.carry_out("claimRequest", {"id": id}, wire.RequestSummary)

    async def release(self, id: str) -> wire.RequestSummary:
        """Give a claim back. Raises Conflict."""
        return await self._px.carry_out("releaseRequest", {"id": id}, wire.RequestSummary)

    async def answer(
        self, id: str, data: Any, *, files: Sequence[str] = (), key: str | None = None
    ) -> wire.Response:
        """Answer it; `files` are ids of such as were uploaded and are not in `data`.

        Raises ValidationFailed with every error, and Conflict.
        """
        input = {"id": id, "payload": to_json(data)}
        if files:
            input["files"] = list(files)
        return await self._px.carry_out("postResponse", input, wire.Response, key)

    async def decline(self, id: str, reason: str | None = None) -> wire.RequestSummary:
        """Say that no answer will come from here. Raises Conflict."""
        input = {"id": id, "reason": reason}
        return await self._px.carry_out("declineRequest", input, wire.RequestSummary)

    async def cancel(self, id: str, reason: str | None = None) -> wire.RequestSummary:
        """Withdraw a request of one's own. Raises Conflict where it was closed before."""
        input = {"id": id, "reason": reason}
        return await self._px.carry_out("cancelRequest", input, wire.RequestSummary)

    async def reassign(
        self, id: str, to: Addressees, reason: str | None = None
    ) -> wire.RequestSummary:
        """Have others asked instead of all who were. Raises Forbidden and Conflict."""
        input = {"id": id, "to": to if isinstance(to, str) else list(to), "reason": reason}
        return await self._px.carry_out("reassignRequest", input, wire.RequestSummary)

    async def delegate(self, id: str, to: str, reason: str | None = None) -> wire.RequestSummary:
        """Have another hold the claim. Raises Forbidden and Conflict."""
        input = {"id": id, "to": to, "reason": reason}
        return await self._px.carry_out("delegateRequest", input, wire.RequestSummary)

    async def draft(self, id: str) -> wire.Draft:
        """One's own half-filled form. Raises NotFound where there is none."""
        return await self._px.carry_out("getDraft", {"id": id}, wire.Draft)

    async def keep_draft(self, id: str, data: Any) -> wire.Draft:
        """Keep it in place of the one before; it renews one's claim, and goes with the answer."""
        input = {"id": id, "payload": to_json(data)}
        return await self._px.carry_out("putDraft", input, wire.Draft)

    async def delete_draft(self, id: str) -> None:
        """Also where there is none."""
        await self._px.carry_out("deleteDraft", {"id": id}, wire.DraftDeleted)

    async def list(
        self,
        *,
        status: Status | str | None = None,
        reached: str | None = None,
        tag: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> wire.AskedPage:
        """A page of what this client has asked, the newest first. `reached` is `none` (of those who
        are asked, nobody), `notified`, `seen` or `opened`."""
        input = {
            "status": None if status is None else str(status), "reached": reached, "tag": tag,
            "limit": limit, "cursor": cursor,
        }  # fmt: skip
        given = {name: value for name, value in input.items() if value is not None}
        return await self._px.carry_out("listRequests", given, wire.AskedPage)

    async def timeline(
        self, id: str, *, limit: int = 200, cursor: str | None = None
    ) -> wire.Timeline:
        """Who did what to it, the oldest first: of one's own, or with scope `audit` of any."""
        input = {"id": id, "limit": limit, "cursor": cursor}
        given = {name: value for name, value in input.items() if value is not None}
        return await self._px.carry_out("getRequestTimeline", given, wire.Timeline)

    async def response(self, id: str) -> wire.Response:
        """The accepted answer. Raises NotFound while there is none (`not_answered`), and Declined,
        Cancelled or Expired where there will be none."""
        try:
            return await self._px.carry_out("getResponse", {"id": id}, wire.Response)
        except Conflict as error:
            if error.code != "no_response":
                raise
        raise no_answer(await self.get(id))


def question(shape: Shape[Any], to: Addressees, details: Details) -> dict[str, Any]:
    """The input of createRequest."""
    prefill, default = details.get("prefill"), details.get("default_answer")
    title = details.get("title")
    input: dict[str, Any] = {
        "schema": shape.schema if title is None else _titled(shape.schema, title),
        "to": to if isinstance(to, str) else list(to),
        **deadline_of(details.get("deadline")),
        "attentionAt": aware(details.get("attention")),
        "prefill": None if prefill is None else to_json(prefill),
        "uiHints": details.get("ui_hints"),
        "claimTtl": details.get("claim_ttl"),
        "claimRequired": details.get("claim_required"),
        "meta": details.get("meta"),
        "why": details.get("why"),
        "context": details.get("context"),
        "tags": details.get("tags"),
        "subjectKey": details.get("subject"),
        "noSelfAnswer": details.get("no_self_answer"),
        "escalate": details.get("escalate"),
        "filesPolicy": details.get("files_policy"),
        "defaultAnswer": None if default is None else to_json(default),
    }
    return {name: value for name, value in input.items() if value is not None}


def _titled(schema: Mapping[str, Any] | bool, title: str) -> dict[str, Any]:
    """The schema with this title. `true` is the schema `{}`, and `false` one that lets nothing
    pass."""
    if isinstance(schema, bool):
        return {"title": title} if schema else {"title": title, "not": {}}
    return {**schema, "title": title}


_OUTCOMES: dict[Status, tuple[type[NoAnswer], str]] = {
    Status.DECLINED: (Declined, "declined"),
    Status.CANCELLED: (Cancelled, "cancelled"),
    Status.EXPIRED: (Expired, "not answered before its deadline"),
}


def no_answer(request: wire.RequestSummary) -> NoAnswer:
    """How a request ended that has no answer."""
    kind, how = _OUTCOMES[request.status]
    because = f": {request.reason}" if request.reason else ""
    return kind(
        f"request {request.id} was {how}{because}", request_id=request.id, reason=request.reason
    )


def is_open(request: wire.RequestSummary) -> bool:
    return request.status in OPEN


__all__ = ["Addressees", "Answer", "AsSchema", "NotFound", "RequestHandle", "Requests"]
