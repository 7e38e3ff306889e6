"""What is common to all commands: help, exit codes, how a wrong call is answered."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from pxbox.cli.exits import Exit
from pxbox.settings import OPTIONS
from tests.cli.conftest import ROOT, Pxbox, refused

COMMANDS = (
    "serve", "doctor", "migrate", "ask", "show", "cancel", "inbox", "claim", "answer", "release",
    "decline", "watch", "token", "entities",
)  # fmt: skip


def test_help_names_every_command(pxbox: Pxbox) -> None:
    shown = pxbox("--help")
    assert shown.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in shown.stdout


def test_every_command_is_documented() -> None:
    text = "".join((ROOT / "docs" / name).read_text() for name in ("cli.md", "operating.md"))
    for command in COMMANDS:
        assert f"`{command}" in text or f"`pxbox {command}" in text


def test_every_exit_code_is_documented() -> None:
    rows = re.findall(r"^\| ([0-9]+) \| ", (ROOT / "docs/cli.md").read_text(), re.MULTILINE)
    assert [int(row) for row in rows] == list(Exit)


def test_the_shell_completes_commands_and_options(pxbox: Pxbox, tmp_path: Path) -> None:
    script = tmp_path / "pxbox.bash"
    # At home is where a line for the shell's start is written.
    made = pxbox("--install-completion", "--shell", "bash", "--output", script, HOME=str(tmp_path))
    assert made.returncode == 0, made.stderr
    words = (
        f"source {script}; COMP_WORDS=(pxbox {{}}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); "
        '_pxbox; echo "${COMPREPLY[@]}"'
    )

    def completed(typed: str) -> set[str]:
        run = ["bash", "-c", words.replace("{}", typed)]
        return set(subprocess.run(run, capture_output=True, text=True, check=True).stdout.split())

    assert completed("inb") == {"inbox"}
    assert "--deadline" in completed("ask --dead")
    assert completed("entities add") == {"add-member"}


def test_version_prints_one_line(pxbox: Pxbox) -> None:
    shown = pxbox("--version")
    assert (shown.returncode, shown.stdout.count("\n"), shown.stderr) == (0, 1, "")


def test_the_help_of_serve_names_every_flag_and_variable(pxbox: Pxbox) -> None:
    shown = pxbox("serve", "--help", COLUMNS="300")
    assert shown.returncode == 0
    for option in OPTIONS:
        assert option.env in shown.stdout
        assert option.flag is None or f"{option.flag} " in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["bogus"], "bogus"),
        (["serve", "--bogus", "1"], "--bogus"),
        (["serve", "--secret", "x"], "--secret"),
        (["serve", "--port"], "--port"),
        (["serve", "extra"], "extra"),
        (["serve", "--no-dev"], "--no-dev"),
        (["token", "create"], "--sub"),
        (["token", "bogus"], "bogus"),
        (["serve", "--port", "99999"], "--port (PXBOX_PORT)"),
        (["serve", "--dev", "--host", "192.0.2.1"], "--dev"),
        (["serve", "--database-url", "postgresql://h/d", "--redis-url", "redis://h"], "secret"),
        (["serve", "--database-url", "postgresql://h/d"], "--redis-url"),
        (["serve", "--jwt-key-file", "k", "--jwks-file", "j"], "--jwks-file"),
    ],
)
def test_a_wrong_call_exits_with_2_and_says_why(
    pxbox: Pxbox, arguments: list[str], named: str
) -> None:
    assert named in refused(pxbox(*arguments), 2)


@pytest.mark.parametrize("command", [["serve"], ["doctor"], ["migrate"], ["restore-done"]])
def test_a_wrong_variable_exits_with_2_and_names_it(pxbox: Pxbox, command: list[str]) -> None:
    assert "--port (PXBOX_PORT)" in refused(pxbox(*command, PXBOX_PORT="nine"), 2)


def test_a_refused_call_leaves_nothing_behind(pxbox: Pxbox, tmp_path: Path) -> None:
    pxbox("serve", "--port", "99999")
    pxbox("doctor")
    assert list(tmp_path.iterdir()) == []
