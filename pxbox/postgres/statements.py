"""The statements of `sql/` and `migrations/`, by name."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def sql(name: str) -> str:
    """The statement in `sql/<name>.sql`."""
    return resources.files("pxbox.postgres").joinpath("sql", f"{name}.sql").read_text("utf-8")


def names() -> list[str]:
    """Every statement there is."""
    files = resources.files("pxbox.postgres").joinpath("sql").iterdir()
    return sorted(file.name.removesuffix(".sql") for file in files if file.name.endswith(".sql"))


def migrations() -> list[tuple[str, str]]:
    """Every migration, (name, text), in the order in which they are applied."""
    files = resources.files("pxbox.postgres").joinpath("migrations").iterdir()
    found = [(file.name.removesuffix(".sql"), file) for file in files if file.name.endswith(".sql")]
    return [(name, file.read_text("utf-8")) for name, file in sorted(found)]
