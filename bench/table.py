"""How results are shown: the machine, then a table; and what is wrong with a run."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
import psutil

CLIENT_BOUND: Final = 0.6
"""From this share of a core on, a load client may be what limits the rate."""

DISTURBED: Final = 0.1
"""So much of a core, used by others than the run's processes, is worth a remark."""

SETTINGS: Final = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_sync_method",
    "shared_buffers",
)


async def machine(database_url: str, directory: Path) -> dict[str, str]:
    """What the figures depend on: the machine, the interpreter, and how durable a commit is."""
    memory = psutil.virtual_memory().total / 2**30
    postgres = await _settings(database_url)
    version = postgres.pop("server_version")
    return {
        "CPU": f"{_cpu_model()}, {os.cpu_count()} cores",
        "RAM": f"{memory:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "PostgreSQL": version,
        "Durability": ", ".join(f"{name} = {value}" for name, value in postgres.items()),
        "File system": _file_system(directory),
    }


async def _settings(database_url: str) -> dict[str, str]:
    connection = await asyncpg.connect(database_url)
    try:
        return {name: str(await connection.fetchval(f"show {name}")) for name in SETTINGS}
    finally:
        await connection.close()


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.processor() or platform.machine()


def _file_system(directory: Path) -> str:
    """The type of the file system that the database lies on: on tmpfs, fsync costs nothing."""
    parents = {str(path) for path in (directory.resolve(), *directory.resolve().parents)}
    mounts = [part for part in psutil.disk_partitions(all=True) if part.mountpoint in parents]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "unknown"


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table whose columns also line up as plain text; numbers go to the right."""
    cells = [list(columns), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(columns))]
    right = [
        all(re.match(r"[\d.,-]", row[i] or "-") for row in cells[1:]) for i in range(len(columns))
    ]

    def line(row: Sequence[str]) -> str:
        padded = (
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        )
        return "| " + " | ".join(padded) + " |"

    rules = (
        "-" * (width - 1) + ":" if to_right else "-" * width
        for width, to_right in zip(widths, right, strict=True)
    )
    return "\n".join([line(cells[0]), "| " + " | ".join(rules) + " |", *map(line, cells[1:])])


def show(
    title: str, facts: Mapping[str, str], columns: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Print a result for people, on standard output."""
    print(f"{title}\n")
    for name, value in facts.items():
        print(f"- {name}: {value}")
    print(f"\n{markdown(columns, rows)}")


def show_json(title: str, facts: Mapping[str, str], rows: object) -> None:
    """Print a result for programs, on standard output."""
    print(msgspec.json.encode({"bench": title, "machine": facts, "rows": rows}).decode())


def progress(text: str) -> None:
    """Say on standard error what is going on."""
    print(text, file=sys.stderr, flush=True)


def client_share(cpu: float) -> str:
    """A load client's share of one core, marked where it is too high to trust the rate."""
    return share(cpu) + (" client-bound" if cpu > CLIENT_BOUND else "")


def disturbed(other_cpu: float) -> str:
    """A remark, where processes that have no part in the run took much of the machine."""
    return f" (others took {share(other_cpu)} of a core)" if other_cpu > DISTURBED else ""


def share(cpu: float) -> str:
    """A part of one core; above 100% it is more than one."""
    return f"{cpu:.0%}"


def count(value: float) -> str:
    return f"{value:,.0f}"


def milliseconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def ratio(value: float) -> str:
    return f"{value:.2f}x"
