"""What the pages say, tried: the README's tour as it is printed, the settings, the invariants."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest

from pxbox.model.ids import is_ulid
from pxbox.settings import OPTIONS
from tests.brokers import Broker, end, start_broker

ROOT = Path(__file__).parent.parent
PATIENCE_SECONDS = 90.0
PRINTED_HOST = "127.0.0.1:8080"
UNWANTED = {name for name in os.environ if name.startswith(("PYTHON", "PXBOX_"))}

Json = dict[str, Any]


def shell_blocks(heading: str) -> list[str]:
    """The shell commands printed under a heading of the README."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


class Shell:
    """A bash that is given commands one by one, as somebody who reads and types would.

    `said` is everything that came to standard output, from whatever runs in it.
    """

    def __init__(self, directory: Path, errors: Path) -> None:
        self.said = ""
        self._lines: Queue[str] = Queue()
        self._error_file = errors
        self._errors = errors.open("w")
        self._bash = subprocess.Popen(
            ["bash"],
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            # What a user has: lines of Python come whole.
            env={name: value for name, value in os.environ.items() if name not in UNWANTED},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def run(self, commands: str) -> str:
        """Have these done, and return what was said meanwhile."""
        assert self._bash.stdin is not None
        before = len(self.said)
        mark = f"-- done {before} --"
        # On a line of its own: curl ends its output without one.
        self._bash.stdin.write(f"{commands}\necho; echo '{mark}'\n")
        self._bash.stdin.flush()
        self.until(lambda said: mark in said[before:])
        return self.said[before:].replace(mark, "")

    def until(self, holds: Callable[[str], bool]) -> None:
        """Return once `holds(said)`."""
        while not holds(self.said):
            try:
                self.said += self._lines.get(timeout=PATIENCE_SECONDS)
            except Empty:
                pytest.fail(f"nothing more was said after:\n{self.said}")

    def errors(self) -> str:
        """All that came to standard error."""
        return self._error_file.read_text()

    def close(self) -> None:
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.close()
        self._bash.wait(PATIENCE_SECONDS)
        self._reader.join(PATIENCE_SECONDS)
        self._bash.stdout.close()
        self._errors.close()

    def _read(self) -> None:
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            self._lines.put(line)


def documents(said: str) -> list[Json]:
    """The JSON objects in what was said, in their order; lines of the watcher stand between."""
    found, decoder = [], json.JSONDecoder()
    while "{" in said:
        document, size = decoder.raw_decode(said[said.index("{") :])
        found.append(document)
        said = said[said.index("{") + size :]
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as somebody has it who installed PxBox there: `.venv/bin` has these sources."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name, arguments in (("python", ""), ("pxbox", " -m pxbox")):
        program = programs / name
        run = f'PYTHONPATH="{ROOT}" exec "{sys.executable}"{arguments} "$@"'
        program.write_text(f"#!/bin/sh\n{run}\n")
        program.chmod(0o755)
    return tmp_path


@pytest.fixture
def broker(folder: Path) -> Iterator[Broker]:
    """A broker as the README starts it: with servers of its own, under `.pxbox`."""
    started = start_broker(folder / ".pxbox")
    try:
        yield started
    finally:
        # In good order, so that its servers end with it.
        with suppress(subprocess.TimeoutExpired):
            assert started.stop() == 0
        end(started.process)


@pytest.fixture
def shell(folder: Path) -> Iterator[Shell]:
    opened = Shell(folder, folder / "errors.txt")
    yield opened
    opened.close()


def test_the_tour_works_as_it_is_printed(broker: Broker, folder: Path, shell: Shell) -> None:
    here = broker.url.removeprefix("http://")
    blocks = shell_blocks("A tour in five minutes")
    begin, ask, answer, rest = (text.replace(PRINTED_HOST, here) for text in blocks)

    shell.run(begin)
    shell.run(ask)
    shell.until(lambda said: "request.created" in said)

    told = shell.run(answer)
    shell.until(lambda said: "request.answered" in said)
    listed = next(line for line in told.splitlines() if "\tLunch\t" in line)
    id = listed.split("\t")[0]
    assert is_ulid(id)
    assert '{"dish":"pie","guests":2}' in told.splitlines()
    (refused,) = [line for line in shell.errors().splitlines() if line.startswith("{")]
    assert {one["pointer"] for one in json.loads(refused)["errors"]} == {"/dish", "/guests"}
    assert [line.split("\t")[1] for line in told.splitlines() if "\tadmin\t" in line][-2:] == [
        "created", "answered",
    ]  # fmt: skip

    inbox, answered, outcome = documents(shell.run(rest))
    (item,) = inbox["items"]
    assert (item["status"], item["title"]) == ("PENDING", "Is the draft fine?")
    assert (answered["requestId"], answered["payload"]) == (item["id"], True)
    assert outcome == answered
    assert "Traceback" not in shell.errors()
    assert "curl:" not in shell.errors()


def test_the_readme_begins_with_the_two_commands_that_the_checks_run() -> None:
    start, tests = (block.strip() for block in shell_blocks("Start"))
    assert start.endswith("pxbox serve")
    assert " -m pytest" in tests
    for command in (start, tests):
        # One line each, for `.ci/run` takes them from here.
        assert "\n" not in command
        assert command.startswith("python3 -m venv .venv && ")
        assert "--require-hashes" in command


def test_every_link_of_a_page_leads_somewhere() -> None:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "schemas" / "README.md",
             ROOT / "actors" / "README.md", *(ROOT / "docs").glob("*.md")]  # fmt: skip
    for page in pages:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def table_of_settings() -> dict[str, tuple[str, str, str]]:
    """Each row of the table in `docs/operating.md`, by its variable."""
    rows = re.findall(
        r"^\| (`\S+`)? ?\| `(PXBOX_\w+)` \| (.*?) ?\| (.*?) \|$",
        (ROOT / "docs" / "operating.md").read_text(),
        re.MULTILINE,
    )
    return {env: (flag.strip("`"), default.strip("` "), help) for flag, env, default, help in rows}


def test_every_setting_is_in_the_documentation() -> None:
    documented = table_of_settings()
    assert documented.keys() == {option.env for option in OPTIONS}
    for option in OPTIONS:
        flag, default, help = documented[option.env]
        assert flag == (option.flag or "")
        assert help == option.help
        kept = option.default if isinstance(option.default, int) else option.default or ""
        shown = "off" if kept is False else str(kept)
        assert default == shown, option.env


INVARIANT = re.compile(r"(?<![\w%\\#./+-])([SEAFX][1-9]\d?)(?!\w)")


def test_every_invariant_that_is_cited_exists() -> None:
    page = (ROOT / "docs" / "invariants.md").read_text()
    stated = set(re.findall(r"^- ([SEAFX]\d+) ", page, re.MULTILINE))
    counts = {"S": 10, "E": 10, "A": 6, "F": 6, "X": 5}
    assert {f"{kind}{n}" for kind, most in counts.items() for n in range(1, most + 1)} <= stated
    cited: dict[str, str] = {}
    for folder in ("pxbox", "actors", "tests", "bench"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in {".py", ".sql", ".lua"}:
                cited |= dict.fromkeys(INVARIANT.findall(path.read_text()), str(path))
    assert {id: path for id, path in cited.items() if id not in stated} == {}
    # What binds the code is cited where it is the reason.
    assert len(cited) > 20
