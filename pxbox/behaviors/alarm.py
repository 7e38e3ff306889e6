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
# A taken alarm is tried again after this, where its firing failed or its process died: longer than
# a commit may take. That it is fired twice at once costs a refusal, and does nothing (S10).
INVISIBLE = timedelta(seconds=10)


class DueWork(Protocol):
    """Something to do. Of two with one id, the `generation` tells which is meant."""

    @property
    def id(self) -> str: ...
    @property
    def generation(self) -> int: ...


class DueAlarm(DueWork, Protocol):
    @property
    def due(self) -> datetime: ...
    @property
    def subject(self) -> str: ...


Due = TypeVar("Due", bound=DueWork)


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
        self._firing: set[tuple[str, int]] = set()
        self._fired = trio.Event()

    async def run(self) -> None:
        """Fire alarms until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                room = await self._room()
                taken = await self._take_due(room)
                for alarm in taken:
                    # One that takes longer than it is invisible comes once more.
                    if (alarm.id, alarm.generation) not in self._firing:
                        self._firing.add((alarm.id, alarm.generation))
                        nursery.start_soon(self._fire_one, alarm)
                if len(taken) < room:
                    await trio.sleep(LOOK_SECONDS)

    async def _room(self) -> int:
        """How many more may be fired now. One that takes long holds up no other; waiting until
        half of them are done keeps the takes large."""
        while len(self._firing) > MOST_AT_ONCE // 2:
            self._fired = trio.Event()
            await self._fired.wait()
        return MOST_AT_ONCE - len(self._firing)

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
            self._firing.discard((alarm.id, alarm.generation))
            self._fired.set()
