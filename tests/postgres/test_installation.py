"""The installation's row: when its epoch is replaced, and when it is not (E4)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import asyncpg
import pytest
import trio

from pxbox.jobs import open_residents
from pxbox.postgres.installation import Installations, install, restore_done
from pxbox.postgres.reader import Reader
from tests.postgres.sessions import run_asyncio

T = TypeVar("T")


async def in_asyncio(task: Callable[[], Coroutine[Any, Any, T]]) -> T:
    return await trio.to_thread.run_sync(run_asyncio, task)


class Installed:
    """A database with an installation, and what the broker does with it."""

    def __init__(self, url: str, reader: Reader) -> None:
        self.url = url
        self.reader = reader
        self.installations = Installations(reader, "fingerprint")

    async def execute(self, statement: str, *arguments: object) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self.url)
            try:
                await connection.execute(statement, *arguments)
            finally:
                await connection.close()

        await in_asyncio(run)

    async def age(self, age: timedelta) -> None:
        """Have the epoch be of this age."""
        await self.execute(
            "update installation set epoch_since = clock_timestamp() - $1::interval", age
        )


@pytest.fixture
async def installed(database_url: str) -> AsyncIterator[Installed]:
    async with open_residents() as residents:
        reader = Reader(database_url)
        reader.open(residents)
        await install(reader, "first", "fingerprint")
        installed = Installed(database_url, reader)
        await installed.execute("insert into channel (name, head) values ('a', 5)")
        yield installed


async def epoch(installed: Installed) -> tuple[str, str]:
    era = await installed.installations.current()
    return era.epoch, era.reason


async def test_as_long_as_it_is_the_same_database_the_epoch_stays(installed: Installed) -> None:
    assert await epoch(installed) == ("first", "installed")
    again = await install(installed.reader, "second", "another")
    assert (again.epoch, again.secret_fingerprint) == ("first", "fingerprint")


@pytest.mark.parametrize("column", ["system_identifier", "database_oid"])
async def test_another_database_than_the_row_says_has_another_epoch(
    installed: Installed, column: str
) -> None:
    await installed.execute(f"update installation set {column} = '4711'")
    epochs = []

    async def look() -> None:
        epochs.append(await epoch(installed))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(look)
    assert len(set(epochs)) == 1
    assert epochs[0][0] != "first"
    assert epochs[0][1] == "another database"


@pytest.mark.parametrize(
    ("heads", "lost"), [({"a": 5}, False), ({"a": 6}, True), ({"a": 4, "b": 1}, True)]
)
async def test_only_what_was_seen_and_is_not_there_ends_the_epoch(
    installed: Installed, heads: dict[str, int], lost: bool
) -> None:
    assert await installed.installations.suspect("first", heads, by_client=False) is lost
    assert ((await epoch(installed))[0] == "first") is not lost


async def test_what_was_seen_in_another_epoch_is_no_sign(installed: Installed) -> None:
    assert not await installed.installations.suspect("older", {"a": 900}, by_client=False)
    assert await epoch(installed) == ("first", "installed")


async def test_of_several_who_notice_one_begins_the_epoch(installed: Installed) -> None:
    begun = []

    async def notice() -> None:
        begun.append(await installed.installations.suspect("first", {"a": 6}, by_client=False))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(notice)
    assert sorted(begun) == [False] * 4 + [True]


async def test_a_client_is_believed_once_an_hour(installed: Installed) -> None:
    await installed.age(timedelta(minutes=59))
    assert not await installed.installations.suspect("first", {"a": 6}, by_client=True)
    await installed.age(timedelta(minutes=61))
    assert await installed.installations.suspect("first", {"a": 6}, by_client=True)
    now, reason = await epoch(installed)
    assert reason == "a client was ahead"
    assert not await installed.installations.suspect(now, {"a": 6}, by_client=True)


async def test_restore_done_begins_an_epoch_and_makes_the_database_the_one_it_is(
    installed: Installed,
) -> None:
    await installed.execute("update installation set system_identifier = 4711")
    begun = await in_asyncio(lambda: restore_done(installed.url))
    assert await epoch(installed) == (begun, "restore-done")


async def test_where_no_broker_has_run_there_is_nothing_to_end(installed: Installed) -> None:
    await installed.execute("delete from installation")
    assert await in_asyncio(lambda: restore_done(installed.url)) is None
