"""Small behaviors that the tests of the runtime share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from trio.testing import MockClock

from actors import Address

Handler = Callable[[object], Awaitable[object]]


class Refused(Exception):
    """The refusal that the tests register."""


class Echo:
    """Replies with the message."""

    def __init__(self, address: Address) -> None:
        self.address = address

    async def receive(self, message: object, /) -> object:
        return message


class Scripted:
    """Does what its messages say: each is an async function that is called with no argument."""

    def __init__(self, address: Address) -> None:
        self.address = address

    async def receive(self, message: object, /) -> object:
        assert callable(message)
        return await message()


class Count:
    """Counts the messages that this activation has handled: 1, 2, 3, ..."""

    def __init__(self, address: Address) -> None:
        self.handled = 0

    async def receive(self, message: object, /) -> object:
        self.handled += 1
        if isinstance(message, Exception):
            raise message
        return self.handled


class Recorder:
    """Records what all its activations were sent, and takes as long as a message says."""

    def __init__(self) -> None:
        self.log: list[tuple[Address, object]] = []
        self.at_once: dict[Address, int] = {}

    def __call__(self, address: Address) -> Recording:
        return Recording(address, self)


class Recording:
    """A message is (what, seconds): it is handled for so long, and then is in the log."""

    def __init__(self, address: Address, recorder: Recorder) -> None:
        self.address = address
        self.recorder = recorder

    async def receive(self, message: object, /) -> object:
        assert isinstance(message, tuple)
        what, seconds = message
        at_once = self.recorder.at_once
        at_once[self.address] = at_once.get(self.address, 0) + 1
        assert at_once[self.address] == 1, "two turns of one address at once (A1)"
        await trio.sleep(seconds)
        at_once[self.address] -= 1
        self.recorder.log.append((self.address, what))
        return what


def run_virtual(main: Callable[[], Awaitable[None]]) -> None:
    """Run `main` on a virtual clock; for property tests, which need a new run per example."""
    trio.run(main, clock=MockClock(autojump_threshold=0))
