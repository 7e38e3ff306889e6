"""The browser that the page is tried in: Debian's Chromium, installed where that can be done."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
TESTS = Path(__file__).parent
_INSTALL = ("apt-get", "install", "--yes", "--no-install-recommends", "chromium")


def ensure_chromium(arguments: list[str]) -> None:
    """Before any test: install the browser, or stop with the line that does, if tests of the page
    are among those to run."""
    if CHROMIUM.exists() or not any(_has_pages(argument) for argument in arguments):
        return
    if os.geteuid() != 0:
        pytest.exit(f"the page is tried in Chromium; run: sudo {' '.join(_INSTALL)}", 2)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (("apt-get", "update"), _INSTALL):
        subprocess.run(command, check=True, capture_output=True, env=environment)


def _has_pages(argument: str) -> bool:
    path = Path(argument.partition("::")[0]).resolve()
    pages = TESTS / "web"
    return path == pages or path in pages.parents or pages in path.parents
