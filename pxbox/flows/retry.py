"""How often, and after what pauses, something that failed is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Retry:
    """`attempts` in all; pauses in seconds, from `first_pause` on each `factor` times the one
    before, at most `longest_pause`, spread by a tenth. `on`: what is worth another attempt."""

    attempts: int = 3
    first_pause: float = 0.5
    factor: float = 2.0
    longest_pause: float = 60.0
    on: tuple[type[Exception], ...] = (Exception,)

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError("there is at least one attempt")

    def pause(self, failed: int) -> float:
        """Seconds to wait after the `failed`th failure, counted from 1."""
        pause = min(self.first_pause * self.factor ** (failed - 1), self.longest_pause)
        return pause * random.uniform(0.9, 1.1)


NEVER = Retry(attempts=1)
