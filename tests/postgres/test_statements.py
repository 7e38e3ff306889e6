"""The files of SQL: every one can be prepared, is used, and migrations can be repeated."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import asyncpg
import pytest

import pxbox
from pxbox.postgres import statements
from pxbox.postgres.batch import CALL
from pxbox.postgres.migrate import migrate, pending
from tests.postgres.sessions import run_asyncio
from tests.servers import AsyncpgThread, with_database

SOURCES = [
    path.read_text("utf-8")
    for path in Path(pxbox.__file__).parent.rglob("*.py")
    if path.name != "statements.py"
]


def test_every_statement_can_be_prepared(shared_database_url: str) -> None:
    async def body() -> None:
        connection = await asyncpg.connect(shared_database_url)
        try:
            for name in statements.names():
                await connection.prepare(statements.sql(name))
            await connection.prepare(CALL)
        finally:
            await connection.close()

    assert len(statements.names()) > 10
    run_asyncio(body)


@pytest.mark.parametrize("name", statements.names())
def test_every_statement_is_used_by_its_name(name: str) -> None:
    assert any(f'"{name}"' in source for source in SOURCES)


def test_no_sql_stands_outside_the_files_of_sql() -> None:
    """But for the ledger of migrations and the one call of the commit function."""
    words = re.compile(r"\b(select .+ from|insert into|update .+ set|delete from)\b")
    found = {
        line.strip()
        for source in SOURCES
        for line in source.splitlines()
        if words.search(line) and not line.lstrip().startswith(("#", '"""'))
    }
    allowed = ("px_commit", "migration")
    assert [line for line in found if not any(word in line for word in allowed)] == []


@pytest.fixture
def empty_database_url(postgres_url: str, postgres_admin: AsyncpgThread) -> str:
    """The URL of a database without anything in it."""
    postgres_admin.execute("drop database if exists empty_one with (force)")
    postgres_admin.execute("create database empty_one")
    return with_database(postgres_url, "empty_one")


def test_migrations_are_applied_once_and_in_order(empty_database_url: str) -> None:
    async def body() -> None:
        names = [name for name, _ in statements.migrations()]
        connection = await asyncpg.connect(empty_database_url)
        try:
            assert await pending(connection) == names == sorted(names)
            assert await migrate(empty_database_url) == names
            assert await pending(connection) == []
            assert await migrate(empty_database_url) == []
            rows = await connection.fetch("select name from migration order by applied_at")
            assert [row["name"] for row in rows] == names
        finally:
            await connection.close()

    run_asyncio(body)


def test_three_processes_that_migrate_at_once_do_it_once(empty_database_url: str) -> None:
    async def body() -> None:
        applied = await asyncio.gather(*[migrate(empty_database_url) for _ in range(3)])
        names = [name for name, _ in statements.migrations()]
        assert sorted(applied, key=len) == [[], [], names]

    run_asyncio(body)


def test_a_migration_that_fails_leaves_nothing_of_itself(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = [
        ("0001_good", "create table good (n int)"),
        ("0002_broken", "create table half (n int); select no_such_function()"),
    ]
    monkeypatch.setattr(statements, "migrations", lambda: broken)

    async def body() -> None:
        with pytest.raises(asyncpg.UndefinedFunctionError):
            await migrate(empty_database_url)
        connection = await asyncpg.connect(empty_database_url)
        try:
            assert await pending(connection) == ["0002_broken"]
            assert await connection.fetchval("select to_regclass('half')") is None
            broken[1] = ("0002_broken", "create table half (n int)")
            assert await migrate(empty_database_url) == ["0002_broken"]
        finally:
            await connection.close()

    run_asyncio(body)
