"""The house rules that no type checker sees: which room imports what, where SQL lives, who may ask
a clock, what the package holds, how it is deployed.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
PACKAGES = ("pxbox", "actors", "schemas")


@cache
def tracked() -> tuple[Path, ...]:
    """Every file that git has, or would take."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    found = (ROOT / name for name in listed.split("\0") if name)
    return tuple(path for path in found if path.is_file())


def modules(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in tracked():
        if path.suffix == ".py" and path.relative_to(ROOT).parts[: len(folders)] == folders:
            yield path, ast.parse(path.read_text(), str(path))


def test_rooms_import_one_way_only() -> None:
    run = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"],
        cwd=ROOT, capture_output=True, check=False, text=True,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert " 0 broken" in run.stdout


SQL = re.compile(
    r"\s*(select\s.+\sfrom|select\s+[\w.]+\(|insert\s+into|update\s+\w+\s+set|delete\s+from|"
    r"(create|drop|alter)\s+(table|index|unique|sequence|function|or\s)|truncate\s|"
    r"with\s+\w+\s+as\s*\()",
    re.IGNORECASE | re.DOTALL,
)
# Made, not written: as many parameters as the columns beside it.
GENERATED = "select * from px_commit("


def test_sql_lives_in_sql_files() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path, tree in modules("pxbox")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        if SQL.match(node.value) and node.value != GENERATED
    ]
    assert found == []


@pytest.mark.parametrize(
    "text",
    ["select 1 from x", "SELECT a,\n b FROM t", "\ninsert into x values (1)", "update t set a = 1",
     "delete from t", "create table t ()", "select pg_advisory_lock($1)",
     "create index i on t (a)", "with a as (select 1) select 2"],
)  # fmt: skip
def test_sql_is_known_when_it_is_seen(text: str) -> None:
    assert SQL.match(text)


CLOCKS = {
    ("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today"),
    ("time", "time"), ("time", "time_ns"), ("time", "monotonic"), ("time", "perf_counter"),
    ("trio", "current_time"), ("time", "localtime"), ("time", "gmtime"),
}  # fmt: skip


@pytest.mark.parametrize("room", ["domain", "model"])
def test_decisions_and_values_ask_no_clock(room: str) -> None:
    asked = {
        str(path.relative_to(ROOT))
        for path, tree in modules("pxbox", room)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in CLOCKS
    }
    # A ULID begins with the time that it was made at; nothing is decided by it.
    assert asked == ({"pxbox/model/ids.py"} if room == "model" else set())


IMPURE = {"trio", "anyio", "asyncio", "socket", "subprocess", "threading", "asyncpg", "redis",
          "httpx", "pathlib", "io", "tempfile", "random", "secrets"}  # fmt: skip


@pytest.mark.parametrize("room", ["domain", "model"])
def test_decisions_and_values_do_no_io(room: str) -> None:
    for path, tree in modules("pxbox", room):
        roots = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                roots |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                roots.add((node.module or "").partition(".")[0])
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"open", "print", "input"}, path
        assert not roots & IMPURE, path


# Spelled so that this file does not hold what it looks for.
FORBIDDEN = {
    "a path of some machine": r"/(work|home|root|Users)/\w+|[.][.]/shared",
    "a package index": r"pypi[.](org|python)|files[.]pythonhosted",
    "the number of an issue": r"(?<![\w&/])#\d+\b|\b[Ii]ssues? \d+\b",
}
# Where `#` and digits are a colour, or what a bundler made of somebody's code.
COLOURED = {"docs.css", "style.css"}
BUILT = Path("pxbox", "web", "dist")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = []
    for path in tracked():
        if path.name in COLOURED or path.is_relative_to(ROOT / BUILT):
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert found == []


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names of the files in a wheel made of these sources, without a network."""
    target = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(target)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = target.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_everything_that_the_broker_reads(wheel: set[str]) -> None:
    wanted = {
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.relative_to(ROOT).parts[0] in PACKAGES
    }
    kinds = {Path(name).suffix for name in wanted}
    assert {".py", ".json", ".sql", ".lua", ".css", ".typed"} <= kinds
    assert wanted - wheel == set()


def test_the_wheel_holds_the_built_page(wheel: set[str]) -> None:
    built = {str(path.relative_to(ROOT)) for path in (ROOT / BUILT).rglob("*") if path.is_file()}
    assert "pxbox/web/dist/index.html" in built
    assert built <= wheel


def test_the_wheel_holds_nothing_else(wheel: set[str]) -> None:
    roots = {name.partition("/")[0] for name in wheel}
    assert {root for root in roots if not root.endswith(".dist-info")} == set(PACKAGES)
    assert not any("__pycache__" in name or name.startswith("tests") for name in wheel)


@cache
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_every_service_has_a_health_check() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    for name, service in compose()["services"].items():
        # What is built here has its own, in the Dockerfile.
        assert "healthcheck" in service or ("build" in service and "HEALTHCHECK" in dockerfile), (
            name
        )
        assert service["restart"] == "unless-stopped"


def test_what_lasts_is_on_named_volumes() -> None:
    mounted = [
        mount for service in compose()["services"].values() for mount in service.get("volumes", ())
    ]
    assert mounted
    named = {mount.partition(":")[0] for mount in mounted}
    assert named == set(compose()["volumes"])
    assert "postgres" in named


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    used = re.findall(r"(?<!\$)\$\{?(\w+)(.*?)[}\s\"]", code)
    secret = {name for name, _ in used if re.search("PASSWORD|SECRET|TOKEN|KEY", name)}
    assert secret == {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "PXBOX_SECRET"}
    for name, rest in used:
        assert name not in secret or rest.startswith(":?"), f"{name}{rest}"
    for service in compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            if re.search("PASSWORD|SECRET|TOKEN", name):
                assert str(value).startswith("${"), name


def test_only_the_broker_is_reached_from_outside() -> None:
    open_to = {name: one["ports"] for name, one in compose()["services"].items() if "ports" in one}
    assert list(open_to) == ["broker"]
    assert all(port.startswith("127.0.0.1:") for port in open_to["broker"])


def test_the_image_runs_as_a_normal_user() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    last = max(n for n, line in enumerate(lines) if line.startswith("FROM "))
    users = [line.split()[1] for line in lines[last:] if line.startswith("USER ")]
    assert users
    assert users[-1] not in {"root", "0", "0:0"}
    # Nothing is done as root after it.
    after = lines[max(n for n, line in enumerate(lines) if line.startswith("USER ")) :]
    assert not any(line.startswith("RUN ") for line in after)
    assert not any(re.match(r"(ENV|ARG) .*(SECRET|PASSWORD|TOKEN)", line) for line in lines)
