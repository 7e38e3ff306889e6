"""What is asked again and again finds what is due by an index, however much waits (S10, S5, S7).

The plans are judged by the pages of memory they touch, which no busy machine changes.
"""

from __future__ import annotations

import json
from datetime import timedelta

import asyncpg
import pytest

from pxbox.postgres.statements import sql
from tests.postgres.sessions import run_asyncio
from tests.servers import AsyncpgThread

_MANY = 50_000
_FILL = f"""
insert into alarm (id, due_at, visible_at, subject)
select 'request:r' || n || ':deadline', at, at, 'request:r' || n
  from (select n, now() + n * interval '1 minute' as at from generate_series(1, {_MANY}) as n) a;
insert into message (id, recipient, body, visible_at)
select gen_random_uuid(), 'request:r', 'null', now() + interval '10 seconds'
  from generate_series(1, {_MANY});
insert into unique_key (space, key, commit_id, holds)
select 'idempotency', n::text, gen_random_uuid(), 'null' from generate_series(1, {_MANY}) as n;
insert into event (channel, seq, id, data)
select 'c', n, n::text, 'null' from generate_series(1, {_MANY}) as n;
insert into acknowledged (sub, session, channel, epoch, seq)
select 's', n::text, 'c', 'e', 1 from generate_series(1, {_MANY}) as n;
insert into ws_ticket (hash, principal, expires_at)
select n::text::bytea, 'null', now() + interval '1 minute' from generate_series(1, {_MANY}) as n;
insert into login (hash, principal, expires_at, ends_at)
select n::text::bytea, 'null', now(), now() from generate_series(1, {_MANY}) as n;
insert into used_link (hash, login, expires_at)
select n::text::bytea, '', now() + interval '1 hour' from generate_series(1, {_MANY}) as n
"""
_ONE = timedelta(days=1)
LOOKS: dict[str, list[object]] = {
    "take_alarms": [100, timedelta(seconds=10), None],
    "take_messages": [100, timedelta(seconds=10)],
    "purge_keys": [100],
    "purge_events": [_ONE, 100],
    "purge_acknowledged": [_ONE, 100],
    "purge_tickets": [100],
    "purge_logins": [100],
}
# Every row of any of these tables lies in hundreds of pages.
MOST_TOUCHED = 60


@pytest.fixture(scope="module")
def waiting(shared_database_url: str) -> str:
    thread = AsyncpgThread(shared_database_url)
    try:
        for statement in _FILL.split(";\n"):
            thread.execute(statement)
        # It brings ranges of pages into their indexes, too.
        thread.execute("vacuum analyze")
    finally:
        thread.close()
    return shared_database_url


@pytest.mark.parametrize("name", LOOKS)
def test_a_look_for_what_is_due_touches_nothing_that_waits(waiting: str, name: str) -> None:
    async def explained() -> str:
        connection = await asyncpg.connect(waiting)
        try:
            text: str = await connection.fetchval(
                f"explain (analyze, buffers, format json) {sql(name)}", *LOOKS[name]
            )
        finally:
            await connection.close()
        return text

    text = run_asyncio(explained)
    (found,) = json.loads(text)
    plan = found["Plan"]
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < MOST_TOUCHED, text
