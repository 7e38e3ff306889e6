"""`pxbox restore-done`; what the brokers make of it is in tests/processes/test_epoch.py."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Pxbox, refused
from tests.inspection import open_database

INSTALL = """
insert into installation (epoch, system_identifier, database_oid) values ('first', 1, 1)
"""


def test_a_new_epoch_begins_and_is_printed_alone(pxbox: Pxbox, database_url: str) -> None:
    with open_database(database_url) as database:
        database.execute(INSTALL)
        done = pxbox("restore-done", "--database-url", database_url)
        assert (done.returncode, done.stderr) == (0, "")
        (row,) = database.fetch("select epoch, epoch_reason from installation")
    assert done.stdout == f"{row['epoch']}\n" != "first\n"
    assert row["epoch_reason"] == "restore-done"


def test_where_no_broker_has_run_there_is_nothing_to_end(pxbox: Pxbox, database_url: str) -> None:
    assert "No broker" in refused(pxbox("restore-done", "--database-url", database_url), 1)


@pytest.mark.parametrize("url", ["postgresql://u:hunter2@127.0.0.1:1/d"])
def test_a_database_that_cannot_be_reached_is_a_problem(pxbox: Pxbox, url: str) -> None:
    said = refused(pxbox("restore-done", PXBOX_DATABASE_URL=url), 1)
    assert "cannot be used" in said
    assert "hunter2" not in said


def test_without_a_database_the_way_to_one_is_named(pxbox: Pxbox) -> None:
    assert "--database-url" in refused(pxbox("restore-done"), 1)
