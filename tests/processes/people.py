"""Who asks and who answers, and the calls that they make to any of several brokers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import trio

from tests.brokers import NO_TLS, REPLY_SECONDS, Broker

SCHEMA = {"type": "integer"}


@dataclass(slots=True)
class People:
    """An asker, and a group with members; all of a name that no others have.

    `members` are (handle, entity id).
    """

    name: str = field(default_factory=lambda: uuid4().hex[:8])
    group: str = ""
    members: list[tuple[str, str]] = field(default_factory=list)

    @property
    def asker(self) -> str:
        return f"asker-{self.name}"

    @property
    def channel(self) -> str:
        """Hears of every request of the asker's."""
        return f"requestor:{self.asker}"

    async def enter(self, broker: Broker, members: int) -> None:
        """Have the group made, with this many members."""
        async with broker.rest(broker.token(self.asker)) as client:
            self.group = await made(client, "group", f"group-{self.name}")

            async def join(handle: str) -> None:
                id = await made(client, "user", handle)
                joined = await client.put(f"/v1/entities/{self.group}/members/{id}")
                assert joined.is_success, joined.text
                self.members.append((handle, id))

            async with trio.open_nursery() as nursery:
                for number in range(members):
                    nursery.start_soon(join, f"member-{number}-{self.name}")

    def question(self, broker: Broker, /, key: str | None = None, **more: Any) -> Call:
        """The call that has a request to the group made."""
        body = {"to": f"group:group-{self.name}", "schema": SCHEMA, **more}
        return Call(broker, self.asker, "/v1/requests", body, key)

    async def ask(self, broker: Broker, **more: Any) -> dict[str, Any]:
        """Have a request to the group made; the reply."""
        (reply,) = await at_once([self.question(broker, **more)])
        assert reply.status_code == 201, reply.text
        content: dict[str, Any] = reply.json()
        return content


async def made(client: httpx.AsyncClient, kind: str, handle: str) -> str:
    """Have an entity made; its id."""
    reply = await client.post("/v1/entities", json={"kind": kind, "handle": handle})
    assert reply.status_code == 201, reply.text
    id: str = reply.json()["id"]
    return id


@dataclass(frozen=True, slots=True)
class Call:
    """A POST by somebody, at one of the brokers."""

    broker: Broker
    who: str
    path: str
    body: dict[str, Any] = field(default_factory=dict)
    key: str | None = None


async def at_once(calls: list[Call]) -> list[httpx.Response]:
    """Make them all at the same time; the replies in the order of the calls."""
    replies: dict[int, httpx.Response] = {}
    limits = httpx.Limits(max_connections=None)

    async def make(number: int, client: httpx.AsyncClient) -> None:
        call = calls[number]
        headers = {"authorization": f"Bearer {call.broker.token(call.who)}"}
        if call.key is not None:
            headers["idempotency-key"] = call.key
        replies[number] = await client.post(
            call.broker.url + call.path, json=call.body, headers=headers
        )

    async with (
        httpx.AsyncClient(limits=limits, timeout=REPLY_SECONDS, verify=NO_TLS) as client,
        trio.open_nursery() as nursery,
    ):
        for number in range(len(calls)):
            nursery.start_soon(make, number, client)
    return [replies[number] for number in range(len(calls))]
