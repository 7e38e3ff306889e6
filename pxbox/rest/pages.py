"""The service's own pages: health, metrics, the contract and its documentation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pxbox.model.errors import PxError
from pxbox.model.principal import ADMIN, OPERATE, Principal
from pxbox.rest.call import JSON, RestReply, reply_json, reply_problem
from pxbox.rest.docs import content_security_policy, render_docs
from pxbox.rest.openapi import bundled
from pxbox.service.operations import admit


@dataclass(frozen=True, slots=True)
class Page:
    """`scopes`: any one of them admits; none: everybody, without a token."""

    serve: Callable[[Principal | None], Awaitable[RestReply]]
    scopes: tuple[str, ...] = ()


def pages(
    ready: Callable[[], Awaitable[PxError | None]], metrics: Callable[[], Awaitable[bytes]]
) -> dict[str, Page]:
    """Every page by its path."""

    async def healthz(principal: Principal | None) -> RestReply:
        return reply_json(200, {"status": "ok"})

    async def readyz(principal: Principal | None) -> RestReply:
        missing = await ready()
        if missing is None:
            return reply_json(200, {"status": "ok"})
        return reply_problem(missing)

    async def show_metrics(principal: Principal | None) -> RestReply:
        assert principal is not None
        admit(principal, (OPERATE, ADMIN))
        return RestReply(200, await metrics(), {"content-type": "text/plain; version=0.0.4"})

    return {
        "/healthz": Page(healthz),
        "/readyz": Page(readyz),
        "/metrics": Page(show_metrics, (OPERATE, ADMIN)),
        "/openapi.json": Page(_document("openapi.json")),
        "/asyncapi.json": Page(_document("asyncapi.json")),
        "/docs": Page(_docs),
    }


def _document(name: str) -> Callable[[Principal | None], Awaitable[RestReply]]:
    async def serve(principal: Principal | None) -> RestReply:
        return RestReply(200, bundled(name), {"content-type": JSON})

    return serve


async def _docs(principal: Principal | None) -> RestReply:
    headers = {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": content_security_policy(),
    }
    return RestReply(200, render_docs(), headers)
