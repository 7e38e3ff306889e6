"""The watch on the epoch: whether Postgres may have lost what it had committed (E4).

Whoever sees an event of a channel, in a hot window or told by a client, sees that Postgres had
committed it: if Postgres is asked afterwards and has not come so far, it has lost something. What
was seen is judged by one statement on the primary that asks and changes the epoch in one, so no
read that lags behind can raise an alarm. A window belongs to an epoch by its key, so that of
another installation is never seen at all.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from pxbox.ports import Era, Installations

LOOK_SECONDS = 1.0
MOST_SEEN = 10_000
# No event can have a greater number: whoever says so was given none.
MOST_SEQ = 2**63 - 1


class Seen:
    """How far channels were seen to have come, in one epoch."""

    def __init__(self) -> None:
        self._heads: dict[str, int] = {}

    def note(self, channel: str, seq: int) -> None:
        """An event of this number was seen. Past a bound new channels go unnoted: whoever is
        ahead is seen again."""
        if seq > self._heads.get(channel, 0) and (
            channel in self._heads or len(self._heads) < MOST_SEEN
        ):
            self._heads[channel] = seq

    def take(self) -> dict[str, int]:
        """What was noted since this was last called."""
        taken, self._heads = self._heads, {}
        return taken


class Sightings:
    """`now` takes what is seen. Whoever looks gets it first and notes in it what was found then:
    what began before an epoch ended says nothing about the next one."""

    def __init__(self) -> None:
        self.now = Seen()

    def begin(self) -> None:
        """Another epoch has begun."""
        self.now = Seen()


class EpochWatch:
    """`begin(era)` is called once for each epoch that replaces the one before; it must not block
    or raise. `on_failure` hears why the row cannot be read."""

    def __init__(
        self,
        installations: Installations,
        epoch: str,
        begin: Callable[[Era], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self.sightings = Sightings()
        self._installations = installations
        self._epoch = epoch
        self._begin = begin
        self._on_failure = on_failure
        self._looking = trio.Lock()

    async def run(self) -> None:
        """Look every second, until cancelled: what one process finds, all are told within two."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            seen = self.sightings.now
            heads = seen.take()
            try:
                if heads:
                    await self._installations.suspect(self._epoch, heads, by_client=False)
                await self.look()
            except Exception as error:
                for channel, head in heads.items():
                    seen.note(channel, head)
                self._on_failure(error)

    async def look(self) -> None:
        """Take over the epoch as it is now."""
        async with self._looking:
            era = await self._installations.current()
            if era.epoch != self._epoch:
                self._epoch = era.epoch
                self.sightings.begin()
                self._begin(era)

    async def client_ahead(self, channel: str, seq: int) -> bool:
        """A client says that it was given this event in the present epoch. Whether that has
        ended it."""
        said = {channel: seq}
        if seq > MOST_SEQ or not await self._installations.suspect(
            self._epoch, said, by_client=True
        ):
            return False
        await self.look()
        return True
