"""The servers of `fanout` and `replay`, each started afresh for a run, fsync on where it keeps."""

from __future__ import annotations

import http.client
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

import msgspec
import trio

from bench.crowd import Place
from bench.installed import node, node_script, program
from bench.processes import Service, free_port, serving
from bench.stack import Stack, pxbox_service, token
from pxbox.embedded.binaries import valkey_program
from pxbox.embedded.data_dir import DataDir

NAMES: Final = {
    "pxbox": "PxBox",
    "pxbox-batch": "PxBox, readers take batches",
    "socketio": "socket.io + Redis Streams",
    "nats": "NATS JetStream",
}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs, the pids of what keeps its events, and where the load client finds it."""

    pid: int
    stores: list[int]
    place: Place


Opening = Callable[[Stack, int], AbstractAsyncContextManager[Running]]


@asynccontextmanager
async def pxbox(stack: Stack, readers: int, batch: bool = False) -> AsyncIterator[Running]:
    """The broker, on a database of its own; all readers watch one entity."""
    url = await stack.create_database(f"crowd_{stack.next_number()}")
    service = pxbox_service(stack, url)
    valkey = int(DataDir.at(stack.directory / "servers").pid_file("valkey").read_text())
    async with serving(service, stack.directory / "pxbox.log") as pid:
        entity = await trio.to_thread.run_sync(_make_entity, service.port)
        place = Place(
            "pxbox",
            service.port,
            batch,
            channel=f"entity:{entity}",
            to=entity,
            asker=token("asker", "request"),
            tokens=[token(f"reader-{n}", "respond", entity) for n in range(readers)],
        )
        yield Running(pid, [stack.postmaster, valkey], place)


def pxbox_batch(stack: Stack, readers: int) -> AbstractAsyncContextManager[Running]:
    return pxbox(stack, readers, batch=True)


def _make_entity(port: int) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"Bearer {token('admin', 'admin')}"}
    headers["Content-Type"] = "application/json"
    body = msgspec.json.encode({"kind": "user", "handle": "crowd"})
    connection.request("POST", "/v1/entities", body, headers)
    made = msgspec.json.decode(connection.getresponse().read())
    connection.close()
    return str(made["entityId"])


@asynccontextmanager
async def socketio(stack: Stack, readers: int) -> AsyncIterator[Running]:
    """socket.io on a Valkey of its own that writes its stream to disk before it replies."""
    runtime, script = node(), node_script("socketio_app.mjs")
    folder = stack.directory / f"valkey-{stack.next_number()}"
    folder.mkdir()
    port = free_port()
    settings = {
        "port": str(port), "bind": "127.0.0.1", "save": "", "dir": str(folder),
        "appendonly": "yes", "appendfsync": "always",
    }  # fmt: skip
    words = [word for name, value in settings.items() for word in (f"--{name}", value)]
    store = Service("Valkey", [str(valkey_program()), *words], os.environ, port, None)
    env = {**os.environ, "PEER_REDIS_URL": f"redis://127.0.0.1:{port}"}
    env["PEER_PORT"] = str(free_port())
    service = Service("socket.io", [runtime, script], env, int(env["PEER_PORT"]), "/")
    async with (
        serving(store, stack.directory / "valkey.log") as valkey,
        serving(service, stack.directory / "socketio.log") as pid,
    ):
        yield Running(pid, [valkey], Place("socketio", service.port))


@asynccontextmanager
async def nats(stack: Stack, readers: int) -> AsyncIterator[Running]:
    """NATS with a stream in files, synchronized before each acknowledgement."""
    server = program("nats-server")
    folder = stack.directory / f"nats-{stack.next_number()}"
    folder.mkdir()
    port = free_port()
    settings = folder / "nats.conf"
    settings.write_text(
        f'listen: "127.0.0.1:{free_port()}"\n'
        f'websocket {{ listen: "127.0.0.1:{port}", no_tls: true }}\n'
        f'jetstream {{ store_dir: "{folder}", sync_interval: always }}\n'
    )
    service = Service("NATS", [server, "--config", str(settings)], os.environ, port, None)
    async with serving(service, stack.directory / "nats.log") as pid:
        yield Running(pid, [], Place("nats", port))


SERVERS: Final[dict[str, Opening]] = {
    "pxbox": pxbox, "pxbox-batch": pxbox_batch, "socketio": socketio, "nats": nats,
}  # fmt: skip
