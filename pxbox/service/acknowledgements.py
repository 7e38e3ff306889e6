"""Acknowledgements under a session name: taken at once, written many at a time (E8)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import islice

import trio

from pxbox.model.channel import Place, Position
from pxbox.model.errors import PxError
from pxbox.postgres.acknowledged import Acknowledged
from pxbox.service.epoch import Epoch

WRITE_SECONDS = 1.0
MOST_AT_ONCE = 1_000


class Acknowledgements:
    """What is acknowledged here is kept within a second or so, in no order: it only grows.

    A process that dies loses what it has not written: those events come again (E8).
    """

    def __init__(self, kept: Acknowledged, epoch: Epoch) -> None:
        self._epoch = epoch
        self._of = epoch.name
        self._kept = kept
        self._unwritten: dict[Place, int] = {}
        self._some = trio.Event()
        self._hurry = trio.Event()

    def acknowledge(self, place: Place, seq: int) -> None:
        """Take a number that is greater than those before it from this connection; never waits."""
        self._forget_another_epoch()
        if seq > self._unwritten.get(place, 0):
            self._unwritten[place] = seq
            self._some.set()

    async def position(self, place: Place) -> Position | None:
        """How far this place has come, what is not written yet included. Raises Unavailable."""
        self._forget_another_epoch()
        unwritten = self._unwritten.get(place)
        kept = await self._kept.at(place)
        if unwritten is None:
            return kept
        of_this_epoch = kept is not None and kept.epoch == self._of
        return Position(self._of, max(unwritten, kept.seq if kept and of_this_epoch else 0))

    def _forget_another_epoch(self) -> None:
        """Numbers of an epoch that has ended mean nothing any more (E4)."""
        if self._of != self._epoch.name:
            self._of = self._epoch.name
            self._unwritten.clear()

    def write_soon(self) -> None:
        """Write what there is now: who acknowledged it may come back elsewhere."""
        self._hurry.set()

    async def purge(self, older_than: timedelta, most: int) -> int:
        """Delete up to `most` that have not changed for so long; return how many."""
        return await self._kept.purge(older_than, most)

    async def run(self, on_failure: Callable[[Exception], None]) -> None:
        """Write until cancelled."""
        while True:
            await self._some.wait()
            with trio.move_on_after(WRITE_SECONDS):
                await self._hurry.wait()
            self._hurry = trio.Event()
            try:
                await self.write()
            except PxError as error:
                on_failure(error)
                await trio.sleep(WRITE_SECONDS)

    async def write(self) -> None:
        """Write all that is not written yet. Raises PxErrors; what was not written is kept."""
        self._some = trio.Event()
        self._forget_another_epoch()
        try:
            while self._unwritten:
                batch = dict(islice(self._unwritten.items(), MOST_AT_ONCE))
                await self._kept.keep(self._of, batch)
                for place, seq in batch.items():
                    if self._unwritten.get(place) == seq:
                        del self._unwritten[place]
        finally:
            if self._unwritten:
                self._some.set()
