"""The Quart application, made from the table of routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import quart
import trio
from quart_trio import QuartTrio
from werkzeug import exceptions
from werkzeug.exceptions import HTTPException

from pxbox.auth import Authenticator
from pxbox.model.errors import (
    InternalError,
    MethodNotAllowed,
    NotFound,
    NotSupported,
    PayloadTooLarge,
    PxError,
)  # fmt: skip
from pxbox.model.ids import new_ulid
from pxbox.model.principal import Principal
from pxbox.rest import pages
from pxbox.rest.call import RestCall, RestReply, reply_problem
from pxbox.rest.routes import PLANNED, ROUTES, Route, serve
from pxbox.service.core import Parts

View = Callable[..., Awaitable[quart.Response]]


@dataclass(frozen=True, slots=True)
class Surface:
    """What the REST transport works with.

    `ready()` says what is missing before a request could be served, None for nothing.
    `metrics()` is the text for Prometheus. `on_request(operation, seconds, status)` hears of each
    call, `on_fault(operation, request_id, error)` of the broker's own faults.
    """

    parts: Parts
    authenticator: Authenticator
    max_body_bytes: int
    ready: Callable[[], Awaitable[PxError | None]]
    metrics: Callable[[], bytes]
    on_request: Callable[[str, float, int], None]
    on_fault: Callable[[str, str, Exception], None]


def make_app(surface: Surface) -> QuartTrio:
    """The ASGI application of all of REST."""
    app = QuartTrio("pxbox", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = surface.max_body_bytes
    for route in ROUTES:
        _add(app, surface, route.method, route.path, route.operation, _operation(surface, route))
    for method, path in PLANNED:
        _add(app, surface, method, path, "planned", _planned(surface))
    for path, page in pages.pages(surface.ready, surface.metrics).items():
        _add(app, surface, "GET", path, path, _page(surface, page))
    app.register_error_handler(HTTPException, _unrouted)
    return app


Serve = Callable[[RestCall], Awaitable[RestReply]]


def _operation(surface: Surface, route: Route) -> Serve:
    async def serve_operation(call: RestCall) -> RestReply:
        return await serve(surface.parts, _principal(surface), route, call)

    return serve_operation


def _planned(surface: Surface) -> Serve:
    async def refuse(call: RestCall) -> RestReply:
        _principal(surface)
        raise NotSupported("this is named in the contract and not supported yet")

    return refuse


def _page(surface: Surface, page: pages.Page) -> Serve:
    async def serve_page(call: RestCall) -> RestReply:
        principal = _principal(surface) if page.scopes else None
        return await page.serve(principal)

    return serve_page


def _principal(surface: Surface) -> Principal:
    scope = quart.request.scope
    peer, _ = scope["client"] or ("", 0)
    return surface.authenticator.authenticate(scope["headers"], peer)


def _add(
    app: QuartTrio, surface: Surface, method: str, path: str, operation: str, serve: Serve
) -> None:
    rule = path.replace("{", "<").replace("}", ">")

    async def view(**path_members: str) -> quart.Response:
        started = trio.current_time()
        request_id = new_ulid()
        try:
            reply = await serve(await _call(path_members))
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
        headers = {"x-request-id": request_id, **reply.headers}
        return quart.Response(reply.body, reply.status, headers)

    app.add_url_rule(
        rule, f"{method} {path}", view, methods=[method], provide_automatic_options=False
    )


async def _call(path: dict[str, str]) -> RestCall:
    request = quart.request
    try:
        body = await request.get_data(cache=False)
    except HTTPException:
        raise PayloadTooLarge("the body is larger than this broker takes") from None
    assert isinstance(body, bytes)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return RestCall(headers, path, request.args.to_dict(), body)


async def _unrouted(error: HTTPException) -> quart.Response:
    """What no route takes, as problems like all others."""
    methods: list[str] = []
    refusal: PxError = NotFound("no such path; see /docs")
    if isinstance(error, exceptions.MethodNotAllowed):
        methods = sorted(error.valid_methods or ())
        refusal = MethodNotAllowed(f"this path takes {' or '.join(methods)}")
    reply = reply_problem(refusal)
    allow = {"allow": ", ".join(methods)} if methods else {}
    return quart.Response(reply.body, reply.status, reply.headers | allow)
