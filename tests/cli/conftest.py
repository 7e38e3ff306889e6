"""The real command, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
Outcome = subprocess.CompletedProcess[str]
Pxbox = Callable[..., Outcome]


@pytest.fixture
def pxbox(tmp_path: Path) -> Pxbox:
    """Run `python -m pxbox` with these arguments in an empty folder, with these variables of its
    own and none of ours; every warning of its libraries is an error."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PXBOX_")}

    def run(*arguments: object, **variables: str) -> Outcome:
        command = [sys.executable, "-W", "error", "-m", "pxbox", *map(str, arguments)]
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=bare | {"PYTHONPATH": str(ROOT)} | variables,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


def refused(outcome: Outcome, code: int) -> str:
    """What it said when it refused: a plain sentence or two, and nothing on standard output."""
    assert outcome.returncode == code, outcome.stderr
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("pxbox: ")
    assert outcome.stderr.count("\n") == 1
    assert "Traceback" not in outcome.stderr
    return outcome.stderr
