"""What the edge answers by itself: it refuses, says why, and closes the connection."""

from __future__ import annotations

import random
from http import HTTPStatus

from pxbox.model.ids import new_ulid
from pxbox.ws.handover import problem_document

_FULL_SECONDS = (5, 30)


class Refusal(Exception):
    """A peer that cannot be served: the status, the code and the words it is told."""

    def __init__(
        self, status: int, code: str, detail: str, *, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers

    def response(self) -> bytes:
        """The whole HTTP/1.1 response, which ends the connection."""
        body = problem_document(self.code, self.detail)
        headers = (
            ("Content-Type", "application/problem+json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("X-Request-Id", new_ulid()),
            *self.headers,
        )
        lines = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def malformed(detail: str) -> Refusal:
    return Refusal(400, "malformed_http", detail)


def not_supported(detail: str) -> Refusal:
    return Refusal(501, "not_supported", detail)


def head_too_large(detail: str) -> Refusal:
    return Refusal(431, "head_too_large", detail)


def body_too_large(limit_bytes: int) -> Refusal:
    return Refusal(413, "payload_too_large", f"a body is at most {limit_bytes} bytes")


def too_slow(detail: str) -> Refusal:
    return Refusal(408, "request_timeout", detail, headers=(("Retry-After", "1"),))


def too_many_connections() -> Refusal:
    return Refusal(
        503,
        "overloaded",
        "as many connections are open as this broker serves",
        # Differing, so that those who heed it do not come back all at once.
        headers=(("Retry-After", str(random.randint(*_FULL_SECONDS))),),
    )
