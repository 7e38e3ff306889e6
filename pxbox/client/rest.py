"""The same operations over REST, for where no WebSocket is to be had.

The table is that of `schemas/openapi.json`; the tests hold it to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import msgspec

from pxbox.client.errors import NotSupported
from pxbox.client.retry import judge

ROUTES: dict[str, tuple[str, str]] = {
    "createRequest": ("POST", "/v1/requests"),
    "listRequests": ("GET", "/v1/requests"),
    "bulkCreateRequests": ("POST", "/v1/requests/bulk"),
    "getRequest": ("GET", "/v1/requests/{id}"),
    "claimRequest": ("POST", "/v1/requests/{id}/claim"),
    "releaseRequest": ("POST", "/v1/requests/{id}/release"),
    "postResponse": ("POST", "/v1/requests/{id}/response"),
    "getResponse": ("GET", "/v1/requests/{id}/response"),
    "declineRequest": ("POST", "/v1/requests/{id}/decline"),
    "cancelRequest": ("POST", "/v1/requests/{id}/cancel"),
    "listRequestEvents": ("GET", "/v1/requests/{id}/events"),
    "getRequestTimeline": ("GET", "/v1/requests/{id}/timeline"),
    "validate": ("POST", "/v1/validate"),
    "createEntity": ("POST", "/v1/entities"),
    "getEntity": ("GET", "/v1/entities/{id}"),
    "addMember": ("PUT", "/v1/entities/{id}/members/{member}"),
    "removeMember": ("DELETE", "/v1/entities/{id}/members/{member}"),
    "listQueue": ("GET", "/v1/entities/{id}/queue"),
    "eraseEntity": ("POST", "/v1/entities/{id}/erase"),
    "exportRequests": ("GET", "/v1/export"),
    "runRetention": ("POST", "/v1/retention"),
    "getEntityTimeline": ("GET", "/v1/entities/{id}/timeline"),
    "listInquiries": ("GET", "/v1/inquiries"),
    "markRead": ("POST", "/v1/inquiries/{id}/markRead"),
    "markUnread": ("POST", "/v1/inquiries/{id}/markUnread"),
    "snooze": ("POST", "/v1/inquiries/{id}/snooze"),
    "wake": ("POST", "/v1/inquiries/{id}/wake"),
    "restoreInquiry": ("POST", "/v1/inquiries/{id}/restore"),
    "deleteInquiry": ("DELETE", "/v1/inquiries/{id}"),
    "updateInquiries": ("POST", "/v1/inquiries/bulk"),
    "reassignRequest": ("POST", "/v1/requests/{id}/reassign"),
    "delegateRequest": ("POST", "/v1/requests/{id}/delegate"),
    "putDraft": ("PUT", "/v1/requests/{id}/draft"),
    "getDraft": ("GET", "/v1/requests/{id}/draft"),
    "deleteDraft": ("DELETE", "/v1/requests/{id}/draft"),
    "createFlow": ("POST", "/v1/flows"),
    "listFlows": ("GET", "/v1/flows"),
    "getFlow": ("GET", "/v1/flows/{id}"),
    "resumeFlow": ("POST", "/v1/flows/{id}/resume"),
    "cancelFlow": ("POST", "/v1/flows/{id}/cancel"),
    "checkpointFlow": ("POST", "/v1/flows/{id}/checkpoint"),
    "signalFlow": ("POST", "/v1/flows/{id}/signal"),
    "retryFlow": ("POST", "/v1/flows/{id}/retry"),
    "getFlowTimeline": ("GET", "/v1/flows/{id}/timeline"),
    "getFlowHistory": ("GET", "/v1/flows/{id}/history"),
    "openSession": ("POST", "/v1/workers"),
    "renewSession": ("POST", "/v1/workers/{id}/renew"),
    "closeSession": ("POST", "/v1/workers/{id}/close"),
    "leaseFlows": ("POST", "/v1/workers/{id}/lease"),
    "handBack": ("POST", "/v1/workers/{id}/handBack"),
    "putSchema": ("PUT", "/v1/schemas/{name}"),
    "getSchema": ("GET", "/v1/schemas/{name}"),
    "signFile": ("POST", "/v1/files/sign"),
    "getFile": ("GET", "/v1/files/{id}"),
    "createTicket": ("POST", "/v1/ws/ticket"),
}

BY_QUERY = frozenset({"signFile"})
"""What is no GET and takes its input in the query regardless, without a body."""


@dataclass(frozen=True, slots=True)
class Prefer:
    """A long poll: wait up to `seconds` for news."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `wait_seconds` is how long its answer may take beyond the usual."""

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, str] | None = None
    content: bytes | None = None
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back, from the broker or from what stands between. `headers` have lower-case
    names."""

    status: int
    content_type: str
    body: bytes
    retry_after: str | None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_the_broker(self) -> bool:
        """A refusal of the broker's is a problem document."""
        return self.content_type.startswith("application/problem+json")

    @property
    def problem(self) -> Mapping[str, Any]:
        """The broker's problem document; where a gateway has answered, one that says so."""
        if self.by_the_broker:
            with suppress(msgspec.DecodeError):
                return msgspec.json.decode(self.body, type=dict[str, Any])
        return {
            "status": self.status,
            "detail": f"answered with {self.status}, and not by the broker",
        }


def call_of(op: str, input: bytes, headers: Mapping[str, str], prefer: Prefer | None) -> Call:
    """An operation as an HTTP request; `input` is a JSON object. Raises NotSupported."""
    method, path, members = _place(op, input)
    sent = dict(headers)
    wait = 0.0
    if prefer is not None:
        sent["prefer"] = f"wait={prefer.seconds}"
        wait = prefer.seconds
    if op not in BY_QUERY and (method == "POST" or (method == "PUT" and members)):
        sent["content-type"] = "application/json"
        return Call(method, path, sent, None, msgspec.json.encode(members), wait)
    query = {name: _text(raw) for name, raw in members.items() if bytes(raw) != b"null"}
    return Call(method, path, sent, query, None, wait)


def read_reply(answered: Answered) -> bytes:
    """The reply as JSON. Raises PxBoxErrors, and Transient."""
    if 200 <= answered.status < 300:
        return answered.body
    raise judge(answered.status, answered.problem, answered.retry_after)


def _place(op: str, input: bytes) -> tuple[str, str, dict[str, msgspec.Raw]]:
    route = ROUTES.get(op)
    if route is None:
        raise NotSupported(f"{op} cannot be done over REST", code="unknown_operation")
    method, path = route
    members = msgspec.json.decode(input, type=dict[str, msgspec.Raw])
    for name in [name for name in members if f"{{{name}}}" in path]:
        path = path.replace(f"{{{name}}}", quote(_text(members.pop(name)), safe=""))
    return method, path, members


def _text(raw: msgspec.Raw) -> str:
    """A member as a URL has it: a string without its quotes, anything else as JSON."""
    value: Any = msgspec.json.decode(raw)
    return value if isinstance(value, str) else bytes(raw).decode()
