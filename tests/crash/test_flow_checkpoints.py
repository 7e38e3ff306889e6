"""SIGKILL of worker and of broker at the checkpoints of the examples, with real processes (F1, F4).

Each example is run once as it is, which says how many checkpoints it makes. Here each checkpoint
has one kill of the worker and one of the broker, the moments taking turns; `tests/long` has all.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.brokers import Brokers
from tests.crash.flow_points import Moment, Order, Victim
from tests.crash.flow_stage import (
    Stage,
    checkpoints,
    lost,
    open_stage,
    ran,
    ran_after_acknowledged,
)
from tests.crash.flow_stories import STORIES
from tests.crash.launching import Launcher
from tests.inspection import Database

MOMENTS = list(Moment)


def in_turns(example: int, checkpoint: int) -> list[Order]:
    """The rule: the moments take turns from checkpoint to checkpoint, the broker's one ahead of the
    worker's, each example beginning with another."""
    first = example + checkpoint
    worker, broker = MOMENTS[first % 3], MOMENTS[(first + 1) % 3]
    return [
        Order(Victim.WORKER, worker, checkpoint),
        Order(Victim.BROKER, broker, checkpoint),
    ]


async def play_everywhere(stage: Stage, example: str, orders: list[list[Order]]) -> int:
    """Play it once as it is, and once for each order, which all have to end alike."""
    story = STORIES[example]
    flow, end = await stage.play(story)
    calm = stage.notes(flow)
    number = len(checkpoints(calm))
    assert set(ran(calm).values()) == {1}
    kills = [one for each in orders[:number] for one in each]
    for given in kills:
        killed, ended = await stage.play_with_a_kill(story, given)
        found = stage.notes(killed)
        assert ended == end, given
        assert ran_after_acknowledged(found) == [], given
        assert ran(found) == ran(calm) + lost(found, given), given
    return len(kills)


@pytest.mark.parametrize("example", ["onboarding", "approval", "agent"])
async def test_whoever_is_killed_at_a_checkpoint_the_example_ends_as_without(
    brokers: Brokers, launcher: Launcher, database: Database, tmp_path: Path, example: str
) -> None:
    place = ["onboarding", "approval", "agent"].index(example)
    orders = [in_turns(place, number) for number in range(1, 20)]
    started = trio.current_time()
    async with open_stage(brokers, launcher, database, tmp_path) as stage:
        kills = await play_everywhere(stage, example, orders)
    print(f"{example}: {kills} kills in {trio.current_time() - started:.1f} s")
    assert kills >= 8
