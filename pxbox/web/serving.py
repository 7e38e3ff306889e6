"""The page in front of the REST application: it answers what is its own, and hands on the rest."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from pxbox.model.errors import MethodNotAllowed
from pxbox.model.ids import new_ulid
from pxbox.service.problems import problem
from pxbox.web.site import Site, SiteReply

ASGI = Callable[..., Awaitable[None]]
_METHODS = ("GET", "HEAD")
_REFUSED = SiteReply(
    405,
    {"content-type": "application/problem+json", "allow": ", ".join(_METHODS)},
    msgspec.json.encode(problem(MethodNotAllowed(f"this path takes {' or '.join(_METHODS)}"))),
)


def with_page(site: Site, app: ASGI) -> ASGI:
    """An ASGI application that serves the page, and by `app` all else.

    `app` is called with whatever this one is called with.
    """

    async def serve(scope: Any, receive: Any, send: Any, *more: Any) -> None:
        reply = _reply(site, scope) if scope["type"] == "http" else None
        if reply is None:
            await app(scope, receive, send, *more)
        elif await _taken_in(receive):
            await _send(send, reply, head_only=scope["method"] == "HEAD")

    return serve


def _reply(site: Site, scope: Any) -> SiteReply | None:
    if scope["method"] not in _METHODS:
        return _REFUSED if site.has(scope["raw_path"].decode("latin-1")) else None
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        lowered, text = name.decode("latin-1").lower(), value.decode("latin-1")
        headers[lowered] = f"{headers[lowered]}, {text}" if lowered in headers else text
    return site.reply(scope["raw_path"].decode("latin-1"), headers)


async def _taken_in(receive: Any) -> bool:
    """Take in a body that nobody wants: who sends one must not wait. False: the peer has left."""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return False
        if not message.get("more_body", False):
            return True


async def _send(send: Any, reply: SiteReply, *, head_only: bool) -> None:
    headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
    headers.append((b"x-request-id", new_ulid().encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head_only else reply.body})
