"""Every example, killed at every checkpoint at every moment, worker and broker:
`python -m pytest -s tests/long/test_flow_checkpoints.py`."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.brokers import Brokers
from tests.crash.flow_points import Moment, Order, Victim
from tests.crash.flow_stage import open_stage
from tests.crash.flow_stories import STORIES
from tests.crash.launching import Launcher
from tests.crash.test_flow_checkpoints import play_everywhere
from tests.inspection import Database


@pytest.mark.parametrize("example", STORIES)
async def test_whoever_is_killed_whenever_the_example_ends_as_without(
    brokers: Brokers, launcher: Launcher, database: Database, tmp_path: Path, example: str
) -> None:
    orders = [
        [Order(victim, moment, number) for victim in Victim for moment in Moment]
        for number in range(1, 20)
    ]
    started = trio.current_time()
    async with open_stage(brokers, launcher, database, tmp_path) as stage:
        kills = await play_everywhere(stage, example, orders)
    print(f"{example}: {kills} kills in {trio.current_time() - started:.1f} s")
