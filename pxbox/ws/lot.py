"""A place to wait that takes no memory while nobody does."""

from __future__ import annotations

import trio


class Lot:
    """A `trio.lowlevel.ParkingLot` for those that are empty nearly all the time: there are some for
    each connection."""

    __slots__ = ("_parked",)

    def __init__(self) -> None:
        self._parked: trio.lowlevel.ParkingLot | None = None

    async def park(self) -> None:
        """Wait until the next `unpark_all`."""
        if self._parked is None:
            self._parked = trio.lowlevel.ParkingLot()
        await self._parked.park()

    def unpark_all(self) -> None:
        """Let everybody go on who waits."""
        if self._parked is not None:
            parked, self._parked = self._parked, None
            parked.unpark_all()
