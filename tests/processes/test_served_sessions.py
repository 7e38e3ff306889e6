"""The database knows which workers' sessions have a broker and a connection (F4)."""

from __future__ import annotations

import trio

from tests.brokers import Broker, Brokers
from tests.inspection import Database
from tests.transports.clients import connected, unique

PATIENCE_SECONDS = 10.0
SERVED = """
select s.served_by = '' as left,
       exists (select from pg_stat_activity a where a.application_name = s.served_by
                  and s.served_by <> '') as lives
  from worker_session s where s.id = $1
"""


async def until(database: Database, session: str, left: bool, lives: bool) -> None:
    with trio.fail_after(PATIENCE_SECONDS):
        while [tuple(row) for row in database.fetch(SERVED, session)] != [(left, lives)]:
            await trio.lowlevel.checkpoint()


async def test_a_connection_that_closes_and_a_broker_that_is_killed_are_known_to_be_gone(
    broker: Broker, brokers: Brokers, database: Database
) -> None:
    opening = {"kinds": [{"kind": unique("kind")[:40], "version": 1}]}
    token = broker.token(unique("worker"))
    async with connected(broker, token) as socket:
        session = (await socket.command("openSession", opening))["sessionId"]
        await until(database, session, left=False, lives=True)
    await until(database, session, left=True, lives=False)
    async with connected(broker, token) as socket:
        await socket.command("leaseFlows", {"id": session})
        await until(database, session, left=False, lives=True)
        broker.kill()
        # Nobody is left to say so; the database knows by itself.
        await until(database, session, left=False, lives=False)
