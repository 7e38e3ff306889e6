"""A commit finds its rows by their keys, whenever its statements were planned (S1).

A connection plans them once, most often on empty tables, which are read quickest as a whole; they
must not be read so when they have grown. Judged by the pages touched, which no load changes.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import asyncpg

from actors.journal import AlarmClear, AlarmSet, Commit, Event, Link, Row
from pxbox.postgres.batch import CALL, Batch
from tests.postgres.sessions import request_row, run_asyncio
from tests.servers import AsyncpgThread

_MANY = 20_000
# No statistics are made of it, so nothing is planned anew.
_FILL = f"""
insert into request (id, version, commit_id, status, requestor, created_at, state, schema_hash,
                     ui_hints, prefill, meta)
select 'filled' || n, 1, gen_random_uuid(), 'PENDING', 'r', now(), '{{}}', 'h', '1', '1', '1'
  from generate_series(1, {_MANY}) as n;
insert into inquiry (request_id, entity_id, status, created_at, deadline_at, attention_at,
                     requestor)
select 'filled' || n, 'e', 'PENDING', now(), 'infinity', 'infinity', 'r'
  from generate_series(1, {_MANY}) as n;
insert into alarm (id, due_at, visible_at, subject)
select 'filled' || n, now() + interval '1 day', now() + interval '1 day', 's'
  from generate_series(1, {_MANY}) as n;
insert into channel (name, head) select 'filled' || n, 1 from generate_series(1, {_MANY}) as n;
insert into unrelayed (channels) select '{{c}}' from generate_series(1, {_MANY}) as n;
insert into draft (request_id, entity_id, payload)
select 'filled' || n, 'e', 'null' from generate_series(1, {_MANY}) as n
"""
# Each of the tables has hundreds of pages.
MOST_TOUCHED = 170


def life(name: str) -> list[Commit]:
    """A request is made, claimed and answered."""
    due = datetime.now(UTC) + timedelta(hours=1)
    answer = {
        "request_id": name, "payload": "1", "answered_by": "e", "client": "c", "answered_at": due,
    }  # fmt: skip
    event = Event(name, (f"request:{name}", "entity:e"), b"{}")
    claimed = request_row(name, 2, status="CLAIMED")
    answered = request_row(name, 3, status="ANSWERED")
    return [
        Commit(
            uuid4(),
            (request_row(name, 1),),
            links=(Link("addressee", name, "e"),),
            events=(event,),
        ),
        Commit(uuid4(), (claimed,), alarms=(AlarmSet(name, due, name),), events=(event,)),
        Commit(
            uuid4(),
            (answered, Row("response", name, 1, answer)),
            alarms=(AlarmClear(name),),
            events=(event,),
        ),
    ]


async def touched(connection: asyncpg.Connection, commit: Commit) -> int:
    """How many pages of memory the commit touches."""
    text = await connection.fetchval(
        f"explain (analyze, buffers, format json) {CALL}", *Batch([commit]).arguments([1])
    )
    plan = json.loads(text)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def test_what_was_planned_on_empty_tables_reads_no_full_one(database_url: str) -> None:
    async def pages() -> list[int]:
        connection = await asyncpg.connect(database_url)
        filler = AsyncpgThread(database_url)
        try:
            for n in range(7):
                for commit in life(f"before{n}"):
                    await connection.fetchrow(CALL, *Batch([commit]).arguments([1]))
            for statement in _FILL.split(";\n"):
                filler.execute(statement)
            return [await touched(connection, commit) for commit in life("after")]
        finally:
            filler.close()
            await connection.close()

    found = run_asyncio(pages)
    assert max(found) < MOST_TOUCHED, found
