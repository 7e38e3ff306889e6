"""The alarm clock: takes due alarms and has their subjects fire them (S10).

Messages between actors are taken and delivered alike (S5).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

import trio

# A due alarm fires within a second: a look every half of one leaves the other for the firing.
LOOK_SECONDS = 0.5
MOST_AT_ONCE = 100
# A taken alarm whose firing failed is tried again after this.
INVISIBLE = timedelta(seconds=30)


class DueAlarm(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def generation(self) -> int: ...
    @property
    def due(self) -> datetime: ...
    @property
    def subject(self) -> str: ...


Due = TypeVar("Due")


class AlarmClock(Generic[Due]):
    """`take(most, invisible)` gives due alarms, oldest first; `fire(alarm)` fires one.

    Both may raise; `on_failure` is told, and what was taken is tried again later.
    """

    def __init__(
        self,
        take: Callable[[int, timedelta], Awaitable[Sequence[Due]]],
        fire: Callable[[Due], Awaitable[None]],
        on_failure: Callable[[Exception], None],
    ) -> None:
        self._take = take
        self._fire = fire
        self._on_failure = on_failure
        self._firing = 0
        self._fired = trio.Event()

    async def run(self) -> None:
        """Fire alarms until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                room = await self._room()
                taken = await self._take_due(room)
                self._firing += len(taken)
                for alarm in taken:
                    nursery.start_soon(self._fire_one, alarm)
                if len(taken) < room:
                    await trio.sleep(LOOK_SECONDS)

    async def _room(self) -> int:
        """How many more may be fired now. One that takes long holds up no other; waiting until
        half of them are done keeps the takes large."""
        while self._firing > MOST_AT_ONCE // 2:
            self._fired = trio.Event()
            await self._fired.wait()
        return MOST_AT_ONCE - self._firing

    async def _take_due(self, most: int) -> Sequence[Due]:
        try:
            return await self._take(most, INVISIBLE)
        except Exception as error:
            self._on_failure(error)
            return ()

    async def _fire_one(self, alarm: Due) -> None:
        try:
            await self._fire(alarm)
        except Exception as error:
            self._on_failure(error)
        finally:
            self._firing -= 1
            self._fired.set()
