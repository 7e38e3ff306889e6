"""A REST call and its reply as plain values: nothing here knows the web framework."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, TypeVar

import msgspec

from pxbox.model.decoding import check_object, convert_input, decode_typed
from pxbox.model.errors import (
    FieldError,
    InvalidRequest,
    PxError,
    UnsupportedMediaType,
)  # fmt: skip
from pxbox.service.problems import problem

JSON = "application/json"
PROBLEM = "application/problem+json"
JSON_SPACE = b" \t\r\n"
MOST_WAIT_SECONDS = 60.0
# What a client may be told to wait before it repeats a retryable command, or looks again.
RETRY_SECONDS = {"not_answered": 2}

_encode = msgspec.json.encode

T = TypeVar("T")


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


def read_input(call: RestCall, type: type[T], large: Collection[str] = ()) -> T:
    """The operation's input: path and body as one object, `large` as for `check_object`.

    Raises UnsupportedMediaType, what `check_object` raises, and InvalidRequest also where the
    query names anything, and where the body names a member of the path.
    """
    refuse_members(call.query, "does not belong in the query; this call takes a body")
    text = call.body.strip(JSON_SPACE)
    if not text:
        return decode_typed(_encode(convert_input(dict(call.path), dict[str, str])), type)
    media = call.headers.get("content-type", JSON).partition(";")[0].strip().lower()
    if media != JSON and not media.endswith("+json"):
        raise UnsupportedMediaType(f"send {JSON}, not {media[:64]!r}")
    members = check_object(text, large)
    refuse_members(call.path.keys() & set(members), "is given by the path; leave it out")
    if not call.path:
        return decode_typed(text, type)
    # As bytes, so that the body's own members keep their spelling.
    path = _encode(convert_input(dict(call.path), dict[str, str]))
    joint = b"," if members else b""
    return decode_typed(path[:-1] + joint + text[1:], type)


def read_query(call: RestCall, type: type[T]) -> T:
    """The operation's input: path and query as one object.

    Raises UnsupportedText, and InvalidRequest, also where the query names a member of the path.
    """
    refuse_members(call.path.keys() & call.query.keys(), "is given by the path; leave it out")
    return convert_input({**call.query, **call.path}, type)


def refuse_body(call: RestCall) -> None:
    """Raise InvalidRequest if there is any."""
    if call.body.strip(JSON_SPACE):
        raise InvalidRequest("this call takes no body; say it in the query")


def refuse_members(names: Iterable[str], why: str) -> None:
    """Raise InvalidRequest if there are any: what would be ignored is refused."""
    for name in sorted(names):
        shown = name[:64]
        raise InvalidRequest(f"`{shown}` {why}", errors=[FieldError(f"/{shown}", why, "place")])


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
