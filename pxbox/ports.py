"""What the broker needs of the outside, as protocols.

The durable side (`Journal`) is the actor runtime's own protocol: see `actors.journal`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pxbox.model.channel import Bounds as Bounds
from pxbox.model.channel import Entry as Entry


@dataclass(frozen=True, slots=True)
class Append:
    """Entries that follow each other, the first of them numbered `entries[0].seq`."""

    channel: str
    entries: tuple[Entry, ...]


class StreamsUnavailable(Exception):
    """The hot window cannot be reached; the log in Postgres still has every event (E3)."""


class Streams(Protocol):
    """The hot window of each channel, and the wakes of those who watch it (E2).

    Every method may raise StreamsUnavailable. A position belongs to the epoch that the
    implementation was opened with, or that was begun since.
    """

    async def append(self, appends: Sequence[Append]) -> list[int]:
        """Append to each channel what it does not have yet, and wake its watchers.

        Per append: the window's last number now. Where that is less than the last entry's,
        something is missing after it (a gap: `reseed`, or append the missing part).
        """
        ...

    async def reseed(self, append: Append) -> None:
        """Replace the channel's window by these entries, unless it already reaches further."""
        ...

    async def read(self, channel: str, after: int, limit: int) -> list[Entry] | None:
        """Up to `limit` entries from `after + 1` on; None if the window does not reach back."""
        ...

    def watch(self, channel: str) -> None:
        """Have the `on_wake` callback called for this channel from now on, in any process."""
        ...

    def unwatch(self, channel: str) -> None: ...

    def begin_epoch(self, epoch: str) -> None:
        """Leave all windows as they are, and have others from now on, empty; watch nothing."""
        ...

    @property
    def available(self) -> bool:
        """False while wakes may be missed: poll the heads instead."""
        ...


OnWake = Callable[[str, int], None]
"""Called with a channel and the newest number known of it; must not block or raise."""


class LogUnavailable(Exception):
    """The log (Postgres) cannot be reached."""


class Log(Protocol):
    """Every channel's events, complete: what the hot windows are filled from (E2, E3).

    Every method may raise LogUnavailable.
    """

    async def read(self, channel: str, after: int, limit: int) -> list[Entry]:
        """Up to `limit` entries from `after + 1` on, oldest first."""
        ...

    async def newest(self, channel: str, limit: int) -> list[Entry]:
        """The newest `limit` entries, oldest first."""
        ...

    async def bounds(self, channel: str) -> Bounds: ...

    async def heads(self, channels: Sequence[str]) -> dict[str, int]:
        """The newest number of each of these channels, 0 where there is none; in one query."""
        ...

    async def unrelayed(self, limit: int) -> list[tuple[int, list[str]]]:
        """Batches older than 1 s that may not have reached the hot windows, with their channels."""
        ...

    async def forget(self, batches: Sequence[int]) -> None:
        """These batches have reached the hot windows."""
        ...


@dataclass(frozen=True, slots=True)
class Era:
    """The installation's epoch, and why it began."""

    epoch: str
    reason: str


class Installations(Protocol):
    """The installation's row. Both may raise."""

    async def current(self) -> Era:
        """The epoch as it is; a new one if this is another database than the row says."""
        ...

    async def suspect(self, epoch: str, heads: Mapping[str, int], *, by_client: bool) -> bool:
        """Begin a new epoch if `epoch` still is the present one and any channel has not come as
        far as `heads` says. Whether one began."""
        ...
