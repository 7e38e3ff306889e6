"""Workers and brokers are killed at random while they run flows of several kinds (F1, F4)."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Protocol

import trio

from tests.brokers import Brokers
from tests.crash.flow_points import notes
from tests.crash.flow_stage import End, Stage, open_stage, ran_after_acknowledged
from tests.crash.flow_stories import STORIES
from tests.crash.launching import Launched, Launcher
from tests.inspection import GLANCE_SECONDS, Database, assert_sound

SEED = 20
PLAYERS = 6
KILLS = 6
# What is noted between two kills: some of these are checkpoints, some are steps.
BETWEEN = (1, 12)


class Seat(Protocol):
    process: Launched

    def start(self) -> None: ...


class Theatre:
    """Players who have one story after another run, until enough were killed."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self._stage = stage
        self._random = random.Random(seed)
        self._over = False
        self.ends: list[tuple[str, str, End]] = []
        self.killed: Counter[str] = Counter()

    async def run(self, players: int, kills: int) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(players):
                nursery.start_soon(self._play, number)
            for _ in range(kills):
                await self._more(self._random.randint(*BETWEEN))
                await self._kill()
            self._over = True

    async def _play(self, number: int) -> None:
        names = list(STORIES)
        turn = number
        while not self._over:
            name = names[turn % len(names)]
            flow, end = await self._stage.play(STORIES[name], number % len(self._stage.brokers))
            self.ends.append((name, flow, end))
            turn += 1

    async def _more(self, number: int) -> None:
        """Return once so much more has been noted."""
        path = self._stage.points
        until = len(notes(path)) + number
        while len(notes(path)) < until:
            await trio.sleep(GLANCE_SECONDS)

    async def _kill(self) -> None:
        seats: dict[str, list[Seat]] = {
            "broker": [*self._stage.brokers], "worker": [*self._stage.workers],
        }  # fmt: skip
        kind = self._random.choice(list(seats))
        seat = self._random.choice(seats[kind])
        seat.process.send_signal(9)
        await trio.to_thread.run_sync(seat.process.wait)
        await trio.to_thread.run_sync(seat.start)
        self.killed[kind] += 1


async def outlast(stage: Stage, seed: int, players: int, kills: int) -> Theatre:
    """Let it go on for so many kills; whatever was played ends as it does without one."""
    calm = {name: (await stage.play(story))[1] for name, story in STORIES.items()}
    theatre = Theatre(stage, seed)
    await theatre.run(players, kills)
    for name, flow, end in theatre.ends:
        assert end == calm[name], (name, flow, seed)
        assert ran_after_acknowledged(stage.notes(flow)) == [], (name, flow, seed)
    return theatre


async def test_flows_end_as_without_whoever_is_killed_in_the_middle_of_a_load(
    brokers: Brokers, launcher: Launcher, database: Database, tmp_path: Path
) -> None:
    started = trio.current_time()
    async with open_stage(brokers, launcher, database, tmp_path, seats=2) as stage:
        theatre = await outlast(stage, SEED, PLAYERS, KILLS)
        await assert_sound(brokers, database)
    print(f"{len(theatre.ends)} flows, {dict(theatre.killed)} killed, "
          f"{trio.current_time() - started:.1f} s")  # fmt: skip
    assert set(theatre.killed) == {"broker", "worker"}
    assert {name for name, _, _ in theatre.ends} == set(STORIES)
