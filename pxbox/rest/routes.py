"""Every route: method, path, operation, and what is special about its reply.

The Quart routes are made from this table, and the tests hold it to `schemas/openapi.json`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import msgspec
import trio

from pxbox.model import wire
from pxbox.model.errors import NotAnswered
from pxbox.model.principal import Principal
from pxbox.model.wire import flows as flow_wire
from pxbox.rest.call import (
    RestCall,
    RestReply,
    http_date,
    read_input,
    read_query,
    refuse_body,
    reply_json,
)  # fmt: skip
from pxbox.service import flows, operations, requests
from pxbox.service.core import Outcome, Parts


@dataclass(frozen=True, slots=True)
class Version:
    """A reply's ETag, and when it was last modified as an HTTP date."""

    etag: str
    modified: str | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """`version` is there where a reply can be polled for, and `channel` then tells of news of the
    thing with this id; `location` is there where one creates; `by_query`: the input of one that is
    no GET is its query too, and it takes no body."""

    method: str
    path: str
    operation: str
    status: int = 200
    version: Callable[[msgspec.Struct], Version] | None = None
    location: str | None = None
    channel: Callable[[str], str] = requests.channel
    by_query: bool = False


def _request_version(reply: msgspec.Struct) -> Version:
    assert isinstance(reply, wire.RequestDetail)
    return Version(f'"v{reply.version}"', http_date(reply.updated_at))


def _response_version(reply: msgspec.Struct) -> Version:
    assert isinstance(reply, wire.Response)
    return Version(f'"{reply.id}"', http_date(reply.answered_at))


def _events_version(reply: msgspec.Struct) -> Version:
    assert isinstance(reply, wire.EventPage)
    return Version(f'"{reply.epoch}-{reply.head}"')


def _flow_version(reply: msgspec.Struct) -> Version:
    assert isinstance(reply, flow_wire.FlowDetail)
    return Version(f'"r{reply.revision}-{reply.wake}-{reply.status}"', http_date(reply.updated_at))


ROUTES = (
    Route("POST", "/v1/requests", "createRequest", 201, location="/v1/requests/"),
    Route("GET", "/v1/requests", "listRequests"),
    Route("POST", "/v1/requests/bulk", "bulkCreateRequests"),
    Route("GET", "/v1/requests/{id}", "getRequest", version=_request_version),
    Route("POST", "/v1/requests/{id}/claim", "claimRequest"),
    Route("POST", "/v1/requests/{id}/release", "releaseRequest"),
    Route("POST", "/v1/requests/{id}/response", "postResponse"),
    Route("POST", "/v1/requests/{id}/decline", "declineRequest"),
    Route("POST", "/v1/requests/{id}/cancel", "cancelRequest"),
    Route("POST", "/v1/inquiries/{id}/cancel", "cancelRequest"),
    Route("POST", "/v1/requests/{id}/reassign", "reassignRequest"),
    Route("POST", "/v1/requests/{id}/delegate", "delegateRequest"),
    Route("PUT", "/v1/requests/{id}/draft", "putDraft"),
    Route("GET", "/v1/requests/{id}/draft", "getDraft"),
    Route("DELETE", "/v1/requests/{id}/draft", "deleteDraft"),
    Route("GET", "/v1/requests/{id}/response", "getResponse", version=_response_version),
    Route("GET", "/v1/requests/{id}/events", "listRequestEvents", version=_events_version),
    Route("GET", "/v1/requests/{id}/timeline", "getRequestTimeline"),
    Route("POST", "/v1/validate", "validate"),
    Route("PUT", "/v1/schemas/{name}", "putSchema", 201),
    Route("GET", "/v1/schemas/{name}", "getSchema"),
    Route("POST", "/v1/entities", "createEntity", 201, location="/v1/entities/"),
    Route("GET", "/v1/entities/{id}", "getEntity"),
    Route("PUT", "/v1/entities/{id}/members/{member}", "addMember"),
    Route("DELETE", "/v1/entities/{id}/members/{member}", "removeMember"),
    Route("GET", "/v1/entities/{id}/queue", "listQueue"),
    Route("POST", "/v1/entities/{id}/erase", "eraseEntity"),
    Route("GET", "/v1/export", "exportRequests"),
    Route("POST", "/v1/retention", "runRetention"),
    Route("GET", "/v1/entities/{id}/timeline", "getEntityTimeline"),
    Route("GET", "/v1/inquiries", "listInquiries"),
    Route("POST", "/v1/inquiries/bulk", "updateInquiries"),
    Route("POST", "/v1/inquiries/{id}/markRead", "markRead"),
    Route("POST", "/v1/inquiries/{id}/markUnread", "markUnread"),
    Route("POST", "/v1/inquiries/{id}/snooze", "snooze"),
    Route("POST", "/v1/inquiries/{id}/wake", "wake"),
    Route("DELETE", "/v1/inquiries/{id}", "deleteInquiry"),
    Route("POST", "/v1/inquiries/{id}/restore", "restoreInquiry"),
    Route("POST", "/v1/flows", "createFlow", 201, location="/v1/flows/"),
    Route("GET", "/v1/flows", "listFlows"),
    Route("GET", "/v1/flows/{id}", "getFlow", version=_flow_version, channel=flows.channel),
    Route("POST", "/v1/flows/{id}/resume", "resumeFlow"),
    Route("POST", "/v1/flows/{id}/signal", "signalFlow"),
    Route("POST", "/v1/flows/{id}/cancel", "cancelFlow"),
    Route("POST", "/v1/flows/{id}/retry", "retryFlow"),
    Route("POST", "/v1/flows/{id}/checkpoint", "checkpointFlow"),
    Route("GET", "/v1/flows/{id}/timeline", "getFlowTimeline"),
    Route("GET", "/v1/flows/{id}/history", "getFlowHistory"),
    Route("POST", "/v1/workers", "openSession", 201, location="/v1/workers/"),
    Route("POST", "/v1/workers/{id}/renew", "renewSession"),
    Route("POST", "/v1/workers/{id}/close", "closeSession"),
    Route("POST", "/v1/workers/{id}/lease", "leaseFlows"),
    Route("POST", "/v1/workers/{id}/handBack", "handBack"),
    Route("POST", "/v1/files/sign", "signFile", 201, by_query=True),
    Route("GET", "/v1/files/{id}", "getFile"),
    Route("POST", "/v1/ws/ticket", "createTicket", 201),
)


def _matching(path: str) -> str:
    return re.sub(r"\\\{[a-z]+\\\}", "[^/]+", re.escape(path))


_CARRYING = "|".join(
    _matching(route.path) for route in ROUTES if operations.find_for_rest(route.operation).large
)
_CARRIES = re.compile(rf"(?:https?://[^/]*)?(?:{_CARRYING})(?:\?.*)?".encode(), re.DOTALL)


_UPLOADS = re.compile(rb"(?:https?://[^/]*)?/v1/files/[^/?]+/(content|tus)(?:\?.*)?", re.DOTALL)
_UPLOADING = {b"content": {b"PUT"}, b"tus": {b"PATCH", b"POST"}}


def carries_file(method: bytes, target: bytes) -> bool:
    """Whether this request is to have a file as its body."""
    match = _UPLOADS.fullmatch(target)
    return match is not None and method in _UPLOADING[match[1]]


def carries_payload(method: bytes, target: bytes) -> bool:
    """Whether this request is to have a body that carries a response or a prefill."""
    return method == b"POST" and _CARRIES.fullmatch(target) is not None


async def serve(parts: Parts, principal: Principal, route: Route, call: RestCall) -> RestReply:
    """Serve one call of a route. Raises PxErrors."""
    operation = operations.find_for_rest(route.operation)
    if route.method == "GET":
        input = read_query(call, operation.input)

        async def read() -> Outcome:
            return await operations.perform(parts, principal, operation, input)

        if route.version is None:
            return reply_json(200, (await read()).reply)
        return await _poll(parts, route, call, read)
    if route.by_query:
        refuse_body(call)
        input = read_query(call, operation.input)
    else:
        input = read_input(call, operation.input, operation.large)
    key = call.headers.get("idempotency-key")
    outcome = await operations.perform(parts, principal, operation, input, key)
    status = 200 if outcome.existing else route.status
    return reply_json(status, outcome.reply, _headers(route, outcome))


def _headers(route: Route, outcome: Outcome) -> dict[str, str]:
    headers = {"idempotent-replayed": "true"} if outcome.replayed else {}
    if route.location is not None:
        named = msgspec.json.decode(msgspec.json.encode(outcome.reply), type=_Named)
        headers["location"] = route.location + named.id
    return headers


class _Named(msgspec.Struct):
    id: str


async def _poll(
    parts: Parts,
    route: Route,
    call: RestCall,
    read: Callable[[], Awaitable[Outcome]],
) -> RestReply:
    """Reply with what is so now; or, where the caller has that and would wait, with what comes
    next."""
    version = route.version
    assert version is not None
    headers = {"cache-control": "private, no-cache"}
    found = await _look(read)
    if call.wait_seconds and not _is_news(found, version, call):
        headers["preference-applied"] = f"wait={call.wait_seconds:.0f}"
        found = await _await_news(parts, route, call, read) or await _look(read)
    if isinstance(found, NotAnswered):
        raise found
    is_now = version(found)
    headers["etag"] = is_now.etag
    if is_now.modified is not None:
        headers["last-modified"] = is_now.modified
    if call.matches(is_now.etag):
        return RestReply(304, b"", headers)
    return reply_json(200, found, headers)


async def _look(read: Callable[[], Awaitable[Outcome]]) -> msgspec.Struct | NotAnswered:
    try:
        reply = (await read()).reply
    except NotAnswered as error:
        return error
    assert isinstance(reply, msgspec.Struct)
    return reply


async def _await_news(
    parts: Parts,
    route: Route,
    call: RestCall,
    read: Callable[[], Awaitable[Outcome]],
) -> msgspec.Struct | None:
    version, channel = route.version, route.channel(call.path["id"])
    assert version is not None
    with trio.move_on_after(call.wait_seconds):
        while not parts.channels.draining:
            async with parts.channels.news(channel) as came:
                found = await _look(read)
                if not isinstance(found, NotAnswered) and _is_news(found, version, call):
                    return found
                await came.wait()
    return None


def _is_news(
    found: msgspec.Struct | NotAnswered,
    version: Callable[[msgspec.Struct], Version],
    call: RestCall,
) -> bool:
    if isinstance(found, NotAnswered):
        return False
    if isinstance(found, wire.EventPage) and not found.items:
        return False
    return not call.matches(version(found).etag)
