"""One registered kind of actor: its activations in memory and their statistics.

No task is kept here: an idle activation is an object with an empty mailbox (A5).
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass
from math import inf

from actors.address import Address
from actors.behavior import Behavior, Factory, Limits
from actors.errors import Draining, MailboxFull, TurnAbandoned
from actors.mailbox import Depths, Letter


@dataclass(frozen=True, slots=True)
class KindStats:
    """What one kind of actor holds now, and counts since the system was opened.

    Now: `resident` activations in memory, of which `active` have work in hand or waiting;
    `queued` messages waiting, `deepest` the most in one mailbox. Counts: `turns` begun;
    `crashes`; `passivations` of idle activations; `refused_full`, messages that met a full
    mailbox; `failed_tells`, told messages that were accepted and then failed.
    """

    resident: int
    active: int
    queued: int
    deepest: int
    turns: int
    crashes: int
    passivations: int
    refused_full: int
    failed_tells: int


class Activation:
    """One actor in memory: its mailbox, and its behavior once that was needed."""

    __slots__ = ("address", "behavior", "idle_since", "in_hand", "queue", "running", "stale")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.queue: deque[Letter] = deque()
        self.behavior: Behavior | None = None
        self.in_hand: Letter | None = None
        self.running = False
        self.stale = False
        self.idle_since = 0.0

    def end_turn(self) -> None:
        """No message is in hand any more; if memory went stale meanwhile, forget it."""
        self.in_hand = None
        if self.stale:
            self.stale = False
            self.behavior = None


class Kind:
    """The activations of one kind. Busy ones stay; idle ones wait in the order of last use."""

    def __init__(
        self,
        name: str,
        factory: Factory,
        limits: Limits,
        refusals: tuple[type[Exception], ...],
        *,
        prompt: bool = False,
    ) -> None:
        self.name = name
        self.task_name = f"actor {name}"
        self.factory = factory
        self.limits = limits
        self.refusals = refusals
        self.prompt = prompt
        self.turns = 0
        self.crashes = 0
        self.failed_tells = 0
        self._passivations = 0
        self._refused_full = 0
        self._depths = Depths(limits.mailbox)
        self._residents: dict[str, Activation] = {}
        self._idle: OrderedDict[str, Activation] = OrderedDict()

    def put(self, address: Address, letter: Letter) -> Activation:
        """Queue `letter` and return the activation whose mailbox it is in.

        Raises MailboxFull; nothing is then changed but the count of refusals.
        """
        activation = self._residents.get(address.id)
        if activation is None:
            activation = self._residents[address.id] = Activation(address)
            self._trim()
        queue = activation.queue
        if len(queue) >= self.limits.mailbox:
            self._refused_full += 1
            raise MailboxFull(address, self.limits.mailbox)
        queue.append(letter)
        self._depths.grew(len(queue))
        return activation

    def at_rest(self, address: Address) -> Activation | None:
        """The activation of `address` if it is in memory and has nothing to do."""
        return self._idle.get(address.id)

    def used(self, activation: Activation, now: float) -> None:
        """`activation`, which is at rest, was of use without leaving it."""
        activation.idle_since = now
        self._idle.move_to_end(activation.address.id)

    def start(self, activation: Activation) -> None:
        """`activation` has work: it cannot be passivated until it rests."""
        activation.running = True
        self._idle.pop(activation.address.id, None)

    def take(self, activation: Activation) -> Letter:
        """Take the oldest letter out of the mailbox, in hand."""
        queue = activation.queue
        letter = activation.in_hand = queue.popleft()
        self._depths.shrank(len(queue))
        return letter

    def rest(self, activation: Activation, now: float) -> None:
        """`activation` has nothing left to do: keep it for a while, or forget an empty one."""
        activation.running = False
        if activation.behavior is None:
            del self._residents[activation.address.id]
            return
        activation.idle_since = now
        self._idle[activation.address.id] = activation
        self._trim()

    def next_expiry(self) -> float:
        """Return when the activation that is idle longest is to go; infinity if none is idle."""
        if not self._idle:
            return inf
        return next(iter(self._idle.values())).idle_since + self.limits.idle_seconds

    def expire(self, now: float) -> None:
        """Passivate what was idle for `idle_seconds` at `now`."""
        while self.next_expiry() <= now:
            self._passivate()

    def drop_all(self) -> None:
        """Let no activation outlive its present turn; its queued letters stay."""
        while self._idle:
            self._passivate()
        for activation in self._residents.values():
            if activation.in_hand is None:
                activation.behavior = None
            else:
                activation.stale = True

    def abandon(self) -> int:
        """Settle the letters in hand as unknown, and refuse those queued; return how many.

        What runs is not stopped by this, but nobody hears of it any more.
        """
        count = 0
        for activation in self._residents.values():
            if activation.in_hand is not None:
                activation.in_hand.fail(TurnAbandoned(activation.address))
                count += 1
            while activation.queue:
                activation.queue.popleft().fail(Draining(activation.address))
                self._depths.shrank(len(activation.queue))
                count += 1
        return count

    def stats(self) -> KindStats:
        return KindStats(
            resident=len(self._residents),
            active=len(self._residents) - len(self._idle),
            queued=self._depths.queued,
            deepest=self._depths.deepest,
            turns=self.turns,
            crashes=self.crashes,
            passivations=self._passivations,
            refused_full=self._refused_full,
            failed_tells=self.failed_tells,
        )

    def _trim(self) -> None:
        while len(self._residents) > self.limits.max_resident and self._idle:
            self._passivate()

    def _passivate(self) -> None:
        key, _ = self._idle.popitem(last=False)
        del self._residents[key]
        self._passivations += 1
