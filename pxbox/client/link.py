"""The way to the broker: a WebSocket that is made again whenever it is lost, and REST beside it.

Commands take the WebSocket while there is one and REST while there is none, so that a path on
which no WebSocket is let through costs speed and nothing else.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

import anyio
import msgspec

from pxbox.client import timing
from pxbox.client.closing import Refused
from pxbox.client.connection import Connection, may_carry
from pxbox.client.errors import AuthError, Forbidden, PxBoxError, from_problem
from pxbox.client.rest import Answered, Prefer, call_of, read_reply
from pxbox.client.retry import TRANSIENT, Backoff, Transient, seconds_of

if TYPE_CHECKING:
    import httpx
    from anyio.abc import TaskGroup

T = TypeVar("T")

Token = str | Callable[[], str | Awaitable[str]]


MOST_CHANNELS = 128

# Reading changes nothing, and these can be repeated by their very meaning.
_WITHOUT_KEY = frozenset({
    "getRequest", "getResponse", "listRequestEvents", "validate", "getEntity", "addMember",
    "removeMember", "listQueue", "listRequests", "listInquiries", "listFlows", "getFlow",
    "createTicket",
    "getFlowTimeline", "getFlowHistory", "getRequestTimeline", "getEntityTimeline", "putDraft",
    "getDraft", "deleteDraft", "checkpointFlow", "openSession", "renewSession",
    "closeSession", "leaseFlows", "handBack",
    "getFile", "eraseEntity", "exportRequests", "runRetention",
})  # fmt: skip


class Link:
    """`open` it in a task group that outlives every use of it, and `aclose` it at the end."""

    def __init__(self, url: str, token: Token, patience: float) -> None:
        self.url = url.rstrip("/")
        self.patience = patience
        self._token = token
        self._http: httpx.AsyncClient | None = None
        self.main = Lane(self, None)
        self._lanes: list[Lane] = [self.main]
        self._group: TaskGroup | None = None

    async def open(self, group: TaskGroup) -> None:
        from pxbox.client import http

        self._http = http.make_http(self.url)
        self._group = group

    async def aclose(self) -> None:
        assert self._http is not None
        with anyio.CancelScope(shield=True):
            await self._http.aclose()

    @property
    def http(self) -> httpx.AsyncClient:
        assert self._http is not None, "the client is used inside `async with`"
        return self._http

    async def token(self) -> str:
        """The token to use now. Raises AuthError where the function that gives it fails."""
        if isinstance(self._token, str):
            return self._token
        try:
            given = self._token()
            return await given if inspect.isawaitable(given) else given
        except Exception as error:
            raise AuthError(f"no token: {error}") from error

    @property
    def renews_tokens(self) -> bool:
        """Can another token be had when one has expired?"""
        return not isinstance(self._token, str)

    async def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {await self.token()}"}

    async def call(self, op: str, input: Mapping[str, Any], key: str | None = None) -> bytes:
        """Carry out an operation, repeating it as long as the patience lasts; its reply as JSON.

        Each repetition has the same idempotency key, so it takes effect once (S7).
        """
        data = msgspec.json.encode(input)
        if key is None and op not in _WITHOUT_KEY:
            key = str(uuid.uuid4())

        return await self.persist(lambda: self.once(op, data, key), self.patience)

    async def once(self, op: str, data: bytes, key: str | None) -> bytes:
        """One try, over what there is. Raises PxBoxErrors, and Transient."""
        connection = await self.main.wait_connection()
        if connection is not None and may_carry(op, data):
            try:
                return bytes((await connection.command(op, data, key)).data)
            except Transient as failure:
                # Its parts have a minute to arrive; REST waits for as long as they come.
                if failure.error.code != "request_timeout":
                    raise
        return await self.rest(op, data, key)

    async def rest(
        self, op: str, data: bytes, key: str | None = None, prefer: Prefer | None = None
    ) -> bytes:
        """One try over REST; the reply as JSON. Raises PxBoxErrors, and Transient."""
        from pxbox.client import http

        headers = await self.headers()
        if key is not None:
            headers["idempotency-key"] = key
        return read_reply(await http.send(self.http, call_of(op, data, headers, prefer)))

    async def persist(self, once: Callable[[], Awaitable[T]], patience: float) -> T:
        """Repeat what fails for now, until `patience` seconds have gone by."""
        deadline = anyio.current_time() + patience
        backoff = Backoff()
        while True:
            try:
                return await once()
            except Transient as failure:
                wait = backoff.next(failure.after)
                if anyio.current_time() + wait > deadline:
                    raise failure.error from None
                await anyio.sleep(wait)

    def lane_for(self, channel: str, session: str | None) -> Lane:
        """A connection with this session name that can watch this channel now.

        The broker lets each connection watch a channel once, and MOST_CHANNELS of them.
        """
        for lane in self._lanes:
            if lane.session == session and lane.has_room_for(channel):
                return lane
        lane = Lane(self, session)
        self._lanes.append(lane)
        return lane

    @property
    def connections(self) -> int:
        """How many WebSockets there are now."""
        return sum(lane.connection is not None for lane in self._lanes)

    def leave(self, lane: Lane, channel: str) -> None:
        """The channel is watched there no more; a connection that nothing needs is closed."""
        lane.channels.discard(channel)
        if not lane.channels and lane is not self.main:
            self._lanes.remove(lane)
            lane.close()

    def start(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Have it done until the client is closed."""
        assert self._group is not None, "the client is used inside `async with`"
        self._group.start_soon(work)


class Lane:
    """One connection after another, made from its first use on.

    `failure` is why there is none just now. `final`: it will not mend, nothing more is tried.
    `blocked`: something between here and the broker lets no WebSocket through.
    """

    def __init__(self, link: Link, session: str | None) -> None:
        self._link = link
        self._started = False
        self._scope: anyio.CancelScope | None = None
        self._news = anyio.Event()
        self.session = session
        self.channels: set[str] = set()
        self.connection: Connection | None = None
        self.failure: PxBoxError | None = None
        self.final = False
        self.blocked = False

    def has_room_for(self, channel: str) -> bool:
        return channel not in self.channels and len(self.channels) < MOST_CHANNELS

    async def wait_connection(self) -> Connection | None:
        """The connection; None where there is none, or the first is not there in time."""
        if not self._started:
            self._started = True
            self._link.start(self._run)
        with anyio.move_on_after(timing.FIRST_SECONDS):
            while self.connection is None and self.failure is None:
                await self._news.wait()
        return self.connection

    async def wait_news(self) -> None:
        """Return when a connection was made or lost, or could not be made."""
        await self._news.wait()

    def close(self) -> None:
        """Say goodbye; nothing uses it any more."""
        self.final = True
        if self._scope is not None:
            self._scope.cancel()

    async def _run(self) -> None:
        backoff = Backoff()
        # Made here: clients may be made where no event loop runs yet.
        with anyio.CancelScope() as self._scope:
            while not self.final:
                started = anyio.current_time()
                after = await self._connect()
                if anyio.current_time() - started > timing.STEADY_SECONDS and not self.failure:
                    backoff.reset()
                if not self.final:
                    await anyio.sleep(backoff.next(after))

    async def _connect(self) -> float:
        """Make one connection and stay on it; return how long to stay away."""
        try:
            await self._converse()
        except PxBoxError as error:
            self._failed(error)
        except Refused as refused:
            return self._refused(refused.answered)
        return 0.0

    async def _converse(self) -> None:
        from pxbox.client import http

        query = "batch=true" + (f"&session={quote(self.session)}" if self.session else "")
        headers = await self._link.headers()
        async with (
            http.open_websocket(self._link.http, f"/v1/ws?{query}", headers) as socket,
            anyio.create_task_group() as group,
        ):
            connection = Connection(socket, lambda told: self._noticed(told, group))
            self.connection, self.failure, self.blocked = connection, None, False
            self._tell()
            try:
                closed = await connection.run()
            finally:
                self.connection = None
                self._tell()
            group.cancel_scope.cancel()
        if 4500 <= closed.code <= 4999 or closed.code == 1009:
            self._failed(PxBoxError(str(closed), code="closed"), final=True)

    def _noticed(self, notice: dict[str, Any], group: TaskGroup) -> None:
        if notice.get("code") == "token_expiring" and self._link.renews_tokens:
            group.start_soon(self._renew)

    async def _renew(self) -> None:
        """Bring another token; where that fails, the connection ends and is made again."""
        connection = self.connection
        if connection is not None:
            with suppress(PxBoxError, Transient):
                await connection.ask("auth", data={"token": await self._link.token()})

    def _refused(self, answered: Answered) -> float:
        error = from_problem(answered.problem)
        self.blocked = not answered.by_the_broker and answered.status not in TRANSIENT
        final = answered.by_the_broker and isinstance(error, AuthError | Forbidden)
        self._failed(error, final and not self._link.renews_tokens)
        return seconds_of(answered.retry_after)

    def _failed(self, error: PxBoxError, final: bool = False) -> None:
        self.failure = error
        self.final = final
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()
