"""`pxbox collect-files`; what it collects is in tests/service/test_collecting.py."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Pxbox, refused
from tests.inspection import open_database

GONE = """
insert into file (id, request_id, entity_id, name, mime, size, until)
values ('01JZQ8A6P9Y5V4X3W2S1RQNMKF', 'r', 'e', 'boiler.jpg', 'image/jpeg', 7,
        clock_timestamp() - interval '3 days')
"""


def test_a_dry_run_names_what_the_next_run_deletes(
    pxbox: Pxbox, database_url: str, tmp_path: Path
) -> None:
    given = ("collect-files", "--database-url", database_url, "--files-dir", str(tmp_path / "f"))
    with open_database(database_url) as database:
        database.execute(GONE)
        for flags in (("--dry-run",), ("--dry-run",), ()):
            done = pxbox(*given, *flags)
            assert (done.returncode, done.stderr) == (0, "")
            assert "never uploaded  boiler.jpg" in done.stdout
        assert database.fetch("select 1 from file") == []
    assert pxbox(*given).stdout == ""


def test_without_a_database_the_way_to_one_is_named(pxbox: Pxbox) -> None:
    assert "--database-url" in refused(pxbox("collect-files"), 1)


def test_a_database_that_cannot_be_reached_is_a_problem(pxbox: Pxbox, tmp_path: Path) -> None:
    url = "postgresql://u:hunter2@127.0.0.1:1/d"
    done = pxbox("collect-files", PXBOX_DATABASE_URL=url, PXBOX_FILES_DIR=str(tmp_path))
    assert "cannot be collected" in refused(done, 1)
    assert "hunter2" not in done.stderr
