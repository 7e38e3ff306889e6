"""The example of the README works as printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "actors" / "README.md"


def blocks(language: str) -> list[str]:
    """Return the fenced blocks of the README in `language`, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README.read_text(), re.MULTILINE | re.DOTALL)


def test_the_example_prints_what_the_readme_says() -> None:
    [example], [printed] = blocks("python"), blocks("text")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", example],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.stderr == ""
    assert ran.stdout == printed
