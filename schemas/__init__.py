"""The contract: JSON documents that every transport, client and test reads from here."""

from __future__ import annotations

from importlib import resources


def read(name: str) -> bytes:
    """The document `name` (a path below this folder), as it lies in the package."""
    return resources.files(__name__).joinpath(name).read_bytes()
