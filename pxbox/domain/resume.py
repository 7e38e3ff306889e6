"""How a subscriber that has been away catches up (E5)."""

from __future__ import annotations

from dataclasses import dataclass

FUTURE = "future"


@dataclass(frozen=True, slots=True)
class Replay:
    """Give everything after `after`, up to `to` and beyond."""

    after: int
    to: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing can be given; read the lists anew and go on from the head."""

    reason: str


def plan_resume(since: int, same_epoch: bool, floor: int, head: int) -> Replay | Refused:
    """Say how a subscriber that has seen everything up to `since` catches up.

    The log holds what follows `floor` up to `head`, inclusive; head 0: no event yet. Numbers of
    another epoch mean nothing here. A `since` beyond the head is of a future that was
    lost; one below the floor lacks events that retention has removed.
    """
    if not same_epoch:
        return Refused("epoch")
    if since > head:
        return Refused(FUTURE)
    if since < floor:
        return Refused("trimmed")
    return Replay(since, head)
