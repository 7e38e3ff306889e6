"""The command line's options, typed."""

from __future__ import annotations

import argparse
from pathlib import Path


class Options(argparse.Namespace):
    """What every benchmark is given. `directory` is where the database is made."""

    json: bool
    directory: Path | None


def words(text: str) -> list[str]:
    return text.split(",")


def numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]
