"""What the next checkpoint of a run brings, in portions that fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

# A checkpoint takes 1,000 steps and waits; a message is best kept well below its 1 MiB.
MOST_AT_ONCE = 500
MOST_BYTES_AT_ONCE = 256 * 1024


@dataclass(slots=True)
class Outbox:
    """What the next checkpoint brings."""

    steps: list[dict[str, Any]] = field(default_factory=list)
    waits: list[dict[str, Any]] = field(default_factory=list)
    cancels: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.steps or self.waits or self.cancels)

    def portion(self) -> tuple[Outbox, Outbox]:
        """What one checkpoint can bring, at least one thing, and what is left for later ones."""
        steps = _fitting([len(step["result"]) for step in self.steps])
        waits = _fitting([len(wait.get("request", b"")) for wait in self.waits])
        now = Outbox(self.steps[:steps], self.waits[:waits], self.cancels[:MOST_AT_ONCE])
        later = Outbox(self.steps[steps:], self.waits[waits:], self.cancels[MOST_AT_ONCE:])
        those = {one["key"] for one in (*now.steps, *now.waits)}
        now.keys = [key for key in self.keys if key in those]
        later.keys = [key for key in self.keys if key not in those]
        return now, later


def _fitting(sizes: list[int]) -> int:
    """How many of these fit into one checkpoint, from the first on."""
    total = 0
    for n, size in enumerate(sizes[:MOST_AT_ONCE]):
        total += size
        if n and total > MOST_BYTES_AT_ONCE:
            return n
    return min(len(sizes), MOST_AT_ONCE)
