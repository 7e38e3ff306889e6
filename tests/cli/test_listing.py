"""Lists for people: numbered rows, columns that fit, and rows in place of ids."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from pxbox.cli import rows
from pxbox.cli.exits import CommandFailed, Exit
from pxbox.cli.listing import put_list
from tests.cli.asking import Shell
from tests.cli.terminal import COLUMNS

_COLUMNS = ("ID", "TITLE", "FROM", "STATUS", "DEADLINE", "ASKED", "NEW")
_LONG = "A very long title that goes on and on until nobody can read it in one line any more"
_LINES = [
    ["01M84KS3QKTXTT2SET6J94K38A", _LONG, "crm", "claimed by ben", "in 1h59m", "5m ago", "new"],
    ["01M84KS3TB849XTZTR5F7JFVBE", "道 \x1b[31mred", "crm", "pending", "", "5m ago", ""],
]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    return tmp_path / "pxbox"


def drawn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    put_list(_COLUMNS, _LINES, [line[0] for line in _LINES], 7)
    return re.sub(r"\x1b\[[0-9]*m", "", capsys.readouterr().out).splitlines()


@pytest.mark.parametrize(
    ("width", "heading"),
    [
        (140, "# ID TITLE FROM STATUS DEADLINE ASKED NEW"),
        (90, "# TITLE FROM STATUS DEADLINE ASKED NEW"),
        (64, "# TITLE FROM STATUS DEADLINE NEW"),
        (40, "# TITLE DEADLINE"),
    ],
)
def test_each_row_is_one_line_however_narrow_the_screen(
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    width: int,
    heading: str,
) -> None:
    lines = drawn(monkeypatch, capsys, width)
    assert lines[0].split() == heading.split()
    assert [line.split()[0] for line in lines] == ["#", "7", "8"]
    assert max(map(len, lines)) <= width
    assert lines[1].split("  ")[1 + heading.startswith("# ID")].endswith(("…", "more"))
    assert "\x1b" not in lines[2]


def test_a_row_stands_for_its_id_and_a_range_for_several(
    kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn(monkeypatch, capsys, 80)
    ids = [line[0] for line in _LINES]
    assert rows.id_of("8") == ids[1]
    assert rows.ids_of("7-8") == ids
    assert rows.id_of(ids[0]) == ids[0]


@pytest.mark.parametrize("text", ["6", "9", "7-9", "8-7"])
def test_a_row_that_was_not_shown_is_a_wrong_call(
    kept: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    text: str,
) -> None:
    drawn(monkeypatch, capsys, 80)
    with pytest.raises(CommandFailed) as refused:
        rows.ids_of(text)
    assert refused.value.exit is Exit.WRONG_CALL


def test_without_a_list_a_row_says_what_makes_one(kept: Path) -> None:
    with pytest.raises(CommandFailed, match="pxbox inbox"):
        rows.id_of("3")


def test_what_yesterday_has_shown_is_forgotten(kept: Path) -> None:
    rows.keep(["a"], 1)
    (file,) = kept.iterdir()
    old = file.stat().st_mtime - rows.LONGEST_KEPT_SECONDS - 60
    os.utime(file, (old, old))
    with pytest.raises(CommandFailed):
        rows.id_of("1")


def test_a_home_that_cannot_be_written_to_loses_only_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    rows.keep(["a"], 1)
    with pytest.raises(CommandFailed):
        rows.id_of("1")


def test_the_inbox_at_a_terminal_numbers_what_other_commands_take(shell: Shell, ana: str) -> None:
    """Both commands run in one terminal session, as by a person at a prompt."""
    schema: dict[str, Any] = {"title": _LONG * 2, "type": "boolean"}
    ids = [shell.ask(schema, ana, "--deadline", f"{hours}h") for hours in (1, 2, 3)]
    script = (
        "from pxbox.cli import main; main(['inbox']); main(['read', '2-3']); main(['show', '2'])"
    )
    with shell.acting(ana).program(script) as terminal:
        code, _, seen = terminal.end()
    assert code == 0
    assert "`pxbox answer 1` answers it" in seen
    assert "Read: 2." in seen
    assert f"id        {ids[1]}" in seen
    first = next(line for line in seen.splitlines() if line.startswith("1  "))
    assert "…" in first
    assert len(first) <= COLUMNS
