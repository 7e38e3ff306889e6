"""The peer of `bench lifecycle`: Starlette on uvicorn (uvloop, httptools), asyncpg, LISTEN/NOTIFY.

The same job as the broker's main one, as a good plain service does it: a transaction per step
with the events numbered in it, validation on a schema compiled once, HS256 tokens, commands over
HTTP or over the WebSocket, events to WebSocket subscribers. Settings, from the environment:
`PEER_DATABASE_URL`, `PEER_SECRET`.

Its wire, over WebSocket: `{id, op: create|claim|answer|subscribe, data}` is answered by
`{id, ok}` or `{id, error}`; events come as `{channel, seq, event}`.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncpg
import jwt
import msgspec
from msgspec import Raw, Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.peers.steps import SQL, AddEntity, Answer, Caller, Claim, Create, Refused, Steps

POOL_SIZE: Final = 16
OUTBOX_FRAMES: Final = 4096
BAD_TOKEN: Final = 4500

COMMANDS: Final[dict[str, tuple[Any, Callable[..., Awaitable[object]]]]] = {
    "create": (msgspec.json.Decoder(Create), Steps.create),
    "claim": (msgspec.json.Decoder(Claim), Steps.claim),
    "answer": (msgspec.json.Decoder(Answer), Steps.answer),
    "entity": (msgspec.json.Decoder(AddEntity), Steps.add_entity),
}
ENCODER: Final = msgspec.json.Encoder()


class Frame(Struct):
    id: int
    op: str
    data: Raw


class Subscribe(Struct):
    channel: str


class AnswerBody(Struct, forbid_unknown_fields=True):
    payload: Raw


class Notification(Struct):
    event: Raw
    seqs: dict[str, int]


FRAMES: Final = msgspec.json.Decoder(Frame)
SUBSCRIPTIONS: Final = msgspec.json.Decoder(Subscribe)
ANSWERS: Final = msgspec.json.Decoder(AnswerBody)
NOTIFICATIONS: Final = msgspec.json.Decoder(Notification)


class Outbox:
    """The frames that wait for one WebSocket; a reader too slow for them is cut off."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._frames: asyncio.Queue[str] = asyncio.Queue(OUTBOX_FRAMES)
        self._handler = asyncio.current_task()
        self.channels: set[str] = set()

    def put(self, frame: str) -> None:
        try:
            self._frames.put_nowait(frame)
        except asyncio.QueueFull:
            assert self._handler is not None
            self._handler.cancel()

    async def pump(self) -> None:
        while True:
            frame = await self._frames.get()
            await self._socket.send({"type": "websocket.send", "text": frame})


class Hub:
    """Which WebSockets listen to which channel, and the one connection that hears of events."""

    def __init__(self) -> None:
        self._outboxes: defaultdict[str, set[Outbox]] = defaultdict(set)

    def join(self, channel: str, outbox: Outbox) -> None:
        self._outboxes[channel].add(outbox)
        outbox.channels.add(channel)

    def leave(self, outbox: Outbox) -> None:
        for channel in outbox.channels:
            self._outboxes[channel].discard(outbox)
            if not self._outboxes[channel]:
                del self._outboxes[channel]

    def on_notify(self, _connection: Any, _pid: int, _channel: str, payload: Any) -> None:
        notification = NOTIFICATIONS.decode(payload)
        event = bytes(notification.event).decode()
        for channel, seq in notification.seqs.items():
            outboxes = self._outboxes.get(channel)
            if outboxes:
                frame = f'{{"channel":"{channel}","seq":{seq},"event":{event}}}'
                for outbox in outboxes:
                    outbox.put(frame)


class Tokens:
    """Verified tokens, kept until they expire."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._known: dict[str, tuple[float, Caller]] = {}

    def caller(self, headers: Mapping[str, str]) -> Caller:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        known = self._known.get(token)
        if known is not None and known[0] > time.time():
            return known[1]
        try:
            claims = jwt.decode(
                token, self._secret, algorithms=["HS256"], options={"require": ["exp", "sub"]}
            )
        except jwt.InvalidTokenError:
            raise Refused(401, "unauthenticated") from None
        scopes = frozenset(str(claims.get("scope", "")).split())
        caller = Caller(claims["sub"], scopes, claims.get("entity"))
        if len(self._known) >= 10_000:
            self._known.clear()
        self._known[token] = (claims["exp"], caller)
        return caller


class Service:
    """What the routes share; opened with the application."""

    steps: Steps
    tokens: Tokens
    hub: Hub


service = Service()


async def no_reset(_connection: Any) -> None:
    """Nothing here leaves state on a connection, so the pool's reset round trip is not needed."""


@asynccontextmanager
async def lifespan(_app: Starlette) -> AsyncIterator[None]:
    url = os.environ["PEER_DATABASE_URL"]
    service.tokens = Tokens(os.environ["PEER_SECRET"])
    service.hub = Hub()
    listener = await asyncpg.connect(url)
    await listener.execute(SQL["tables"])
    await listener.add_listener("events", service.hub.on_notify)
    async with asyncpg.create_pool(
        url, min_size=POOL_SIZE, max_size=POOL_SIZE, reset=no_reset
    ) as pool:
        service.steps = Steps(pool)
        yield
    await listener.close()


async def run(caller: Caller, op: str, body: bytes) -> object:
    """Decode and do one command."""
    decoder, command = COMMANDS[op]
    return await command(service.steps, caller, decoder.decode(body))


Endpoint = Callable[[Request], Awaitable[Response]]


def replies(status: int) -> Callable[[Callable[[Caller, Request], Awaitable[object]]], Endpoint]:
    """Make an HTTP endpoint of a function: who calls before it, the JSON reply after it."""

    def wrap(call: Callable[[Caller, Request], Awaitable[object]]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            try:
                body = await call(service.tokens.caller(request.headers), request)
            except Refused as refused:
                return json_response(refused.status, refused.problem())
            except msgspec.DecodeError:
                return json_response(400, Refused(400, "invalid_request").problem())
            return json_response(status, body)

        return endpoint

    return wrap


def json_response(status: int, body: object) -> Response:
    return Response(ENCODER.encode(body), status, media_type="application/json")


@replies(201)
async def add_entity(caller: Caller, request: Request) -> object:
    return await run(caller, "entity", await request.body())


@replies(201)
async def create(caller: Caller, request: Request) -> object:
    return await run(caller, "create", await request.body())


@replies(200)
async def claim(caller: Caller, request: Request) -> object:
    return await service.steps.claim(caller, Claim(request.path_params["id"]))


@replies(200)
async def answer(caller: Caller, request: Request) -> object:
    payload = ANSWERS.decode(await request.body()).payload
    return await service.steps.answer(caller, Answer(request.path_params["id"], payload))


async def healthz(_request: Request) -> Response:
    return Response(b"ok")


async def subscribe(outbox: Outbox, caller: Caller, channel: str) -> object:
    caller.may_hear(channel)
    # Joined before the head is read: no event can fall between the two.
    service.hub.join(channel, outbox)
    return {"head": await service.steps.head(channel)}


async def do(outbox: Outbox, caller: Caller, frame: Frame) -> object:
    if frame.op == "subscribe":
        return await subscribe(outbox, caller, SUBSCRIPTIONS.decode(frame.data).channel)
    if frame.op in COMMANDS:
        return await run(caller, frame.op, frame.data)
    raise Refused(400, "unknown_operation")


async def on_frame(outbox: Outbox, caller: Caller, text: str) -> None:
    frame = FRAMES.decode(text)
    try:
        reply = {"id": frame.id, "ok": await do(outbox, caller, frame)}
    except Refused as refused:
        reply = {"id": frame.id, "error": refused.problem()}
    outbox.put(ENCODER.encode(reply).decode())


async def on_socket(socket: WebSocket) -> None:
    try:
        caller = service.tokens.caller(socket.headers)
    except Refused:
        await socket.close(BAD_TOKEN)
        return
    await socket.accept()
    outbox = Outbox(socket)
    pump = asyncio.create_task(outbox.pump())
    try:
        async for text in socket.iter_text():
            await on_frame(outbox, caller, text)
    except (WebSocketDisconnect, msgspec.DecodeError):
        pass
    finally:
        pump.cancel()
        service.hub.leave(outbox)


app = Starlette(
    routes=[
        Route("/healthz", healthz),
        Route("/entities", add_entity, methods=["POST"]),
        Route("/requests", create, methods=["POST"]),
        Route("/requests/{id}/claim", claim, methods=["POST"]),
        Route("/requests/{id}/response", answer, methods=["POST"]),
        WebSocketRoute("/ws", on_socket),
    ],
    lifespan=lifespan,
)
