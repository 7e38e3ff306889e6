"""What a page of an inbox costs the database where a responder has 100,000 inquiries.

The plans are judged by the pages of memory they touch, which no busy machine changes.
"""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from pxbox.postgres.inbox import MOST_COUNTED
from pxbox.postgres.reader import LIST_SETTINGS
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
       r.requestor, array['t' || n % 1000, 'common']
  from generate_series(1, {_MANY}) as n
  join request r on r.id = 'r' || lpad(n::text, 25, '0')
 cross join (values ('ada'), ('team')) as e (id)
 where e.id = 'ada' and n % 10 <> 3 or e.id = 'team' and n % 10 in (2, 3);
insert into mark (request_id, entity_id, version, commit_id, read, snoozed_until, deleted)
select 'r' || lpad(n::text, 25, '0'), 'ada', 1, gen_random_uuid(), n % 7 = 0,
       case when n % 2000 = 1 then now() + interval '1 day' end, n % 50 = 0
  from generate_series(1, {_MANY}) as n where n % 7 = 0 or n % 50 = 0 or n % 2000 = 1;
"""


@pytest.fixture(scope="module")
def filled(shared_database_url: str) -> str:
    thread = AsyncpgThread(shared_database_url)
    try:
        for statement in _FILL.split(";\n"):
            if statement.strip():
                thread.execute(statement)
        thread.execute("vacuum analyze")
    finally:
        thread.close()
    return shared_database_url


OPEN = ["PENDING", "CLAIMED"]
ALL = [*OPEN, "ANSWERED", "DECLINED", "CANCELLED", "EXPIRED"]
SOON = _NOW + timedelta(days=1)
PARAMETERS: dict[int, Any] = {
    1: ["ada", "team"], 2: OPEN, 3: 51, 4: "ada", 5: "ada", 6: None, 7: None, 8: None, 9: None,
    10: None, 11: None, 12: None, 13: False, 14: None, 15: False, 16: None, 17: None, 18: ["c"],
}  # fmt: skip
# What each asks for beside the above.
LISTS: dict[str, dict[int, Any]] = {
    "open": {},
    "of every status": {2: ALL},
    "claimed": {2: ["CLAIMED"]},
    "unread": {14: True},
    "due soon": {10: SOON},
    "due late": {11: _NOW + timedelta(days=60)},
    "needs attention": {12: _NOW + timedelta(hours=1)},
    "from the middle": {16: str(_NOW + timedelta(days=30)), 17: "r"},
    "with what was deleted": {13: True},
    "with what is snoozed": {15: True},
    "by a tag that all have": {8: "common"},
}
# Few match, far apart: each is found by an index of its own, and what is found is sorted.
SPARSE: dict[str, dict[int, Any]] = {
    "by its asker": {6: "asker 501"},
    "by its tag": {8: "t501"},
    "by its flow": {7: "f"},
    "by a tag of none": {8: "t"},
    "by its asker, of every status": {6: "asker 501", 2: ALL},
}
PAGES = ["inbox_by_deadline", "inbox_by_attention", "inbox_by_created"]
# What one page or count may touch of memory, in pages of 8 KiB: 1 to 3 ms where nothing else runs.
# A look at every inquiry's mark or request alone would be 200,000.
MOST_TOUCHED = 4_000
MOST_TOUCHED_SPARSE = 2_000
MOST_TOUCHED_COUNTING = 8_000


def explained(url: str, name: str, parameters: list[object]) -> tuple[int, str]:
    """How many pages of memory the statement touches, and its plan."""

    async def body() -> tuple[int, str]:
        connection = await asyncpg.connect(url, server_settings=LIST_SETTINGS)
        try:
            text = await connection.fetchval(
                f"explain (analyze, buffers, format json) {sql(name)}", *parameters
            )
        finally:
            await connection.close()
        (plan,) = json.loads(text)
        return plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"], text

    return run_asyncio(body)


def parameters(changes: dict[int, Any], count: int) -> list[object]:
    return [{**PARAMETERS, **changes}[n] for n in range(1, count + 1)]


@pytest.mark.parametrize("list_", LISTS)
@pytest.mark.parametrize("name", [*PAGES, "inbox_snoozed"])
def test_a_page_is_read_in_the_order_of_an_index(filled: str, name: str, list_: str) -> None:
    touched, plan = explained(filled, name, parameters(LISTS[list_], 18))
    assert touched < MOST_TOUCHED, plan
    for table in ("inquiry", "mark", "request"):
        assert not re.search(rf'"Seq Scan"[^}}]*"Relation Name": "{table}"', plan), plan


@pytest.mark.parametrize("list_", SPARSE)
@pytest.mark.parametrize("name", PAGES)
def test_a_sparse_list_looks_at_what_matches_alone(filled: str, name: str, list_: str) -> None:
    touched, plan = explained(filled, name, parameters(SPARSE[list_], 18))
    assert touched < MOST_TOUCHED_SPARSE, plan


@pytest.mark.parametrize("list_", SPARSE)
def test_a_sparse_list_is_counted_by_what_matches_alone(filled: str, list_: str) -> None:
    wanted = {**SPARSE[list_], 3: MOST_COUNTED + 1}
    touched, plan = explained(filled, "inbox_total", parameters(wanted, 15))
    assert touched < MOST_TOUCHED_SPARSE, plan


@pytest.mark.parametrize("list_", LISTS)
def test_counting_stops_where_nobody_looks(filled: str, list_: str) -> None:
    wanted = {**LISTS[list_], 3: MOST_COUNTED + 1}
    touched, plan = explained(filled, "inbox_total", parameters(wanted, 15))
    assert touched < MOST_TOUCHED_COUNTING, plan


def test_sections_are_counted_up_to_the_same(filled: str) -> None:
    urgent = _NOW + timedelta(hours=1)
    wanted = [["ada", "team"], "ada", "ada", urgent, SOON, MOST_COUNTED + 1]
    touched, plan = explained(filled, "inbox_sections", wanted)
    assert touched < 3 * MOST_TOUCHED, plan
