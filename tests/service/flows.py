"""A worker as a test plays it: it leases and checkpoints by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import trio

from pxbox.model.principal import FLOW, REQUEST
from tests.service.brokers import CITY, Broker, Client, unique

Json = dict[str, Any]
PATIENCE_SECONDS = 10.0
STEP = {"key": "score#1", "digest": "d", "result": {"risk": 1}}


class Connection:
    """A worker's line to the broker."""

    open = True


@dataclass
class Held:
    """A flow in a worker's hands, and how far its run has come."""

    id: str
    fence: int
    revision: int
    wake: int


class Worker:
    """A session for one kind of flow."""

    def __init__(self, client: Client, kind: str, session: str) -> None:
        self.client, self.kind, self.session = client, kind, session

    async def leases(self, **members: Any) -> Json:
        found: Json = await self.client.call("leaseFlows", id=self.session, **members)
        return found

    async def takes(self) -> Held:
        """The one flow that is to be run."""
        (flow,) = (await self.leases())["flows"]
        return held(flow)

    async def awaits(self) -> Json:
        """The next flow that is to be run, once there is one."""
        return await until(self._first)

    async def _first(self) -> Json | None:
        return next(iter((await self.leases())["flows"]), None)

    async def saves(self, flow: Held, status: str = "RUNNING", **members: Any) -> Json:
        """Checkpoint; what came back is what the run knows from now on."""
        seen: Json = {"wake": flow.wake} if status in ("WAITING_INPUT", "SUSPENDED") else {}
        done: Json = await self.client.call(
            "checkpointFlow", id=flow.id, sessionId=self.session, fence=flow.fence,
            revision=flow.revision, status=status, **seen, **members,
        )  # fmt: skip
        flow.revision = done["revision"]
        flow.wake = max(flow.wake, done["wake"])
        return done


def held(flow: Json) -> Held:
    return Held(flow["flowId"], flow["fence"], flow["revision"], flow["wake"])


async def until(look: Callable[[], Awaitable[Json | None]]) -> Json:
    """What `look` finds, as soon as it finds something."""
    with trio.fail_after(PATIENCE_SECONDS):
        while (found := await look()) is None:
            await trio.lowlevel.checkpoint()
    return found


def owner(broker: Broker, sub: str = "owner", **more: Any) -> Client:
    """Whoever starts flows, and asks."""
    return broker.client(sub, FLOW, REQUEST, **more)


async def started(broker: Broker, kind: str | None = None, **members: Any) -> tuple[str, str]:
    """(id, kind) of a new flow that workers run; its kind is its own."""
    kind = kind or unique("kind")[:40]
    made = await owner(broker).call("createFlow", kind=kind, version=1, **members)
    return made["flowId"], kind


async def worker(
    broker: Broker, kind: str, version: int = 1, line: Connection | None = None
) -> Worker:
    """One that has a session; `line` is its connection, where it has one."""
    client = replace(broker.client("worker", f"worker:{kind}"), line=line)
    kinds = [{"kind": kind, "version": version}]
    session = await client.call("openSession", kinds=kinds)
    return Worker(client, kind, session["sessionId"])


async def running(broker: Broker, **members: Any) -> tuple[Worker, Held]:
    """A new flow in the hands of a worker of its own."""
    _, kind = await started(broker, **members)
    hands = await worker(broker, kind)
    return hands, await hands.takes()


def ask(to: str, key: str = "city#1") -> Json:
    return {"key": key, "kind": "ask", "digest": "", "request": {"to": to, "schema": CITY}}


def signal(name: str, key: str = "go#1", **more: object) -> Json:
    return {"key": key, "kind": "signal", "digest": "", "name": name, **more}


def timer(seconds: float, key: str = "nap#1") -> Json:
    return {"key": key, "kind": "timer", "digest": "", "after": seconds}


def child(kind: str, key: str = "kid#1") -> Json:
    return {"key": key, "kind": "child", "digest": "", "child": {"kind": kind, "version": 1}}


async def read(broker: Broker, id: str) -> Json:
    found: Json = await owner(broker).call("getFlow", id=id)
    return found
