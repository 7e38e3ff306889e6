"""Starting is quick: what a command does not need is not imported."""

from __future__ import annotations

import json
import resource
import subprocess
import sys

import pytest

from tests.cli.conftest import ROOT

HEAVY = {
    "trio", "anyio", "asyncpg", "quart", "hypercorn", "httpx", "questionary", "prompt_toolkit",
    "redis", "jsonschema_rs", "cryptography", "jwt", "asyncio", "structlog",
}  # fmt: skip
MOST_CPU_SECONDS = 0.6
"""Twice what a quiet machine may take: others may be at work on this one."""

_LIST = """
import json, sys
from pxbox.cli import main
code = main(sys.argv[1:])
print("\\n" + json.dumps(sorted(sys.modules)), code)
"""


def imported(*arguments: str) -> set[str]:
    """The top names of what is imported once this command has run."""
    run = subprocess.run(
        [sys.executable, "-c", _LIST, *arguments],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    names, code = run.stdout.splitlines()[-1].rsplit(" ", 1)
    assert code == "0", run.stderr
    return {name.partition(".")[0] for name in json.loads(names)}


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("entities", "--help")])
def test_nothing_heavy_is_imported_to_say_what_there_is(arguments: tuple[str, ...]) -> None:
    assert imported(*arguments) & HEAVY == set()


def test_what_draws_questions_and_what_serves_is_not_imported_to_speak_to_a_broker() -> None:
    heavy = imported("answer", "--help") & HEAVY
    assert heavy & {"trio", "asyncpg", "quart", "hypercorn", "redis", "questionary"} == set()


def test_help_is_there_at_once() -> None:
    def cpu_seconds() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "pxbox", "--help"], cwd=ROOT, capture_output=True, check=True
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(cpu_seconds() for _ in range(2)) < MOST_CPU_SECONDS
