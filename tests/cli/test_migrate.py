"""`pxbox migrate`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pxbox.postgres.statements import migrations
from tests.cli.conftest import Pxbox, refused
from tests.servers import AsyncpgThread, DisposableServers, with_database

EVERY_MIGRATION = [name for name, _ in migrations()]


@pytest.fixture
def bare_database_url(postgres_url: str, postgres_admin: AsyncpgThread) -> Iterator[str]:
    """The URL of a database with nothing in it."""
    postgres_admin.execute("create database bare")
    try:
        yield with_database(postgres_url, "bare")
    finally:
        postgres_admin.execute("drop database bare with (force)")


def test_what_is_missing_is_applied_once_and_named(pxbox: Pxbox, bare_database_url: str) -> None:
    first, second = (pxbox("migrate", "--database-url", bare_database_url) for _ in range(2))
    assert (first.returncode, first.stdout.splitlines()) == (0, EVERY_MIGRATION)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


def test_the_embedded_database_that_runs_is_found(
    pxbox: Pxbox, session_servers: DisposableServers, postgres_url: str
) -> None:
    assert postgres_url
    found = pxbox("migrate", "--data-dir", session_servers.data_dir.root)
    assert found.returncode == 0, found.stderr


def test_without_a_database_the_way_to_one_is_named(pxbox: Pxbox) -> None:
    assert "--database-url" in refused(pxbox("migrate"), 1)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@127.0.0.1:1/d",
        "postgresql://u:hunter2@127.0.0.1:port/d",
        "postgresql://u:hunter2@/d?host=/nowhere",
    ],
)
def test_a_database_that_cannot_be_reached_is_a_problem(pxbox: Pxbox, url: str) -> None:
    said = refused(pxbox("migrate", PXBOX_DATABASE_URL=url), 1)
    assert "cannot be migrated" in said
    assert "hunter2" not in said
