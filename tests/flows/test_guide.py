"""What docs/flows.md prints, run as it is printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from pxbox.flows import FlowKind
from pxbox.testing.flows import run_flow
from tests.brokers import Broker
from tests.flows.working import SCOPES

GUIDE = Path(__file__).parents[2] / "docs" / "flows.md"
SECONDS = 60.0


def printed(heading: str, language: str) -> list[str]:
    """The blocks under a heading."""
    section = GUIDE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)


def kind_of(code: str, name: str) -> FlowKind:
    space: dict[str, object] = {}
    exec(compile(code, "flows.md", "exec"), space)  # noqa: S102
    kind = space[name]
    assert isinstance(kind, FlowKind)
    return kind


def test_the_first_flow_runs() -> None:
    (code,) = printed("A first flow in five minutes", "python")
    lunch = kind_of(code, "lunch")
    assert run_flow(lunch, "ana", answers={"dish": "pie"}).result == "order of pie"


def test_the_migration_is_one() -> None:
    (code,) = printed("Changing a flow that is in flight", "python")
    greeting = kind_of(code, "greeting")
    assert run_flow(greeting, "ana", answers={"color": "red"}).result == "ana likes red"
    assert greeting.migrations.keys() == {1}


def test_the_tests_pass(tmp_path: Path) -> None:
    (code,) = printed("Testing", "python")
    (tmp_path / "test_reminder.py").write_text(code)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True, text=True, check=False, timeout=SECONDS, cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(GUIDE.parents[1])},
    )  # fmt: skip
    assert "4 passed" in run.stdout, run.stdout


def test_external_flows_are_run_by_curl(module_broker: Broker) -> None:
    (script,) = printed("Flows in any language", "sh")
    environ = {"PXBOX_URL": module_broker.url, "PXBOX_TOKEN": module_broker.token("curl", SCOPES)}
    run = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], env=os.environ | environ, text=True,
        capture_output=True, check=False, timeout=SECONDS,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    found = json.JSONDecoder()
    said, rest = [], run.stdout
    while rest:
        reply, end = found.raw_decode(rest)
        said.append(reply)
        rest = rest[end:].lstrip()
    assert [reply["status"] for reply in said] == ["SUSPENDED", "RUNNING", "RUNNING"]
    assert said[-1]["cursor"]["page"] == 2
    assert said[-1]["cursor"]["lastEvent"]["data"] == {"size": 3}
