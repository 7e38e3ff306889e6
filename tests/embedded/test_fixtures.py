"""What tests elsewhere may count on from `tests/servers.py`."""

from __future__ import annotations

import pytest
import redis

from tests.embedded.clients import fetch_value, psql


@pytest.mark.parametrize("_time", [1, 2])
def test_each_test_has_a_migrated_database_of_its_own(database_url: str, _time: int) -> None:
    psql(database_url, "create table mine ()")
    assert fetch_value(database_url, "select count(*) from pg_tables where tablename = 'event'")


@pytest.mark.parametrize("_time", range(20))
def test_each_test_finds_its_redis_empty(fresh_redis_url: str, _time: int) -> None:
    with redis.Redis.from_url(fresh_redis_url) as client:
        assert client.dbsize() == 0
        client.set("mine", "yes")


async def test_the_urls_can_be_used_from_an_async_test(
    database_url: str, fresh_redis_url: str
) -> None:
    assert psql(database_url, "select 1") == "1"
    assert fresh_redis_url.startswith("unix://")
