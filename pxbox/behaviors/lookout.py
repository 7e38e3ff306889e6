"""The lookout: which watched channels may have news that nobody brings (E3).

Wakes bring news while the streams are up. While they are not, and for every wake that says no
more than "look", the log is asked for the heads of the channels in question, all in one query.
"""

from __future__ import annotations

from collections.abc import Callable

import trio

from pxbox.ports import Log, LogUnavailable, Streams

Look = Callable[[str, int], None]


class Lookout:
    """Watched channels, and how far each has been told of.

    `look(channel, head)` is called once per new head; it must not block or raise.
    """

    def __init__(self, log: Log, streams: Streams, look: Look, poll: float, glance: float) -> None:
        self.wary = False
        """Poll even though the streams are up: some batches are known not to have reached them."""
        self._log = log
        self._streams = streams
        self._look = look
        self._poll_seconds = poll
        self._glance_seconds = glance
        self._told: dict[str, int] = {}
        self._in_doubt: set[str] = set()
        self._nudged = trio.Event()

    def watch(self, channel: str) -> None:
        self._told.setdefault(channel, 0)
        self._streams.watch(channel)

    def unwatch(self, channel: str) -> None:
        self._told.pop(channel, None)
        self._streams.unwatch(channel)

    def clear(self) -> None:
        """Nothing is watched any more."""
        self._told.clear()
        self._in_doubt.clear()

    def note(self, channel: str, head: int) -> None:
        """The channel's subscribers have been given everything that is known up to `head`."""
        if channel in self._told:
            self._told[channel] = max(self._told[channel], head)

    def wake(self, channel: str, head: int) -> None:
        """Somebody says that the channel has come to `head`; 0: nobody knows how far."""
        if head > self._told.get(channel, head):
            self._told[channel] = head
            self._look(channel, head)
        elif head == 0 and channel in self._told:
            self._in_doubt.add(channel)
            self._nudged.set()

    async def run(self) -> None:
        """Look for news until cancelled."""
        trusted, polled_at = self._trusted, float("-inf")
        while True:
            with trio.move_on_after(self._glance_seconds):
                await self._nudged.wait()
            self._nudged = trio.Event()
            before, trusted = trusted, self._trusted
            due = trio.current_time() >= polled_at + self._poll_seconds
            # At the turn to the better once more: what came last was told to nobody.
            if trusted != before or (due and not trusted):
                self._in_doubt.update(self._told)
                polled_at = trio.current_time()
            if self._in_doubt:
                await self._ask()

    @property
    def _trusted(self) -> bool:
        return self._streams.available and not self.wary

    async def _ask(self) -> None:
        """Look at every channel in doubt; they stay so where the log does not answer."""
        asked = [channel for channel in self._in_doubt if channel in self._told]
        self._in_doubt.clear()
        try:
            heads = await self._log.heads(asked) if asked else {}
        except LogUnavailable:
            self._in_doubt.update(asked)
            await trio.sleep(self._poll_seconds)
            return
        for channel, head in heads.items():
            if head:
                self.wake(channel, head)
