"""A few seeds of random faults; `python -m tests.long.jepsen` runs many, for long."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator

import pytest

from tests.jepsen.checker import violations
from tests.jepsen.history import Outcome
from tests.jepsen.run import run
from tests.jepsen.world import World, open_world

FAULTS = 4


@pytest.fixture
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_world(tmp_path_factory.mktemp("jepsen")) as world:
        yield world


async def test_under_random_faults_nothing_that_was_promised_is_broken(world: World) -> None:
    for seed in (1, 2):
        history, final = await run(world, seed, FAULTS)
        done = Counter(c.op for c in history.commands if c.outcome is Outcome.DONE)
        print(f"seed {seed}: {history.faults}, {dict(done)}, {len(history.views)} views")
        assert violations(history, final) == []
        assert done["postResponse"]
        assert done["cancelRequest"]
