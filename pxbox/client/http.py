"""HTTP by httpx. It takes a quarter of a second to import, so that is done at the first use."""

from __future__ import annotations

import base64
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import anyio
import httpx
from wsproto.utilities import generate_accept_token

from pxbox.client import timing
from pxbox.client.closing import Refused
from pxbox.client.errors import Unreachable
from pxbox.client.rest import Answered, Call, read_reply
from pxbox.client.retry import Transient
from pxbox.client.transfer import Source
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


class _Part(httpx.AsyncByteStream):
    """A body that is read as it is sent: a file from `start` on. `told` hears how far it is."""

    def __init__(self, source: Source, start: int, told: Callable[[int], object]) -> None:
        self._source = source
        self._at = start
        self._told = told

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self._told(self._at)
        piece = await self._source.read(self._at)
        if not piece:
            if self._at < self._source.size:
                raise OSError("the file became shorter while it was sent")
            raise StopAsyncIteration
        self._at += len(piece)
        return piece


@asynccontextmanager
async def reaching(url: str, http: httpx.AsyncClient) -> AsyncIterator[httpx.AsyncClient]:
    """The client of the broker, or one for where else the URL leads: to a store of files."""
    if url.startswith("/"):
        yield http
        return
    async with make_http(str(httpx.URL(url).join("/"))) as own:
        yield own


async def send_file(
    http: httpx.AsyncClient, call: Call, source: Source, start: int, told: Callable[[int], object]
) -> Answered:
    """One try of a call whose body is the file from `start` on. Raises Transient, OSError."""
    length = str(source.size - start)
    times = httpx.Timeout(timing.REPLY_SECONDS, read=timing.KEPT_SECONDS)
    headers = {**call.headers, "content-length": length}
    request = http.build_request(call.method, call.path, headers=headers, timeout=times)
    request.stream = _Part(source, start, told)
    with _transport(http):
        return _answered(await http.send(request))


async def fetch_file(
    http: httpx.AsyncClient, url: str, start: int, take: Callable[[bytes], Awaitable[None]]
) -> None:
    """Have `take` get the file from `start` on, as it comes. Raises Transient, and PxBoxErrors."""
    headers = {"accept-encoding": "identity"}
    if start:
        headers["range"] = f"bytes={start}-"
    times = httpx.Timeout(timing.REPLY_SECONDS)
    request = http.build_request("GET", url, headers=headers, timeout=times)
    with _transport(http):
        response = await http.send(request, stream=True)
        try:
            if not 200 <= response.status_code < 300:
                await response.aread()
                read_reply(_answered(response))
            # Who does not know of ranges sends it from its beginning.
            await _take_all(response, start if response.status_code == 200 else 0, take)
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()


async def _take_all(
    response: httpx.Response, unwanted: int, take: Callable[[bytes], Awaitable[None]]
) -> None:
    failure: Exception | None = None
    try:
        async for piece in response.aiter_raw():
            rest, unwanted = piece[unwanted:], max(0, unwanted - len(piece))
            if rest and failure is None:
                try:
                    await take(rest)
                except Exception as error:
                    # To the end of what is closed: generators that are left unfinished make trio
                    # warn.
                    failure = error
                    await response.aclose()
    except (httpx.TransportError, httpx.StreamError):
        if failure is None:
            raise
    if failure is not None:
        raise failure


@contextmanager
def _transport(http: httpx.AsyncClient) -> Iterator[None]:
    """What goes wrong on the way as Transient."""
    try:
        yield
    except httpx.TransportError as error:
        detail = f"no answer from {http.base_url}: {str(error) or type(error).__name__}"
        raise Transient(Unreachable(detail, retryable=True)) from None


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
    with _transport(http):
        return _answered(await http.send(_request(http, call)))


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
        headers,
    )
