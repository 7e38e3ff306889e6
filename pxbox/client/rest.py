"""The same operations over REST, for where no WebSocket is to be had.

The table is that of `schemas/openapi.json`; the tests hold it to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from pxbox.client.errors import NotSupported, Unreachable
from pxbox.client.retry import Transient, judge

if TYPE_CHECKING:
    import httpx


ROUTES: dict[str, tuple[str, str]] = {
    "createRequest": ("POST", "/v1/requests"),
    "bulkCreateRequests": ("POST", "/v1/requests/bulk"),
    "getRequest": ("GET", "/v1/requests/{id}"),
    "claimRequest": ("POST", "/v1/requests/{id}/claim"),
    "releaseRequest": ("POST", "/v1/requests/{id}/release"),
    "postResponse": ("POST", "/v1/requests/{id}/response"),
    "getResponse": ("GET", "/v1/requests/{id}/response"),
    "declineRequest": ("POST", "/v1/requests/{id}/decline"),
    "cancelRequest": ("POST", "/v1/requests/{id}/cancel"),
    "listRequestEvents": ("GET", "/v1/requests/{id}/events"),
    "validate": ("POST", "/v1/validate"),
    "createEntity": ("POST", "/v1/entities"),
    "getEntity": ("GET", "/v1/entities/{id}"),
    "addMember": ("PUT", "/v1/entities/{id}/members/{member}"),
    "removeMember": ("DELETE", "/v1/entities/{id}/members/{member}"),
    "listQueue": ("GET", "/v1/entities/{id}/queue"),
    "listInquiries": ("GET", "/v1/inquiries"),
    "markRead": ("POST", "/v1/inquiries/{id}/markRead"),
    "markUnread": ("POST", "/v1/inquiries/{id}/markUnread"),
    "snooze": ("POST", "/v1/inquiries/{id}/snooze"),
    "wake": ("POST", "/v1/inquiries/{id}/wake"),
    "restoreInquiry": ("POST", "/v1/inquiries/{id}/restore"),
    "deleteInquiry": ("DELETE", "/v1/inquiries/{id}"),
    "createFlow": ("POST", "/v1/flows"),
    "listFlows": ("GET", "/v1/flows"),
    "getFlow": ("GET", "/v1/flows/{id}"),
    "resumeFlow": ("POST", "/v1/flows/{id}/resume"),
    "cancelFlow": ("POST", "/v1/flows/{id}/cancel"),
    "checkpointFlow": ("POST", "/v1/flows/{id}/checkpoint"),
    "signalFlow": ("POST", "/v1/flows/{id}/signal"),
    "signFile": ("POST", "/v1/files/sign"),
    "createTicket": ("POST", "/v1/ws/ticket"),
}

_READ_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Prefer:
    """A long poll: wait up to `seconds` for something else than `etag`."""

    seconds: int
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is None where nothing has changed (304)."""

    body: bytes | None
    etag: str | None


class Rest:
    """One try of a call. Raises PxBoxErrors, and Transient."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def call(
        self,
        op: str,
        input: bytes,
        headers: dict[str, str],
        prefer: Prefer | None = None,
    ) -> Reply:
        """Carry out an operation; `input` is a JSON object."""
        import httpx

        method, path, members = _place(op, input)
        sent = dict(headers)
        content: bytes | None = None
        query: dict[str, str] = {}
        if method == "POST":
            content = msgspec.json.encode(members)
            sent["content-type"] = "application/json"
        else:
            query = {name: _text(raw) for name, raw in members.items() if raw != b"null"}
        if prefer is not None:
            sent["prefer"] = f"wait={prefer.seconds}"
            if prefer.etag is not None:
                sent["if-none-match"] = prefer.etag
        limit = _READ_SECONDS + (prefer.seconds if prefer else 0)
        try:
            response = await self._http.request(
                method, path, params=query, content=content, headers=sent,
                timeout=httpx.Timeout(_READ_SECONDS, read=limit),
            )  # fmt: skip
        except httpx.InvalidURL as error:
            raise Unreachable(f"no such URL: {error}") from None
        except httpx.TransportError as error:
            what = str(error) or type(error).__name__
            detail = f"no answer from {self._http.base_url}: {what}"
            raise Transient(Unreachable(detail, retryable=True)) from None
        return _read(response)


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


def _read(response: httpx.Response) -> Reply:
    etag = response.headers.get("etag")
    if response.status_code == 304:
        return Reply(None, etag)
    if response.is_success:
        return Reply(response.content, etag)
    problem = read_problem(
        response.status_code, response.headers.get("content-type", ""), response.content
    )
    raise judge(response.status_code, problem, response.headers.get("retry-after"))


def read_problem(status: int, content_type: str, body: bytes) -> Mapping[str, Any]:
    """The broker's problem document; where a gateway has answered, one that says so."""
    if content_type.startswith("application/problem+json"):
        try:
            return msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.DecodeError:
            pass
    return {"status": status, "detail": f"answered with {status}, and not by the broker"}


def is_brokers(content_type: str) -> bool:
    return content_type.startswith("application/problem+json")
