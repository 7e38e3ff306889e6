"""`python -m tests.long.jepsen [--minutes 10] [--seed N]`: faults for long, judged every 20.

Ends with 1 at the first violation, and says all of them with the seed and the faults before it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

import trio

from tests.jepsen.checker import violations
from tests.jepsen.run import run
from tests.jepsen.world import open_world

FAULTS_A_ROUND = 20


async def main(minutes: float, seed: int) -> int:
    """Run for so long; the exit code."""
    with tempfile.TemporaryDirectory() as directory:
        async with open_world(Path(directory)) as world:
            ending = trio.current_time() + 60 * minutes
            while trio.current_time() < ending:
                history, final = await run(world, seed, FAULTS_A_ROUND)
                outcomes = Counter(f"{c.op} {c.outcome}" for c in history.commands)
                events = sum(len(view.told) for view in history.views)
                print(f"seed {seed}: {len(history.faults)} faults, {dict(outcomes)}, "
                      f"{events} told to watchers", flush=True)  # fmt: skip
                if wrong := violations(history, final):
                    print("\n".join([*wrong, f"faults: {history.faults}"]))
                    return 1
                seed += 1
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    given = parser.parse_args()
    sys.exit(trio.run(main, given.minutes, given.seed))
