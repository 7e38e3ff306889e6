"""The real command, in a process of its own, alone or with a real broker."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.brokers import SECRET, Broker
from tests.cli.asking import SECONDS, Shell
from tests.cli.asking import Outcome as Outcome

ROOT = Path(__file__).parents[2]
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


@pytest.fixture
def shell(module_broker: Broker, tmp_path: Path) -> Shell:
    """As somebody who may do everything; the token is made with the shared secret."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PXBOX_")}
    environ = {
        **bare, "PYTHONPATH": str(ROOT), "PXBOX_URL": module_broker.url, "PXBOX_SECRET": SECRET,
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }  # fmt: skip
    return Shell(tmp_path, environ)


@pytest.fixture
def ana(shell: Shell) -> str:
    """The handle of somebody new who can be asked."""
    handle = f"ana-{uuid4().hex[:8]}"
    shell.good("entities", "create", "user", handle)
    return handle


def refused(outcome: Outcome, code: int) -> str:
    """What it said when it refused, and nothing on standard output: a plain sentence or two, and
    below a call that cannot be understood how it is called."""
    assert outcome.returncode == code, outcome.stderr
    assert outcome.stdout == ""
    assert outcome.stderr.startswith("pxbox: ")
    said, *more = outcome.stderr.splitlines()
    assert more == [] or more[0].startswith("Usage: pxbox")
    assert "Traceback" not in outcome.stderr
    return said
