"""Random kills for long while flows run; each round has a seed of its own, said with what it finds:
`python -m pytest -s tests/long/test_flows_under_load.py`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.brokers import Brokers
from tests.crash.flow_stage import open_stage
from tests.crash.launching import Launcher
from tests.crash.test_flows_under_load import outlast
from tests.inspection import Database, assert_sound

ROUNDS = 5
PLAYERS = 16
KILLS = 30


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_flows_end_as_without_however_long_it_goes_on(
    brokers: Brokers, launcher: Launcher, database: Database, tmp_path: Path, seed: int
) -> None:
    async with open_stage(brokers, launcher, database, tmp_path, seats=2) as stage:
        theatre = await outlast(stage, seed, PLAYERS, KILLS)
        await assert_sound(brokers, database)
    print(f"seed {seed}: {len(theatre.ends)} flows, {dict(theatre.killed)} killed")
