"""Where a message goes."""

from __future__ import annotations

from typing import NamedTuple


class Address(NamedTuple):
    """Names one actor: `kind` says what it is (as registered), `id` which one.

    An address always exists; an activation behind it only while there is something to do.
    """

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"
