"""What a page of an inbox costs the database where a responder has 100,000 inquiries.

The plans are judged by the pages of memory they touch, which no busy machine changes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from pxbox.postgres.statements import sql
from tests.postgres.sessions import run_asyncio
from tests.servers import AsyncpgThread

_MANY = 100_000
_NOW = datetime.now(UTC)

# Of the inquiries of `ada`, four of five are open; a tenth came by way of `team`, some both ways.
# One in seven is read, one in fifty deleted, fifty are snoozed.
_FILL = f"""
insert into schema (hash, draft, body) values ('h', '2020-12', 'true');
insert into request (id, version, commit_id, status, requestor, deadline_at, created_at, state,
                     schema_hash, ui_hints, prefill, meta, search)
select 'r' || lpad(n::text, 25, '0'), 1, gen_random_uuid(),
       case when n % 5 = 0 then 'ANSWERED' when n % 97 = 1 then 'CLAIMED' else 'PENDING' end,
       'asker ' || n % 1000, now() + n * interval '1 minute', now() - n * interval '1 second',
       json_build_object('id', 'r' || lpad(n::text, 25, '0'), 'title', 'Where to? ' || n,
                         'tags', json_build_array('t' || n % 1000)),
       'h', 'null', 'null', '{{}}', 'where to? ' || n
  from generate_series(1, {_MANY}) as n;
insert into inquiry (request_id, entity_id, status, created_at, deadline_at, attention_at,
                     requestor, tags)
select r.id, e.id, r.status, r.created_at,
       case when n % 3 = 0 then 'infinity' else r.deadline_at end,
       case when n % 4 = 0 then r.deadline_at - interval '30 days' else 'infinity' end,
       r.requestor, array['t' || n % 1000]
  from generate_series(1, {_MANY}) as n
  join request r on r.id = 'r' || lpad(n::text, 25, '0')
 cross join (values ('ada'), ('team')) as e (id)
 where e.id = 'ada' and n % 10 <> 3 or e.id = 'team' and n % 10 in (2, 3);
insert into mark (request_id, entity_id, version, commit_id, read, snoozed_until, deleted)
select 'r' || lpad(n::text, 25, '0'), 'ada', 1, gen_random_uuid(), n % 7 = 0,
       case when n % 2000 = 1 then now() + interval '1 day' end, n % 50 = 0
  from generate_series(1, {_MANY}) as n where n % 7 = 0 or n % 50 = 0 or n % 2000 = 1;
"""


@dataclass(frozen=True)
class Filled:
    url: str


@pytest.fixture(scope="module")
def filled(shared_database_url: str) -> Iterator[str]:
    thread = AsyncpgThread(shared_database_url)
    try:
        for statement in _FILL.split(";\n"):
            if statement.strip():
                thread.execute(statement)
        thread.execute("vacuum analyze")
    finally:
        thread.close()
    yield shared_database_url


OPEN = ["PENDING", "CLAIMED"]
ALL = [*OPEN, "ANSWERED", "DECLINED", "CANCELLED", "EXPIRED"]
SOON = _NOW + timedelta(days=1)
BASE: dict[int, Any] = {
    1: ["ada", "team"], 2: ALL, 3: 51, 4: "ada", 5: "ada", 6: None, 7: None, 8: None, 9: None,
    10: None, 11: None, 12: None, 13: False, 14: None, 15: False, 16: None, 17: None, 18: [],
}  # fmt: skip
CASES: dict[str, dict[int, Any]] = {
    "everything": {},
    "open": {2: OPEN},
    "claimed": {2: ["CLAIMED"]},
    "unread": {2: OPEN, 14: True},
    "read": {2: OPEN, 14: False},
    "due soon": {2: OPEN, 10: SOON},
    "due late": {2: OPEN, 11: _NOW + timedelta(days=60)},
    "attention": {2: OPEN, 12: _NOW + timedelta(hours=1)},
    "requestor": {2: OPEN, 6: "asker 501"},
    "tag": {2: OPEN, 8: "t501"},
    "text": {2: OPEN, 9: "to? 99991"},
    "middle": {2: OPEN, 16: str(_NOW + timedelta(days=30)), 17: "r"},
    "deleted": {2: OPEN, 13: True},
}


def test_show(filled: str) -> None:
    async def body() -> None:
        connection = await asyncpg.connect(
            filled,
            server_settings={
                "plan_cache_mode": "force_custom_plan",
                "timezone": "UTC",
                "jit": "off",
            },
        )
        for name in (
            "inbox_by_deadline",
            "inbox_by_attention",
            "inbox_by_created",
            "inbox_snoozed",
            "inbox_total",
        ):
            for case, changes in CASES.items():
                p = {**BASE, **changes}
                if name == "inbox_total":
                    p[3] = 1001
                args = [p[n] for n in range(1, 19)]
                if name == "inbox_total":
                    args = args[:15]
                r = await connection.fetchval(
                    "explain (analyze, buffers, format json) " + sql(name), *args
                )
                j = json.loads(r)[0]
                b = j["Plan"]["Shared Hit Blocks"] + j["Plan"]["Shared Read Blocks"]
                print(
                    f"{name:20} {case:12} plan {j['Planning Time']:.2f} exec {j['Execution Time']:.2f} ms buffers {b}"
                )
        for cap in (1001, 10001):
            r = await connection.fetchval(
                "explain (analyze, buffers, format json) " + sql("inbox_sections"),
                ["ada", "team"],
                "ada",
                "ada",
                _NOW + timedelta(hours=1),
                SOON,
                cap,
            )
            j = json.loads(r)[0]
            b = j["Plan"]["Shared Hit Blocks"] + j["Plan"]["Shared Read Blocks"]
            print(
                f"sections {cap} plan {j['Planning Time']:.2f} exec {j['Execution Time']:.2f} ms buffers {b}"
            )
            print(
                await connection.fetch(
                    sql("inbox_sections"),
                    ["ada", "team"],
                    "ada",
                    "ada",
                    _NOW + timedelta(hours=1),
                    SOON,
                    cap,
                )
            )
        await connection.close()

    run_asyncio(body)
