"""HTTP by httpx. It takes a quarter of a second to import, so that is done at the first use."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import httpx
from wsproto.utilities import generate_accept_token

from pxbox.client import timing
from pxbox.client.closing import Refused
from pxbox.client.errors import Unreachable
from pxbox.client.rest import Answered, Call
from pxbox.client.retry import Transient
from pxbox.client.websocket import WebSocket


def make_http(url: str) -> httpx.AsyncClient:
    """The pool of connections to a broker. Raises ValueError for what is no URL."""
    # Reading all certificates of the system takes a while; a plain connection needs none.
    plain = url.startswith("http://")
    verify = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if plain else httpx.create_ssl_context()
    try:
        return httpx.AsyncClient(
            base_url=url, verify=verify, headers={"user-agent": "pxbox-client"},
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
        )  # fmt: skip
    except httpx.InvalidURL as error:
        raise ValueError(f"no URL: {url!r}: {error}") from None


class _Body(httpx.AsyncByteStream):
    """A body in one piece. httpx's own is a generator, which a failed send leaves unfinished, and
    trio warns of those."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        content, self._content = self._content, b""
        if not content:
            raise StopAsyncIteration
        return content


def _request(http: httpx.AsyncClient, call: Call) -> httpx.Request:
    headers = dict(call.headers)
    if call.content is not None:
        headers["content-length"] = str(len(call.content))
    request = http.build_request(
        call.method, call.path, params=call.query or None, headers=headers,
        timeout=httpx.Timeout(timing.REPLY_SECONDS, read=timing.REPLY_SECONDS + call.wait_seconds),
    )  # fmt: skip
    request.stream = _Body(call.content or b"")
    return request


async def send(http: httpx.AsyncClient, call: Call) -> Answered:
    """One try of a call. Raises Transient where nobody answered."""
    try:
        response = await http.send(_request(http, call))
    except httpx.TransportError as error:
        detail = f"no answer from {http.base_url}: {str(error) or type(error).__name__}"
        raise Transient(Unreachable(detail, retryable=True)) from None
    return _answered(response)


@asynccontextmanager
async def open_websocket(
    http: httpx.AsyncClient, path: str, headers: dict[str, str]
) -> AsyncIterator[WebSocket]:
    """A connection that lasts as long as the block.

    Raises Refused, or Unreachable where nobody answered.
    """
    nonce = base64.b64encode(os.urandom(16))
    upgrade = {
        "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
        "sec-websocket-key": nonce.decode(),
    }  # fmt: skip
    request = _request(http, Call("GET", path, {**upgrade, **headers}))
    try:
        with anyio.fail_after(timing.HANDSHAKE_SECONDS):
            response = await http.send(request, stream=True)
    except (httpx.TransportError, TimeoutError) as error:
        what = str(error) or "the handshake was not answered"
        raise Unreachable(f"no WebSocket at {http.base_url}: {what}", retryable=True) from None
    accepted = response.headers.get("sec-websocket-accept", "").encode()
    if response.status_code != 101 or accepted != generate_accept_token(nonce):
        raise await _refusal(response)
    socket = WebSocket(response.extensions["network_stream"])
    try:
        yield socket
    finally:
        await socket.aclose()
        with anyio.CancelScope(shield=True):
            await response.aclose()


async def _refusal(response: httpx.Response) -> Refused:
    try:
        with anyio.move_on_after(timing.HANDSHAKE_SECONDS), suppress(httpx.TransportError):
            await response.aread()
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
    return Refused(_answered(response))


def _answered(response: httpx.Response) -> Answered:
    headers = response.headers
    return Answered(
        response.status_code,
        headers.get("content-type", ""),
        response.content if response.is_stream_consumed else b"",
        headers.get("retry-after"),
    )
