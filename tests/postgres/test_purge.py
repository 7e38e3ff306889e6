"""Idempotency keys are deleted once they no longer count, and no other keys are (S7)."""

from __future__ import annotations

from tests.postgres.conftest import OpenJournal


async def test_only_idempotency_keys_of_more_than_a_day_ago_go(opened: OpenJournal) -> None:
    await opened.query(
        "insert into unique_key (space, key, commit_id, holds, reserved_at) "
        "select space, age::text || n, gen_random_uuid(), '{}', clock_timestamp() - age "
        "from unnest(array['idempotency', 'address']) as space, "
        "     unnest(array[interval '23 hours', interval '25 hours']) as age, "
        "     generate_series(1, 3) as n"
    )
    assert [await opened.views.purge_keys(2) for _ in range(3)] == [2, 1, 0]
    rows = await opened.query(
        "select space, count(*) as n from unique_key group by space order by space"
    )
    assert [(row["space"], row["n"]) for row in rows] == [("address", 6), ("idempotency", 3)]
