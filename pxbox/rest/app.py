"""The Quart application, made from the table of routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import quart
import trio
from quart_trio import QuartTrio
from werkzeug import exceptions
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map

from pxbox.auth import Authenticator
from pxbox.auth.headers import Headers
from pxbox.model.errors import (
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    PxError,
)  # fmt: skip
from pxbox.model.ids import new_ulid
from pxbox.model.principal import Principal
from pxbox.rest import pages
from pxbox.rest.call import RestCall, RestReply, refuse_members, reply_problem
from pxbox.rest.contents import with_contents
from pxbox.rest.logins import LOGIN_ROUTES, Door, Visit
from pxbox.rest.resumable import with_resumable
from pxbox.rest.routes import ROUTES, Route, serve
from pxbox.service import logins
from pxbox.service.core import Parts

ASGI = Callable[[Any, Any, Any], Awaitable[None]]
View = Callable[..., Awaitable[quart.Response]]


@dataclass(frozen=True, slots=True)
class Surface:
    """What the REST transport works with.

    `max_payload_bytes` bounds a body that carries a response or a prefill, `max_body_bytes` any
    other.
    `ready()` says what is missing before a request could be served, None for nothing.
    `metrics()` is the text for Prometheus. `on_request(operation, seconds, status)` hears of each
    call, `on_fault(operation, request_id, error)` of the broker's own faults. `link_key` is what
    links for signing in are signed with.
    """

    parts: Parts
    authenticator: Authenticator
    max_body_bytes: int
    max_payload_bytes: int
    ready: Callable[[], Awaitable[PxError | None]]
    metrics: Callable[[], Awaitable[bytes]]
    on_request: Callable[[str, float, int], None]
    on_fault: Callable[[str, str, Exception], None]
    link_key: bytes


def make_app(surface: Surface) -> QuartTrio:
    """The ASGI application of all of REST."""
    app = QuartTrio("pxbox", static_folder=None)
    app.url_map.converters["but"] = _AnyBut
    app.config["MAX_CONTENT_LENGTH"] = surface.max_payload_bytes
    for route in ROUTES:
        _add(app, surface, route.method, route.path, route.operation, _operation(surface, route))
    door = Door(surface.parts, surface.authenticator, surface.link_key)
    for method, path, name, answer in LOGIN_ROUTES:
        _add(app, surface, method, path, name, _visit(door, answer))
    for path, page in pages.pages(surface.ready, surface.metrics).items():
        _add(app, surface, "GET", path, path, _page(surface, page))
    app.register_error_handler(HTTPException, _unrouted)
    # A redirect to the merged path would go wherever the caller's Host header says.
    app.url_map.merge_slashes = False
    routed = _undecoded(app.asgi_app)
    around = (surface.parts, surface.on_request, surface.on_fault)
    app.asgi_app = with_resumable(  # type: ignore[assignment, method-assign]
        with_contents(routed, *around), *around
    )
    return app


class _AnyBut(BaseConverter):
    """Any member of a path but these names."""

    def __init__(self, map: Map, *names: str) -> None:
        super().__init__(map)
        self.regex = rf"(?!(?:{'|'.join(names)})\Z)[^/]+"


def _rule(path: str) -> str:
    """A path of the table as Quart's rule.

    What is a word of its own in one path is no id in another: `/v1/requests/bulk` would take GET
    where `/v1/requests/{id}` does.
    """
    parts = path.split("/")
    rule = []
    for place, part in enumerate(parts):
        words = [
            other[place]
            for other in (route.path.split("/") for route in ROUTES)
            if len(other) == len(parts) and other[:place] == parts[:place] and other[place] != part
        ]
        but = f"but({', '.join(map(repr, words))}):" if words else ""
        rule.append(f"<{but}{part[1:-1]}>" if part.startswith("{") else part)
    return "/".join(rule)


PathMembers = dict[str, str]
Serve = Callable[[PathMembers], Awaitable[RestReply]]


def _operation(surface: Surface, route: Route) -> Serve:
    async def serve_operation(path: PathMembers) -> RestReply:
        # Before the body is waited for: who has no token gets no room for one.
        principal = await _principal(surface)
        with surface.parts.room.hold(_room_for_body(surface)):
            return await serve(surface.parts, principal, route, await _call(path))

    return serve_operation


def _room_for_body(surface: Surface) -> int:
    """How much of the room for large payloads the body takes: nothing where it is not large."""
    size = quart.request.content_length
    if size is None and "transfer-encoding" in quart.request.headers:
        size = surface.max_payload_bytes
    return size if size is not None and size > surface.max_body_bytes else 0


def _visit(door: Door, answer: Callable[[Door, Visit], Awaitable[RestReply]]) -> Serve:
    async def serve_visit(path: PathMembers) -> RestReply:
        headers, peer = _sender()
        return await answer(door, Visit(headers, peer, await _call(path)))

    return serve_visit


def _page(surface: Surface, page: pages.Page) -> Serve:
    async def serve_page(path: PathMembers) -> RestReply:
        principal = await _principal(surface) if page.scopes else None
        await _call(path)
        return await page.serve(principal)

    return serve_page


async def _principal(surface: Surface) -> Principal:
    headers, peer = _sender()
    login = surface.authenticator.login(headers, quart.request.method)
    if login is not None:
        return await logins.principal_of(surface.parts, login)
    return await surface.authenticator.authenticate(headers, peer)


def _sender() -> tuple[Headers, str]:
    """The headers of the request as they were sent, and the address that it came from."""
    scope = quart.request.scope
    peer, _ = scope["client"] or ("", 0)
    return scope["headers"], peer


def _add(
    app: QuartTrio, surface: Surface, method: str, path: str, operation: str, serve: Serve
) -> None:
    rule = _rule(path)

    async def view(**path_members: str) -> quart.Response:
        started = trio.current_time()
        request_id = new_ulid()
        try:
            reply = await serve(path_members)
        except PxError as error:
            reply = reply_problem(error)
        except Exception as error:
            surface.on_fault(operation, request_id, error)
            reply = reply_problem(
                InternalError(
                    f"a fault of the broker; it is in its log under {request_id}",
                    requestId=request_id,
                )
            )
        surface.on_request(operation, trio.current_time() - started, reply.status)
        return _response(reply, request_id)

    app.add_url_rule(
        rule, f"{method} {path}", view, methods=[method], provide_automatic_options=False
    )


async def _call(path: PathMembers) -> RestCall:
    request = quart.request
    try:
        body = await request.get_data(cache=False)
    except HTTPException:
        raise PayloadTooLarge("the body is larger than this broker takes") from None
    assert isinstance(body, bytes)
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        # A field that was sent in several lines is one list (RFC 9110, 5.3).
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    # Quart would put other characters in the place of what cannot be read.
    _decoded(request.query_string.decode("latin-1"), "query")
    query = {name: values[0] for name, values in request.args.lists()}
    refuse_members(
        (name for name, values in request.args.lists() if len(values) > 1), "was given repeatedly"
    )
    return RestCall(headers, {name: _decoded(text) for name, text in path.items()}, query, body)


def _decoded(text: str, place: str = "path") -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidRequest(f"the {place} is not UTF-8, percent-encoded") from None


def _response(reply: RestReply, request_id: str) -> quart.Response:
    response = quart.Response(reply.body, reply.status, reply.headers)
    response.headers["x-request-id"] = request_id
    if "content-type" not in reply.headers:
        # A 304 has no content; Quart would call it HTML.
        del response.headers["content-type"]
    return response


async def _unrouted(error: HTTPException) -> quart.Response:
    """What no route takes, as problems like all others."""
    methods: list[str] = []
    refusal: PxError = NotFound("no such path; see /docs")
    if isinstance(error, exceptions.MethodNotAllowed):
        methods = sorted(error.valid_methods or ())
        refusal = MethodNotAllowed(f"this path takes {' or '.join(methods)}")
    reply = reply_problem(refusal)
    if methods:
        reply.headers["allow"] = ", ".join(methods)
    return _response(reply, new_ulid())


def _undecoded(app: ASGI) -> ASGI:
    """Route by the path as it was sent: in one decoded, an encoded slash of an address would
    split it. The members are decoded one by one, in `_call`."""

    async def routed(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["raw_path"].decode("ascii")}
        await app(scope, receive, send)

    return routed
