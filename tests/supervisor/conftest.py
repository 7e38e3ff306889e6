"""Three workers behind one port, and what can be seen of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.brokers import Broker, Brokers, Socket

WORKERS = 3


@dataclass(frozen=True, slots=True)
class Supervised:
    """A supervisor with its workers."""

    broker: Broker

    def processes(self) -> list[psutil.Process]:
        """The workers' processes."""
        children = psutil.Process(self.broker.pid).children()
        return [child for child in children if _is_worker(child)]

    async def figures(self, name: str) -> dict[int, float]:
        """A figure of every worker that gave it."""
        async with self.broker.rest(self.broker.token("operator")) as client:
            reply = await client.get("/metrics")
        assert reply.status_code == 200, reply.text
        return {
            int(sample.labels["worker"]): sample.value
            for family in text_string_to_metric_families(reply.text)
            for sample in family.samples
            if sample.name == name
        }

    @asynccontextmanager
    async def sockets(self, count: int, sub: str = "asker") -> AsyncIterator[list[Socket]]:
        """So many WebSockets of one client's."""
        token = self.broker.token(sub)
        async with AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(self.broker.websocket(token)) for _ in range(count)
            ]
            yield opened

    async def healthy(self) -> bool:
        """Whether one new connection is served."""
        async with self.broker.rest() as client:
            try:
                return (await client.get("/healthz")).is_success
            except httpx.TransportError:
                return False


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "pxbox.worker" in process.cmdline()
    except psutil.Error:
        return False


@pytest.fixture(scope="module")
def supervised_always(module_brokers: Brokers) -> Supervised:
    return Supervised(module_brokers("--workers", str(WORKERS)))


@pytest.fixture
def supervised(supervised_always: Supervised) -> Supervised:
    """Three workers, for all tests of a module that leave three behind."""
    assert len(supervised_always.processes()) == WORKERS
    return supervised_always
