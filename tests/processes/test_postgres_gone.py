"""Postgres goes or freezes under two brokers: callers hear of it in time, nothing that was
acknowledged is lost, and all goes on when it returns (S1, S7)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from uuid import uuid4

import httpx
import pytest
import trio

from tests.brokers import NO_TLS, REPLY_SECONDS, Broker, Refused
from tests.inspection import GLANCE_SECONDS, Database, open_database
from tests.processes.conftest import Shaken, Watched
from tests.processes.people import Call, at_once
from tests.servers import DisposableServers

BOUND_SECONDS = 15.0
RECOVERY_SECONDS = 10.0
OUTAGE_SECONDS = 2.0
# Longer than the broker waits for a connection, and for any answer on one (`connection.py`).
FREEZE_SECONDS = 12.0
REFUSALS = frozenset({"unavailable", "outcome_unknown"})


@dataclass(frozen=True, slots=True)
class Outage:
    begin: Callable[[DisposableServers], None]
    end: Callable[[DisposableServers], None]
    seconds: float


OUTAGES = {
    "stopped": Outage(
        DisposableServers.stop_postgres, DisposableServers.start_postgres, OUTAGE_SECONDS
    ),
    "killed": Outage(
        DisposableServers.kill_postgres, DisposableServers.start_postgres, OUTAGE_SECONDS
    ),
    "frozen": Outage(
        DisposableServers.freeze_postgres, DisposableServers.thaw_postgres, FREEZE_SECONDS
    ),
}


@dataclass(slots=True)
class Heard:
    """What callers were told while Postgres was away. `creates` are the calls by their keys."""

    refusals: list[str] = field(default_factory=list)
    replies: int = 0
    longest_seconds: float = 0.0
    creates: list[Call] = field(default_factory=list)


async def keep_calling(broker: Broker, watched: Watched, path: str, heard: Heard) -> None:
    """Make calls of every sort, one after the other, until cancelled."""
    headers = {"authorization": f"Bearer {broker.token(watched.people.asker)}"}
    async with httpx.AsyncClient(
        base_url=broker.url, headers=headers, timeout=REPLY_SECONDS, verify=NO_TLS
    ) as client:
        while True:
            create = watched.people.question(broker, key=uuid4().hex)
            heard.creates.append(create)
            sent = {"idempotency-key": create.key or ""}
            for request in (
                client.build_request("POST", create.path, json=create.body, headers=sent),
                client.build_request("POST", f"{path}/cancel"),
                client.build_request("GET", path),
                client.build_request("GET", f"{path}/events"),
                client.build_request("GET", "/readyz"),
            ):
                # The outage may end in the middle of a call: the call does not.
                with trio.CancelScope(shield=True):
                    await hear(client, request, heard)
                await trio.lowlevel.checkpoint()


async def hear(client: httpx.AsyncClient, request: httpx.Request, heard: Heard) -> None:
    started = trio.current_time()
    reply = await client.send(request)
    heard.longest_seconds = max(heard.longest_seconds, trio.current_time() - started)
    heard.replies += 1
    if reply.status_code >= 400:
        assert reply.status_code == 503, reply.text
        assert int(reply.headers["retry-after"]) >= 1
        assert reply.headers["content-type"] == "application/problem+json"
        heard.refusals.append(reply.json()["code"])


@asynccontextmanager
async def callers(shaken: Shaken, watched: Watched, path: str, heard: Heard) -> AsyncIterator[None]:
    """Callers at both brokers, as long as the block lasts."""
    async with trio.open_nursery() as nursery:
        for broker in shaken.two:
            nursery.start_soon(keep_calling, broker, watched, path, heard)
        yield
        nursery.cancel_scope.cancel()


async def passes(seconds: float) -> None:
    """An outage lasts so long, whatever is done in it."""
    await trio.sleep(seconds)


async def test_a_postgres_that_goes_is_said_in_time_and_nothing_is_lost(
    shaken: Shaken, watched: Watched, outage: Outage
) -> None:
    """Its callers are refused within seconds, and their keys bring one effect in the end."""
    acknowledged = await watched.people.ask(shaken.two[0])
    path = f"/v1/requests/{acknowledged['id']}"
    (claimed,) = await at_once([Call(shaken.two[1], watched.member, f"{path}/claim")])
    assert claimed.is_success
    heard = Heard()
    await trio.to_thread.run_sync(outage.begin, shaken.servers)
    async with callers(shaken, watched, path, heard):
        with pytest.raises(Refused) as refused:
            with trio.fail_after(BOUND_SECONDS):
                await watched.sockets[0].command("getRequest", {"id": acknowledged["id"]})
        assert refused.value.code in REFUSALS
        await passes(outage.seconds)
    assert heard.longest_seconds <= BOUND_SECONDS
    assert set(heard.refusals) <= REFUSALS
    assert len(heard.refusals) == heard.replies >= 10
    await trio.to_thread.run_sync(outage.end, shaken.servers)
    with trio.fail_after(RECOVERY_SECONDS):
        await both_serve(shaken, watched, heard)
    await repeated_with_one_effect(heard, shaken)
    with open_database(shaken.servers.database_url) as database:
        await nothing_lost(database, shaken, watched, heard, path)


@pytest.fixture(params=OUTAGES)
def outage(request: pytest.FixtureRequest) -> Outage:
    return OUTAGES[request.param]


async def both_serve(shaken: Shaken, watched: Watched, heard: Heard) -> None:
    """Return once both brokers have carried out a command again, and say that they are ready."""
    for broker in shaken.two:
        create = watched.people.question(broker, key=uuid4().hex)
        heard.creates.append(create)
        await insist(create)
    await shaken.ready(RECOVERY_SECONDS)


async def insist(call: Call) -> httpx.Response:
    """Repeat a call until it is carried out: each connection to Postgres comes back by itself."""
    while True:
        (reply,) = await at_once([call])
        if reply.status_code != 503:
            return reply
        await trio.sleep(GLANCE_SECONDS)


async def repeated_with_one_effect(heard: Heard, shaken: Shaken) -> None:
    """Each create is repeated at both brokers, and all the replies to one key are the same."""
    for create in heard.creates:
        first, second = [await insist(replace(create, broker=broker)) for broker in shaken.two]
        assert first.status_code == second.status_code == 201, first.text
        assert first.json() == second.json()


async def nothing_lost(
    database: Database, shaken: Shaken, watched: Watched, heard: Heard, path: str
) -> None:
    """What was acknowledged is there, each key has one request, and the sockets, which were
    open all the time, have been told of everything, once."""
    assert not any(socket.closed.is_set() for socket in watched.sockets)
    requests = "select count(*) from request where requestor = $1"
    assert database.value(requests, watched.people.asker) == 1 + len(heard.creates)
    async with shaken.two[0].rest(shaken.two[0].token(watched.people.asker)) as client:
        assert (await client.get(path)).json()["status"] in {"CLAIMED", "CANCELLED"}
        (cancelled,) = [await client.post(f"{path}/cancel")]
        assert cancelled.json()["status"] == "CANCELLED"
    assert database.unsound_channels() == []
    events = database.events(watched.people.channel)
    for socket in watched.sockets:
        await socket.until(lambda socket=socket: len(socket.events) >= len(events))  # type: ignore[misc]
    assert watched.seqs() == [[seq for seq, _, _ in events]] * 2
