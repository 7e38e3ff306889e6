"""What can go wrong between a sender and an actor, one class per meaning.

Each says what the sender may conclude about its message: refused errors mean it was not, and
will not be, handled; unknown ones mean it may have been, or may yet be.
"""

from __future__ import annotations

from actors.address import Address


class ActorError(Exception):
    """Something went wrong with a message to `address`."""

    def __init__(self, address: Address, explanation: str) -> None:
        super().__init__(explanation)
        self.address = address


class UnknownKind(ActorError):
    """Refused: no such kind of actor is registered with this system."""

    def __init__(self, address: Address) -> None:
        super().__init__(address, f"no kind {address.kind!r} is registered")


class MailboxFull(ActorError):
    """Refused: as many messages wait at `address` as its kind allows. Retry later."""

    def __init__(self, address: Address, limit: int) -> None:
        super().__init__(address, f"the mailbox of {address} is full ({limit} messages)")
        self.limit = limit


class Draining(ActorError):
    """Refused: the system is shutting down."""

    def __init__(self, address: Address) -> None:
        super().__init__(address, f"the system is draining: {address} takes no more messages")


class ActorFailing(ActorError):
    """Refused: `address` crashed too often lately. Retry after `retry_after` seconds."""

    def __init__(self, address: Address, retry_after: float) -> None:
        super().__init__(
            address, f"{address} keeps crashing; it is tried again in {retry_after:.3f} s"
        )
        self.retry_after = retry_after


class ActorCrashed(ActorError):
    """Unknown: the behavior failed at this message, and `__cause__` is how.

    What it had done before it failed stays done.
    """

    def __init__(self, address: Address) -> None:
        super().__init__(address, f"{address} crashed while handling the message")


class AskTimeout(ActorError):
    """Unknown: no reply came within `timeout` seconds. The turn goes on, or is still to come."""

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(address, f"no reply from {address} within {timeout:g} s")
        self.timeout = timeout


class TurnAbandoned(ActorError):
    """Unknown: the system stopped in the middle of the turn."""

    def __init__(self, address: Address) -> None:
        super().__init__(address, f"the system stopped while {address} handled the message")
