"""One request and its response, beside Quart: a body is taken as it comes, a response sent piece by
piece, and neither is ever whole in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import parse_qsl

import trio

from pxbox.model.errors import InternalError, MethodNotAllowed, PxError, RequestTimeout
from pxbox.model.ids import new_ulid
from pxbox.rest.call import RestReply, reply_problem

ASGI = Callable[[Any, Any, Any], Awaitable[None]]
Observe = Callable[[str, float, int], None]
OnFault = Callable[[str, str, Exception], None]
Headers = list[tuple[bytes, bytes]]

SAFE: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; sandbox; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-site"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"private, no-store"),
]
"""What no browser is to do with anything that was uploaded, or with what is said of it."""


class PeerLeft(Exception):
    """The peer went away before all had come; nobody hears an answer."""


class Exchange:
    """`headers` have lower-case names; `query` has what was given once. `methods` are those that
    the path takes, `always` the headers of every response."""

    def __init__(self, scope: Any, receive: Any, send: Any, methods: str) -> None:
        self.method: str = scope["method"]
        self.headers = {name.lower(): value for name, value in scope["headers"]}
        self.query = _query(scope["query_string"])
        self.request_id = new_ulid()
        self.methods = methods
        self.always: Headers = []
        self._receive = receive
        self._send = send
        self._status = 0
        self._read = self.method in ("GET", "HEAD")

    async def serve(
        self,
        operation: str,
        answer: Callable[[], Awaitable[None]],
        observe: Observe,
        on_fault: OnFault,
    ) -> None:
        """Have it answered; whatever goes wrong is answered too, where that can still be."""
        started = trio.current_time()
        try:
            await answer()
        except PeerLeft:
            return
        except PxError as error:
            reply = reply_problem(error)
            if isinstance(error, MethodNotAllowed):
                reply.headers["allow"] = self.methods
            await self.reply(reply)
        except Exception as error:
            on_fault(operation, self.request_id, error)
            # In the middle of a download only the broken length can say that something is wrong.
            if self._status:
                raise
            about = f"a fault of the broker; it is in its log under {self.request_id}"
            await self.reply(reply_problem(InternalError(about, requestId=self.request_id)))
        observe(operation, trio.current_time() - started, self._status)

    async def body(self, silence_seconds: float = float("inf")) -> AsyncGenerator[bytes, None]:
        """What comes, as it comes. Raises PeerLeft, and RequestTimeout after so long a silence."""
        while True:
            event = None
            with trio.move_on_after(silence_seconds):
                event = await self._receive()
            if event is None:
                raise RequestTimeout("nothing came for a while; go on from where the upload stands")
            if event["type"] == "http.disconnect":
                raise PeerLeft
            if event.get("body"):
                yield event["body"]
            if not event.get("more_body"):
                self._read = True
                return

    async def reply(self, reply: RestReply) -> None:
        """Answer with a short body, or none."""
        headers = [(name.encode(), value.encode()) for name, value in reply.headers.items()]
        headers += [header for header in SAFE if header[0].decode() not in reply.headers]
        if reply.status != 204:
            headers.append((b"content-length", b"%d" % len(reply.body)))
        await self.begin(reply.status, headers)
        await self.end(b"" if self.method == "HEAD" else reply.body)

    async def begin(self, status: int, headers: Headers) -> None:
        self._status = status
        headers = [*headers, *self.always, (b"x-request-id", self.request_id.encode())]
        if not self._read:
            # What is still to come is not waited for: nothing else can follow it.
            headers.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def send(self, piece: bytes) -> None:
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self, body: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": body})


def _query(raw: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=8)
    except ValueError:
        pairs = []
    # What was given twice could be read in two ways: it counts as not given.
    return {name: value for name, value in pairs if sum(name == n for n, _ in pairs) == 1}
