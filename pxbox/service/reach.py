"""Delivery health: whether what was asked has got to anybody, noted on the way and written late."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import islice

import trio

from pxbox.model.errors import PxError
from pxbox.model.reach import Reach
from pxbox.postgres.reach import Reaches

WRITE_SECONDS = 1.0
LOOK_SECONDS = 60.0
MOST_AT_ONCE = 1_000
MOST_KNOWN = 100_000
NEWEST = 10_000
"""Of so many requests the figure of those that reached nobody is taken."""
OLD_ENOUGH = timedelta(minutes=1)

_REQUEST_EVENT = b'"type":"request.'
# An event's data begins with `{"id":"<ULID>.`, then comes its type.
_ID = slice(7, 33)
_TYPE_WITHIN = 96


class Deliveries:
    """What reaches somebody here is written within a second or so, many at a time.

    It is approximate on purpose: a process that dies forgets what it has not written, and what was
    noted stays when others are asked. `first` counts what got to somebody for the first time,
    `unreached` is as `Reaches.unreached`, a minute old at most.
    """

    def __init__(self, kept: Reaches) -> None:
        self._kept = kept
        self._known: dict[str, Reach] = {}
        self._unwritten: dict[str, Reach] = {}
        self._some = trio.Event()
        self.first = 0
        self.unreached = 0

    def told(self, channel: str, data: bytes) -> None:
        """A subscriber of `channel` is sent this event; cheap, for it is called for each."""
        if channel.startswith("entity:") and data.find(_REQUEST_EVENT, 33, _TYPE_WITHIN) > 0:
            self.note((data[_ID].decode("ascii", "replace"),), Reach.NOTIFIED)

    def note(self, request_ids: Iterable[str], reach: Reach) -> None:
        """These have got as far as this; never waits."""
        known, unwritten = self._known, self._unwritten
        for id in request_ids:
            if known.get(id, Reach.NONE) < reach:
                known[id] = unwritten[id] = reach
        if unwritten:
            self._some.set()
        while len(known) > MOST_KNOWN:
            del known[next(iter(known))]

    async def run(self, on_failure: Callable[[Exception], None]) -> None:
        """Write until cancelled."""
        while True:
            await self._some.wait()
            await trio.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except PxError as error:
                on_failure(error)

    async def look(self, on_failure: Callable[[Exception], None]) -> None:
        """Keep `unreached` right until cancelled."""
        while True:
            try:
                self.unreached = await self._kept.unreached(NEWEST, OLD_ENOUGH)
            except PxError as error:
                on_failure(error)
            await trio.sleep(LOOK_SECONDS)

    async def write(self) -> None:
        """Write all that is not written yet. Raises PxErrors; what was not written is kept."""
        self._some = trio.Event()
        try:
            while self._unwritten:
                batch = dict(islice(self._unwritten.items(), MOST_AT_ONCE))
                self.first += await self._kept.keep(batch)
                for id, reach in batch.items():
                    if self._unwritten.get(id) == reach:
                        del self._unwritten[id]
        finally:
            if self._unwritten:
                self._some.set()
