"""SIGTERM: what is in hand is finished, everybody is told, and the process ends in time (A6)."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator

import httpx
import pytest
import trio

from tests.brokers import Broker
from tests.inspection import Database, eventually
from tests.processes.people import Call, People, at_once

GRACE_SECONDS = 10.0
WAITING_COMMITS = """
select count(*) from pg_stat_activity
 where datname = current_database() and wait_event_type = 'Lock' and query like '%px_commit%'
"""


@pytest.fixture
async def path(broker: Broker, people: People) -> str:
    """The path of an open request."""
    return f"/v1/requests/{(await people.ask(broker))['id']}"


@pytest.fixture
async def people(broker: Broker) -> People:
    people = People()
    await people.enter(broker, 1)
    return people


@pytest.fixture
async def polling(broker: Broker, people: People, path: str) -> AsyncIterator[list[httpx.Response]]:
    """A list that gets the reply of somebody who waits for the answer, once there is one."""
    replies: list[httpx.Response] = []

    async def poll(client: httpx.AsyncClient) -> None:
        replies.append(await client.get(f"{path}/response", headers={"prefer": "wait=50"}))

    async with broker.rest(broker.token(people.asker)) as client, trio.open_nursery() as nursery:
        nursery.start_soon(poll, client)
        yield replies
        nursery.cancel_scope.cancel()


async def test_a_draining_broker_finishes_what_is_in_hand_and_ends_in_time(
    broker: Broker,
    people: People,
    path: str,
    polling: list[httpx.Response],
    database: Database,
) -> None:
    ((member, entity),) = people.members
    started = trio.current_time()
    async with broker.websocket(broker.token(people.asker)) as socket:
        await socket.subscribe(people.channel)
        async with trio.open_nursery() as nursery:
            database.execute("begin")
            database.fetch("select from request for update")
            claims: list[httpx.Response] = []

            async def claim() -> None:
                claims.extend(await at_once([Call(broker, member, f"{path}/claim")]))

            nursery.start_soon(claim)
            await eventually(lambda: database.value(WAITING_COMMITS), "the claim is in hand")
            broker.process.send_signal(signal.SIGTERM)
            await socket.closed.wait()
            assert socket.close_code == 1001
            assert [frame["data"] for frame in socket.others] == [{"code": "draining"}]
            assert claims == []
            async with broker.rest() as newcomer:
                with pytest.raises(httpx.ConnectError):
                    await newcomer.get("/healthz")
            database.execute("commit")
    assert [reply.status_code for reply in claims] == [200]
    assert claims[0].json()["claim"]["by"] == entity
    assert await trio.to_thread.run_sync(broker.wait) == 0
    assert trio.current_time() - started < GRACE_SECONDS
    assert [reply.status_code for reply in polling] == [404]
    assert polling[0].json()["code"] == "not_answered"
    types = [type for _, _, type in database.events(f"request:{path.rpartition('/')[2]}")]
    assert types == ["request.created", "request.claimed"]


async def test_an_idle_broker_ends_at_once_and_says_so(broker: Broker) -> None:
    assert await trio.to_thread.run_sync(broker.stop) == 0
    assert '"abandoned": 0' in broker.log.read_text()
