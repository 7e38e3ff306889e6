"""Each kind of commit: what leads up to it, the command that causes it, and what it leaves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from tests.brokers import Broker

SCHEMA = {"type": "string", "maxLength": 10}
# The survivor is frozen before this has passed, so that the other broker meets the deadline.
DEADLINE = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Command:
    """A call that can be sent to any broker; `token` makes the token of who sends it."""

    method: str
    path: str
    token: str
    body: dict[str, Any] = field(default_factory=dict)

    async def send(self, broker: Broker, key: str) -> httpx.Response:
        """Send it with this idempotency key. Raises httpx.HTTPError where no reply comes."""
        async with broker.rest(self.token) as client:
            return await client.request(
                self.method, self.path, json=self.body, headers={"idempotency-key": key}
            )


@dataclass(frozen=True, slots=True)
class Scene:
    """What was made for one commit.

    `command` None: time causes it. `channel` hears of it; `watcher` is the token of who may watch.
    """

    command: Command | None
    channel: str
    watcher: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of commit; `event` is what it tells."""

    event: str
    prepare: Callable[[Cast], Awaitable[Scene]]

    @property
    def by_alarm(self) -> bool:
        return self.event == "request.expired"


@dataclass(slots=True)
class Cast:
    """An asker, a responder and a group of one scene's own."""

    broker: Broker
    name: str = field(default_factory=lambda: uuid4().hex[:12])
    entities: dict[str, str] = field(default_factory=dict)

    @property
    def asker(self) -> str:
        return self.broker.token(f"asker-{self.name}")

    @property
    def responder(self) -> str:
        return self.broker.token(f"responder-{self.name}")

    @property
    def channel(self) -> str:
        return f"requestor:asker-{self.name}"

    async def enter(self) -> None:
        """Have the entities made."""
        for kind, role in (("user", "responder"), ("group", "group")):
            body = {"kind": kind, "handle": f"{role}-{self.name}"}
            self.entities[role] = (await self.call("/v1/entities", self.asker, body))["id"]

    async def call(self, path: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST something that succeeds, and return the reply."""
        async with self.broker.rest(token) as client:
            reply = await client.post(path, json=body)
        assert reply.status_code in (200, 201), reply.text
        content: dict[str, Any] = reply.json()
        return content

    @property
    def question(self) -> dict[str, Any]:
        return {"to": f"responder-{self.name}", "schema": SCHEMA}

    async def ask(self, **more: object) -> str:
        """Have a request made; return its path."""
        made = await self.call("/v1/requests", self.asker, {**self.question, **more})
        return f"/v1/requests/{made['id']}"

    def scene(self, path: str, token: str, **body: object) -> Scene:
        return Scene(Command("POST", path, token, body), self.channel, self.asker)


async def _create(cast: Cast) -> Scene:
    return cast.scene("/v1/requests", cast.asker, **cast.question)


async def _claim(cast: Cast) -> Scene:
    return cast.scene(f"{await cast.ask()}/claim", cast.responder)


async def _answer(cast: Cast) -> Scene:
    return cast.scene(f"{await cast.ask()}/response", cast.responder, payload="yes")


async def _decline(cast: Cast) -> Scene:
    return cast.scene(f"{await cast.ask()}/decline", cast.responder, reason="away")


async def _cancel(cast: Cast) -> Scene:
    return cast.scene(f"{await cast.ask()}/cancel", cast.asker)


async def _release(cast: Cast) -> Scene:
    path = await cast.ask()
    await cast.call(f"{path}/claim", cast.responder, {})
    return cast.scene(f"{path}/release", cast.responder)


async def _expire(cast: Cast) -> Scene:
    await cast.ask(deadlineAt=(datetime.now(UTC) + DEADLINE).isoformat())
    return Scene(None, cast.channel, cast.asker)


async def _join(cast: Cast) -> Scene:
    member = cast.entities["responder"]
    path = f"/v1/entities/{cast.entities['group']}/members/{member}"
    return Scene(Command("PUT", path, cast.asker), f"entity:{member}", cast.asker)


KINDS = {
    "create": Kind("request.created", _create),
    "claim": Kind("request.claimed", _claim),
    "answer": Kind("request.answered", _answer),
    "decline": Kind("request.declined", _decline),
    "cancel": Kind("request.cancelled", _cancel),
    "release": Kind("request.released", _release),
    "expire": Kind("request.expired", _expire),
    "membership": Kind("membership.added", _join),
}
