"""One channel watched for as long as somebody wants, over any number of connections.

What comes is in order and each once, or a Gap says what cannot be had any more (E5).
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from pxbox.client import timing
from pxbox.client.errors import NotSupported, PxBoxError, Unreachable
from pxbox.client.events import Event, Gap, Position, decode_event
from pxbox.client.polling import missed, read_page
from pxbox.client.retry import Backoff, Transient
from pxbox.model import wire

if TYPE_CHECKING:
    from pxbox.client.connection import Connection
    from pxbox.client.frames import Frame
    from pxbox.client.link import Lane, Link

# What a reader has not taken yet is bounded: beyond, the channel is left, and resumed later.
MOST_WAITING = 2_000
FEW_WAITING = 500


@dataclass(slots=True)
class _State:
    """Of one connection: what has happened to the subscription on it."""

    lost: bool = False
    full: bool = False
    late: bool = False
    head: int = 0

    @property
    def over(self) -> bool:
        return self.lost or self.full or self.late


class Watch:
    """Run it by `run`; take what has come by `take_next`.

    Without `since` it starts from what the session has acknowledged, or, without a session, from
    now. `started` once it was, `live` while it is watched over a WebSocket; `position` is that of
    the last item that was put in line.
    """

    def __init__(
        self, link: Link, channel: str, since: Position | int | None, session: str | None
    ) -> None:
        self._link = link
        self._session = session
        self._since = since if isinstance(since, int) else None
        self.channel = channel
        self.position = since if isinstance(since, Position) else None
        self.items: deque[Event | Gap] = deque()
        self.failure: PxBoxError | None = None
        self.live = False
        self.started = False
        self._state = _State()
        self._acked: Position | None = None
        self._told: Position | None = None
        self._news = anyio.Event()

    async def take_next(self) -> Event | Gap:
        """The next item, waited for. Raises what ended the watch, after what came before it."""
        while not self.items:
            if self.failure is not None:
                raise self.failure
            await self._news.wait()
        item = self.items.popleft()
        if len(self.items) == FEW_WAITING:
            self._tell()
        return item

    async def wait_news(self) -> None:
        """Return when anything about the watch has changed."""
        await self._news.wait()

    def acknowledge(self, position: Position) -> None:
        """Everything up to there was dealt with; told to the broker soon."""
        if self._acked is None or position.newer_than(self._acked):
            self._acked = position
            self._tell()

    async def run(self) -> None:
        """Watch until cancelled, or until the channel may not be watched."""
        backoff = Backoff()
        lane = self._link.lane_for(self.channel, self._session)
        lane.channels.add(self.channel)
        try:
            while self.failure is None:
                try:
                    await self._through(lane)
                    backoff.reset()
                except Transient as failure:
                    await anyio.sleep(backoff.next(failure.after))
                except PxBoxError as error:
                    self.refused(error)
        finally:
            self._link.leave(lane, self.channel)

    async def _through(self, lane: Lane) -> None:
        """Watch on one connection, until that or the subscription ends."""
        connection = await lane.wait_connection()
        if connection is None:
            await self._without_connection(lane)
            return
        self._state = _State()
        self._told = None
        connection.sinks[self.channel] = self
        try:
            await self._join(connection)
            self.live = self.started = True
            self._tell()
            await self._stay(connection)
        finally:
            self.live = False
            self._tell()
            await self._leave(connection)
        if self._state.full:
            await self._until_room()

    async def _join(self, connection: Connection) -> None:
        if self.position is None and self._since is not None:
            # A bare number is meant in the epoch of now, which subscribing tells.
            epoch = (await connection.ask("subscribe", channel=self.channel)).epoch
            await connection.ask("unsubscribe", channel=self.channel)
            self.items.clear()
            self.position = Position(epoch, self._since)
        if self.position is not None:
            seq, epoch = self.position.seq, self.position.epoch
            await connection.ask("resume", channel=self.channel, since=seq, epoch=epoch)
            return
        if self._session is not None:
            # A broker that keeps no acknowledgements says so.
            with suppress(NotSupported):
                await connection.ask("resume", channel=self.channel)
                return
        await connection.ask("subscribe", channel=self.channel)

    async def _stay(self, connection: Connection) -> None:
        while not self._ended:
            if self._unsaid is not None:
                await self._say(connection)
                await self._until_ended(timing.ACK_SECONDS)
            elif self._behind:
                await self._until_ended(timing.LATE_SECONDS)
                self._state.late = self._behind
            else:
                await self._news.wait()

    @property
    def _ended(self) -> bool:
        return self._state.over or self.failure is not None

    @property
    def _behind(self) -> bool:
        return self.position is not None and self._state.head > self.position.seq

    async def _until_ended(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            while not self._ended:
                await self._news.wait()

    @property
    def _unsaid(self) -> Position | None:
        """What was acknowledged and is to be told: kept by the broker for named sessions only."""
        acked, position = self._acked, self.position
        if self._session is None or acked is None or position is None or acked == self._told:
            return None
        return acked if acked.epoch == position.epoch else None

    async def _say(self, connection: Connection) -> None:
        acked = self._unsaid
        if acked is not None:
            self._told = acked
            await connection.tell("ack", channel=self.channel, seq=acked.seq)

    async def _leave(self, connection: Connection) -> None:
        if connection.sinks.get(self.channel) is not self:
            return
        with (
            anyio.CancelScope(shield=True),
            anyio.move_on_after(timing.LEAVE_SECONDS),
            suppress(PxBoxError, Transient),
        ):
            await self._say(connection)
            await connection.ask("unsubscribe", channel=self.channel)
        if connection.sinks.get(self.channel) is self:
            del connection.sinks[self.channel]

    async def _without_connection(self, lane: Lane) -> None:
        """Where no WebSocket is to be had: a request's channel is read over REST, others wait."""
        if lane.final and lane.failure is not None:
            raise lane.failure
        if self.channel.startswith("request:"):
            await self._poll(lane)
        elif lane.blocked:
            raise Unreachable(
                f"{self.channel} cannot be watched: something on the way lets no WebSocket through"
            )
        else:
            await lane.wait_news()

    async def _poll(self, lane: Lane) -> None:
        """Read on until there is a connection again."""
        request_id = self.channel.partition(":")[2]
        while lane.connection is None:
            await self._until_room()
            wait = self.position is not None
            since = self.position.seq if self.position else (self._since or 0)
            page = await read_page(self._link, request_id, since, wait)
            if self.position is None:
                seq = page.head if self._since is None else self._since
                self.position = Position(page.epoch, seq)
            self.started = True
            self._take_page(page)

    def _take_page(self, page: wire.EventPage) -> None:
        assert self.position is not None
        reason = missed(page, self.position)
        if reason is not None:
            self._miss(reason, Position(page.epoch, page.head))
            return
        for item in page.items:
            if item.seq == self.position.seq + 1:
                self._put(item.seq, bytes(item.data))
        self._tell()

    async def _until_room(self) -> None:
        """A reader that is far behind gets room before more is asked for."""
        while len(self.items) > FEW_WAITING:
            await self._news.wait()

    # What the connection's reader tells; nothing here waits.

    def take(self, frame: Frame) -> None:
        """A frame of the channel."""
        if frame.type == "event":
            self._take_event(frame)
        elif frame.type == "recovered":
            self._take_recovered(frame)
        elif frame.op == "subscribed" and self.position is None:
            self.position = Position(frame.epoch, frame.seq)

    def _take_event(self, frame: Frame) -> None:
        if self.position is None or self._state.over or frame.seq <= self.position.seq:
            return
        if frame.seq != self.position.seq + 1 or frame.epoch != self.position.epoch:
            # Never by the contract; where it is so all the same, what is missing is asked for.
            self._state.late = True
        elif len(self.items) >= MOST_WAITING:
            self._state.full = True
        else:
            self._put(frame.seq, bytes(frame.data))
        self._tell()

    def _put(self, seq: int, data: bytes) -> None:
        assert self.position is not None
        self.position = Position(self.position.epoch, seq)
        self.items.append(decode_event(self.channel, self.position, data))

    def _take_recovered(self, frame: Frame) -> None:
        told = frame.read()
        if told["recovered"]:
            if self.position is None:
                self.position = Position(frame.epoch, told["from"] - 1)
            return
        self._miss(told["reason"], Position(frame.epoch, frame.seq))

    def _miss(self, reason: str, position: Position) -> None:
        self.position = position
        self.items.append(Gap(channel=self.channel, reason=reason, position=position))
        self._tell()

    def beat(self, head: int) -> None:
        """The channel's head, as a heartbeat says."""
        self._state.head = head
        if self._behind:
            self._tell()

    def lost(self) -> None:
        """The connection is gone."""
        self._state.lost = True
        self._tell()

    def refused(self, error: PxBoxError) -> None:
        """It may not be watched any more."""
        self.failure = error
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = anyio.Event()
