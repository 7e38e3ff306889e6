"""What a kind of actor is made of: its behavior, and the limits it lives within."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from actors.address import Address


class Behavior(Protocol):
    """What an actor does with its messages. It may keep state: it is never run twice at once."""

    async def receive(self, message: object, /) -> object:
        """Handle one message and return the reply.

        Raising one of the kind's refusals passes it on to the asker and keeps the activation;
        any other exception is a crash, which drops it. Return a `Drop` to reply and be dropped.
        """
        ...


class PromptBehavior(Behavior, Protocol):
    """A behavior that can handle some told messages without waiting, in the sender's own stack.

    That costs no task: for actors that are told much and mostly pass it on.
    """

    def receive_now(self, message: object, /) -> bool:
        """Handle a told message at once, or return False to have it queued for `receive`.

        Called only while the actor is at rest, so A1 holds. It must not block; an exception is a
        crash, as in `receive`.
        """
        ...


Factory = Callable[[Address], Behavior]
"""Makes the behavior of a fresh activation. Loading belongs in `receive`: this cannot wait."""


@dataclass(frozen=True, slots=True)
class Drop:
    """A reply after which the activation is dropped: what it holds in memory may be stale.

    The asker gets `value`, or `error` is raised at it where one is given. It is no crash and
    counts against nothing; messages that wait are handled by a fresh activation.
    """

    value: object = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a kind of actor may hold.

    `mailbox`: messages waiting at one address, without the one in hand. `max_resident`:
    activations kept in memory; only those with nothing to do can go, so busy ones may exceed it.
    `idle_seconds`: how long an activation is kept without a message.
    """

    mailbox: int = 64
    max_resident: int = 4096
    idle_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.mailbox < 1 or self.max_resident < 0 or not self.idle_seconds >= 0:
            raise ValueError(f"impossible limits: {self}")
