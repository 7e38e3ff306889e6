"""A message on its way, and how full the mailboxes are."""

from __future__ import annotations

import trio


class Letter:
    """One message and what becomes of it.

    It is settled at most once: later outcomes are ignored. Whoever waits for it may leave at any
    time; the letter stays where it is (A3).
    """

    __slots__ = ("error", "message", "settled", "told", "value", "waiter")

    def __init__(self, message: object, *, told: bool) -> None:
        self.message = message
        self.told = told
        self.settled = False
        self.value: object = None
        self.error: Exception | None = None
        self.waiter: trio.lowlevel.Task | None = None

    def open(self) -> object:
        """Return the message and let go of it: the letter may outlive its turn by far."""
        message, self.message = self.message, None
        return message

    def reply(self, value: object) -> None:
        if not self.settled:
            self.settled = True
            self.value = value
            self.wake()

    def fail(self, error: Exception) -> None:
        if not self.settled:
            self.settled = True
            # Nobody collects what comes of a told message, and it would keep the frames alive.
            self.error = None if self.told else error
            self.wake()

    def wake(self) -> None:
        """Let whoever waits go on, settled or not."""
        if self.waiter is not None:
            trio.lowlevel.reschedule(self.waiter)
            self.waiter = None

    async def wait(self) -> None:
        """Wait until woken. Not a trio.Event: that costs 2 microseconds more, at every ask."""

        def leave(_: object) -> trio.lowlevel.Abort:
            self.waiter = None
            return trio.lowlevel.Abort.SUCCEEDED

        self.waiter = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(leave)

    def result(self) -> object:
        """Return the reply, or raise what the letter failed with, as if it had begun here."""
        error, self.error = self.error, None
        if error is None:
            value, self.value = self.value, None
            return value
        try:
            # The frames of the turn belong to another task, and would grow at every raise.
            raise error.with_traceback(None)
        finally:
            del error  # else the error's traceback would hold this frame, and the frame the error


class Depths:
    """How many messages wait in all mailboxes of a kind, and in the fullest; O(1) to know.

    A depth changes by one at a time, so when the last mailbox of the greatest depth shrinks, it
    is itself one of the next depth.
    """

    __slots__ = ("_mailboxes", "deepest", "queued")

    def __init__(self, limit: int) -> None:
        self.queued = 0
        self.deepest = 0
        self._mailboxes = [0] * (limit + 1)

    def grew(self, depth: int) -> None:
        """A mailbox now holds `depth` messages, one more than before."""
        self.queued += 1
        self._mailboxes[depth] += 1
        self._mailboxes[depth - 1] -= 1
        if depth > self.deepest:
            self.deepest = depth

    def shrank(self, depth: int) -> None:
        """A mailbox now holds `depth` messages, one fewer than before."""
        self.queued -= 1
        self._mailboxes[depth] += 1
        self._mailboxes[depth + 1] -= 1
        if not self._mailboxes[self.deepest]:
            self.deepest = depth
