"""The other engines of durable flows, each as its documentation has it for speed."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import trio

from bench.flow_load import FlowJob
from bench.installed import PEERS as FOLDER
from bench.installed import node, node_module, node_script, program
from bench.processes import Process, RunFailed, Service, free_port, serving, starting
from bench.stack import Stack

FlowPeer = Callable[[Stack], AbstractAsyncContextManager[tuple[int, FlowJob]]]


@asynccontextmanager
async def line_peer(stack: Stack, name: str) -> AsyncIterator[tuple[int, FlowJob]]:
    """An engine inside a Python process that is spoken to in lines (`flow_load.Lines`)."""
    python = program("python")
    port = free_port()
    url = await stack.create_database(f"{name}_{stack.next_number()}")
    env = {**os.environ, "PEER_DATABASE_URL": url, "PEER_PORT": str(port)}
    env["PATH"] = f"{os.path.dirname(python)}:{env['PATH']}"
    env.pop("PYTHONPATH", None)
    service = Service(name, [python, str(FOLDER / f"{name}_app.py")], env, port, None)
    async with serving(service, stack.directory / f"{name}.log") as pid:
        yield pid, FlowJob("line", port, [])


@asynccontextmanager
async def dbos(stack: Stack) -> AsyncIterator[tuple[int, FlowJob]]:
    async with line_peer(stack, "dbos") as found:
        yield found


@asynccontextmanager
async def absurd(stack: Stack) -> AsyncIterator[tuple[int, FlowJob]]:
    async with line_peer(stack, "absurd") as found:
        yield found


PEERS: Final[dict[str, FlowPeer]] = {"dbos": dbos, "absurd": absurd}
