"""The official JSON-Schema-Test-Suite, as the source distribution of `jsonschema` carries it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pytest

CACHE = Path(__file__).parents[2] / ".cache" / "json-schema-test-suite"


@pytest.fixture(scope="session")
def suite() -> Path:
    """The suite's directory, brought by pip on first use and kept in `.cache/`."""
    version = importlib.metadata.version("jsonschema")
    kept = CACHE / version
    if not kept.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            found = _unpack(_download(version, Path(scratch)), Path(scratch))
            found.rename(kept)
    return kept


def _download(version: str, folder: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--no-binary", "jsonschema", "--dest", str(folder)]
    done = subprocess.run(
        [*pip, *options, f"jsonschema=={version}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(
            f"pip could not bring the sources of jsonschema {version}, which hold the official "
            f"test suite (unpack their `json` folder as {CACHE / version} to do without pip):\n"
            f"{done.stderr}"
        )
    return next(folder.glob("jsonschema-*.tar.gz"))


def _unpack(archive: Path, folder: Path) -> Path:
    with tarfile.open(archive) as sources:
        sources.extractall(folder / "sources", filter="data")
    return next((folder / "sources").glob("jsonschema-*/json"))
