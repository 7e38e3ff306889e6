"""Workers in tests: with a real broker, and flows of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any
from uuid import uuid4

import anyio

from pxbox.client import AsyncPxBox, FlowHandle
from pxbox.flows import FlowKind
from pxbox.flows.worker import RESIDENT, Worker
from pxbox.model.wire.flows import FlowDetail
from tests.brokers import Broker

SCOPES = "request respond flow admin operate worker:*"


def name(word: str) -> str:
    """A name that no other test has."""
    return f"{word}-{uuid4().hex[:8]}"


def client(broker: Broker, sub: str = "admin", url: str | None = None) -> AsyncPxBox:
    return AsyncPxBox(url or broker.url, broker.token(sub, SCOPES))


@asynccontextmanager
async def working(
    px: AsyncPxBox, *kinds: FlowKind, resident: int = RESIDENT
) -> AsyncIterator[Worker]:
    """A worker that runs meanwhile, and is stopped in good order."""
    worker = Worker(px, kinds, resident=resident)
    async with anyio.create_task_group() as group:
        group.start_soon(worker.run)
        yield worker
        group.cancel_scope.cancel()


async def waiting(handle: FlowHandle, *keys: str) -> FlowDetail:
    """The flow, once it waits for these and nothing else."""
    return await until(handle, lambda flow: {wait.key for wait in flow.waiting} == set(keys)
                       and flow.status in ("WAITING_INPUT", "SUSPENDED"))  # fmt: skip


async def until(handle: FlowHandle, so: Callable[[FlowDetail], bool]) -> FlowDetail:
    """The flow, once that is so of it."""
    async with aclosing(handle.changes()) as changes:
        async for flow in changes:
            if so(flow):
                return flow
    raise AssertionError("the flow ended before")


async def answer(px: AsyncPxBox, who: str, data: Any) -> None:
    """Answer the one question that is open for somebody."""
    async with px.inbox(who) as inbox:
        while not inbox.items:
            await anext(inbox)
        await px.requests.answer(inbox.items[0].id, data)


async def introduce(px: AsyncPxBox, *people: str) -> None:
    for who in people:
        await px.entities.create("user", who)
