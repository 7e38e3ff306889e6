"""A load of whole lifecycles that loses brokers on its way, and notes what it was told."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol
from uuid import uuid4

import httpx
import trio
from trio_websocket import HandshakeError

from tests.brokers import EVERYTHING, REPLY_SECONDS, Broker, Refused, Socket

SCHEMA = {"type": "integer"}
PAUSE_SECONDS = 0.05
REACH_SECONDS = 15.0
# A handshake that its broker did not live to answer is given up after this.
SOON_SECONDS = 1.0

PATHS = {
    "createRequest": "/v1/requests",
    "claimRequest": "/v1/requests/{id}/claim",
    "postResponse": "/v1/requests/{id}/response",
    "cancelRequest": "/v1/requests/{id}/cancel",
}


@dataclass(slots=True)
class Slot:
    """Where a broker is to be found; another one takes its place when it has ended."""

    broker: Broker


@dataclass(slots=True)
class Told:
    """What the load was told has happened, and what it was refused.

    `claimed` and `answered` are by request: the replies of each that succeeded.
    """

    created: set[str] = field(default_factory=set)
    claimed: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    answered: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    repeats: int = 0
    count: int = 0
    news: trio.Event = field(default_factory=trio.Event)

    def tell(self) -> None:
        self.count += 1
        self.news.set()
        self.news = trio.Event()

    async def more(self, count: int) -> None:
        """Wait for this many more replies."""
        goal = self.count + count
        with trio.fail_after(REPLY_SECONDS):
            while self.count < goal:
                await self.news.wait()


class Lost(Exception):
    """No reply came, or one that asks for the command to be repeated."""


class Caller(Protocol):
    """Calls an operation once. Raises Refused, or Lost."""

    async def call(self, token: str, op: str, data: dict[str, Any], key: str) -> Any: ...


class RestCaller:
    """Calls over REST, at a random slot each time.

    In threads: where the broker ends while a body is being sent, httpx's asynchronous client
    leaves a generator behind, which trio takes amiss.
    """

    def __init__(self, slots: list[Slot], client: httpx.Client) -> None:
        self._slots = slots
        self._client = client

    async def call(self, token: str, op: str, data: dict[str, Any], key: str) -> Any:
        body = {name: value for name, value in data.items() if name != "id"}
        url = random.choice(self._slots).broker.url + PATHS[op].format(**data)
        headers = {"authorization": f"Bearer {token}", "idempotency-key": key}
        post = partial(self._client.post, url, json=body, headers=headers)
        try:
            reply = await trio.to_thread.run_sync(post)
        except httpx.TransportError as error:
            raise Lost from error
        return _judged(reply.json(), reply.status_code)


class SocketCaller:
    """Calls over a WebSocket to a random slot, and to another when it ends.

    One connection speaks for one client, so each token has its own.
    """

    def __init__(self, slots: list[Slot], nursery: trio.Nursery) -> None:
        self._slots = slots
        self._nursery = nursery
        self._sockets: dict[str, Socket] = {}

    async def call(self, token: str, op: str, data: dict[str, Any], key: str) -> Any:
        try:
            if token not in self._sockets:
                self._sockets[token] = await self._nursery.start(self._keep_open, token)
            return await self._sockets[token].command(op, data, key)
        except (HandshakeError, OSError) as error:
            self._sockets.pop(token, None)
            raise Lost from error
        except Refused as refused:
            return _judged(refused.problem, refused.problem["status"])

    async def _keep_open(self, token: str, task_status: trio.TaskStatus[Socket]) -> None:
        started = False
        try:
            async with random.choice(self._slots).broker.websocket(token, SOON_SECONDS) as socket:
                started = True
                task_status.started(socket)
                await socket.closed.wait()
        except (HandshakeError, OSError):
            # Before: the caller hears of it. After: its next call does.
            if not started:
                raise


def _judged(reply: dict[str, Any], status: int) -> dict[str, Any]:
    if status == 503:
        raise Lost(reply["code"])
    if status >= 400:
        raise Refused(reply)
    return reply


@dataclass(slots=True)
class Worker:
    """Has requests made, and lets both members of a group claim and answer each."""

    caller: Caller
    told: Told
    token: Callable[[str], str]
    stopping: trio.Event

    async def run(self) -> None:
        """Work until it is to stop, then finish what is in hand."""
        while not self.stopping.is_set():
            question = {"to": "group:desk", "schema": SCHEMA}
            made = await self._insist("ada", "createRequest", question)
            assert made is not None
            self.told.created.add(made["id"])
            async with trio.open_nursery() as nursery:
                for number, member in enumerate(("ben", "cid")):
                    nursery.start_soon(self._respond, member, made["id"], number)

    async def _respond(self, member: str, id: str, payload: int) -> None:
        if claim := await self._insist(member, "claimRequest", {"id": id}):
            self.told.claimed.setdefault(id, []).append(claim)
        if answer := await self._insist(member, "postResponse", {"id": id, "payload": payload}):
            self.told.answered.setdefault(id, []).append(answer)

    async def _insist(self, who: str, op: str, data: dict[str, Any]) -> dict[str, Any] | None:
        """Repeat a command until it is decided; None where it is refused."""
        key = uuid4().hex
        while True:
            try:
                reply: dict[str, Any] = await self.caller.call(self.token(who), op, data, key)
            except Lost:
                self.told.repeats += 1
                await trio.sleep(PAUSE_SECONDS * random.uniform(0.5, 1.5))
            except Refused as refused:
                self.told.refusals.append(refused.code)
                self.told.tell()
                return None
            else:
                self.told.tell()
                return reply


@dataclass(slots=True)
class Follower:
    """Watches channels at one slot, over all its brokers; `events` are the frames in order."""

    slot: Slot
    token: str
    epoch: str
    channels: list[str]
    events: list[dict[str, Any]] = field(default_factory=list)
    connections: int = 0

    async def run(self) -> None:
        """Watch from the first event on, and after each lost connection from the last seen."""
        while True:
            try:
                async with self.slot.broker.websocket(self.token, SOON_SECONDS) as socket:
                    socket.events = self.events
                    self.connections += 1
                    for channel in self.channels:
                        reply = await socket.resume(channel, self.seen(channel), self.epoch)
                        assert reply["data"]["recovered"], reply
                    await socket.closed.wait()
            except (HandshakeError, OSError):
                await trio.sleep(PAUSE_SECONDS)

    def seqs(self, channel: str) -> list[int]:
        return [event["seq"] for event in self.events if event["channel"] == channel]

    def seen(self, channel: str) -> int:
        return max(self.seqs(channel), default=0)

    async def reach(self, heads: dict[str, int]) -> None:
        """Wait until it has seen each of its channels up to its head, well before a heartbeat."""
        with trio.fail_after(REACH_SECONDS):
            while any(self.seen(channel) < heads[channel] for channel in self.channels):
                await trio.sleep(PAUSE_SECONDS)


def token_of(broker: Broker) -> Callable[[str], str]:
    """Everybody's token, made once: WebSockets are kept per token."""
    made: dict[str, str] = {}

    def token(who: str) -> str:
        return made.setdefault(who, broker.token(who, EVERYTHING))

    return token
