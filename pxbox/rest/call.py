"""A REST call and its reply as plain values: nothing here knows the web framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import msgspec

from pxbox.model.errors import (
    FieldError,
    InvalidRequest,
    PxError,
    UnsupportedMediaType,
)  # fmt: skip
from pxbox.service.problems import problem

JSON = "application/json"
PROBLEM = "application/problem+json"
MOST_WAIT_SECONDS = 60.0
# What a client may be told to wait before it repeats a retryable command, or looks again.
RETRY_SECONDS = {"not_answered": 2}

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class RestCall:
    """`path` and `query` are decoded texts; `headers` have lower-case names."""

    headers: Mapping[str, str]
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes

    @property
    def wait_seconds(self) -> float:
        """How long the caller would wait for news: `Prefer: wait=N` (RFC 7240), bounded."""
        for preference in self.headers.get("prefer", "").split(","):
            name, _, value = preference.strip().partition("=")
            if name.strip().lower() == "wait" and value.strip().isdecimal():
                return min(float(value), MOST_WAIT_SECONDS)
        return 0.0

    def matches(self, etag: str) -> bool:
        """Does the caller have this version already? (If-None-Match, RFC 9110)"""
        known = [tag.strip() for tag in self.headers.get("if-none-match", "").split(",")]
        return etag in known or "*" in known or f"W/{etag}" in known


@dataclass(frozen=True, slots=True)
class RestReply:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def merged_body(call: RestCall) -> bytes:
    """The body with the path's members in it, as one JSON object.

    Raises UnsupportedMediaType, and InvalidRequest for a body that is no object or that names a
    member of the path itself.
    """
    text = call.body.strip()
    if text:
        media = call.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if media != JSON and not media.endswith("+json"):
            raise UnsupportedMediaType(f"send {JSON}, not {media[:64]!r}")
    if not call.path:
        return text or b"{}"
    if not text:
        return _encode(call.path)
    if not text.startswith(b"{"):
        raise InvalidRequest("the body must be a JSON object")
    rest = text[1:].lstrip()
    joint = b"" if rest.startswith(b"}") else b","
    return _encode(call.path)[:-1] + joint + rest


def require_path_kept(call: RestCall, input: msgspec.Struct) -> None:
    """Raise InvalidRequest where the body names a member that the path has already."""
    for name, value in call.path.items():
        if getattr(input, name) != value:
            raise InvalidRequest(
                f"`{name}` is given by the path; leave it out of the body",
                errors=[FieldError(f"/{name}", "is given by the path", "path")],
            )


def reply_json(status: int, body: object, headers: dict[str, str] | None = None) -> RestReply:
    return RestReply(status, _encode(body), {"content-type": JSON, **(headers or {})})


def reply_problem(error: PxError) -> RestReply:
    """An error as its problem document, with the headers that go with its status."""
    document: dict[str, Any] = problem(error)
    headers = {"content-type": PROBLEM}
    if document["retryable"]:
        headers["retry-after"] = str(RETRY_SECONDS.get(error.code, 1))
    if document["status"] == 401:
        headers["www-authenticate"] = 'Bearer realm="pxbox"'
    return RestReply(document["status"], _encode(document), headers)


def http_date(at: datetime) -> str:
    return format_datetime(at.astimezone(UTC), usegmt=True)
