"""What is seen of flows in `/metrics`: how many there are, and how soon and how they are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

import trio

from pxbox.model.errors import PxError
from pxbox.observe import histogram
from pxbox.postgres.flow_views import FlowViews

LOOK_SECONDS = 5.0
STATES = ("running", "waiting", "parked")
MOST_KINDS = 50
"""Whoever starts flows makes up their kinds: the series of the figures are bounded."""
OTHERS = "(others)"

Counts = dict[str, dict[str, int]]


class FlowFigures:
    """`counts` is how many flows of each kind are in each of `STATES`, `LOOK_SECONDS` old at most
    while the database can be reached: all there are, not those of this broker. `waited` and
    `replays` are of what was given out by this broker."""

    def __init__(self, flows: FlowViews) -> None:
        self._flows = flows
        self.counts: Counts = {}
        self.replays = 0
        self.wakes = histogram(
            "pxbox_flow_wake_seconds",
            "Time from a flow's wake being committed until a worker has it.",
        )

    def leased(self, waited: Iterable[timedelta]) -> None:
        """Flows that were to be run for so long have been given to a worker."""
        for one in waited:
            self.wakes.observe(one.total_seconds())

    async def look(self, on_failure: Callable[[Exception], None]) -> None:
        """Keep `counts` right until cancelled."""
        while True:
            try:
                self.counts = bounded(await self._flows.tally(), self.counts)
            except PxError as error:
                on_failure(error)
            await trio.sleep(LOOK_SECONDS)


def bounded(found: Counts, before: Counts) -> Counts:
    """The kinds with most flows, by name, and the others together. A kind that had some before and
    has none now is shown with zeros: a series that only ended would seem to stand still."""
    found = {kind: {} for kind in before if kind != OTHERS} | found
    largest = sorted(found, key=lambda kind: (-sum(found[kind].values()), kind))
    shown = {kind: _filled(found[kind]) for kind in sorted(largest[:MOST_KINDS])}
    rest = largest[MOST_KINDS:]
    if rest or OTHERS in before:
        shown[OTHERS] = {state: sum(found[kind].get(state, 0) for kind in rest) for state in STATES}
    return shown


def _filled(counts: dict[str, int]) -> dict[str, int]:
    return {state: counts.get(state, 0) for state in STATES}
