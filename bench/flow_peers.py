"""The other engines of durable flows, each as its documentation has it for speed."""

from __future__ import annotations

import http.client
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import trio

from bench.flow_load import FlowJob
from bench.installed import PEERS as FOLDER
from bench.installed import node, node_module, node_script, program
from bench.processes import Process, RunFailed, Service, free_port, serving, starting
from bench.stack import Stack


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that runs: the pids to watch, and where the load client finds it. `worker` is what
    runs the flows' code, where that is a process of its own."""

    server: int
    job: FlowJob
    worker: int | None = None


FlowPeer = Callable[[Stack], AbstractAsyncContextManager[Engine]]


@asynccontextmanager
async def line_peer(stack: Stack, name: str) -> AsyncIterator[Engine]:
    """An engine inside a Python process that is spoken to in lines (`flow_load.Lines`)."""
    python = program("python")
    port = free_port()
    url = await stack.create_database(f"{name}_{stack.next_number()}")
    env = {**os.environ, "PEER_DATABASE_URL": url, "PEER_PORT": str(port)}
    env["PATH"] = f"{Path(python).parent}:{env['PATH']}"
    env.pop("PYTHONPATH", None)
    service = Service(name, [python, str(FOLDER / f"{name}_app.py")], env, port, None)
    async with serving(service, stack.directory / f"{name}.log") as pid:
        yield Engine(pid, FlowJob("line", port, []))


@asynccontextmanager
async def dbos(stack: Stack) -> AsyncIterator[Engine]:
    async with line_peer(stack, "dbos") as found:
        yield found


@asynccontextmanager
async def absurd(stack: Stack) -> AsyncIterator[Engine]:
    async with line_peer(stack, "absurd") as found:
        yield found


@asynccontextmanager
async def restate(stack: Stack) -> AsyncIterator[Engine]:
    """One node of Restate, and a Node.js process with the service."""
    server = node_module("@restatedev/restate-server-linux-x64/bin/restate-server")
    ingress, admin, fabric, line, app = (free_port() for _ in range(5))
    env = {**os.environ, "PEER_PORT": str(app), "PEER_LINE_PORT": str(line)}
    script = Process("restate service", [node(), node_script("restate_app.mjs")], env)
    directory = stack.directory / f"restate-{stack.next_number()}"
    env = {
        **os.environ,
        "RESTATE_BASE_DIR": str(directory),
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{fabric}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{fabric}",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "RESTATE_LOG_FILTER": "warn",
    }
    service = Service("Restate", [str(server), "--node-name", "bench"], env, admin, "/health")
    async with (
        starting(script, stack.directory / "restate-service.log") as worker,
        serving(service, stack.directory / "restate.log") as pid,
    ):
        await trio.to_thread.run_sync(_register, admin, app)
        yield Engine(pid, FlowJob("restate", ingress, [], line_port=line), worker)


def _register(admin: int, app: int) -> None:
    """Tell Restate where the service is, once both are there."""
    body = msgspec.json.encode({"uri": f"http://127.0.0.1:{app}"})
    for last in (False,) * 100 + (True,):
        connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
        connection.request("POST", "/deployments", body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        said = reply.read().decode(errors="replace")
        connection.close()
        if reply.status in (200, 201):
            return
        if last:
            raise RunFailed(f"Restate does not take the service: {said}")
        time.sleep(0.1)


PEERS: Final[dict[str, FlowPeer]] = {"dbos": dbos, "restate": restate, "absurd": absurd}
