"""The actor system: asking, telling, and the tasks in which turns are run.

The first message for an actor at rest starts one short task, which handles what is in the
mailbox, one message after another, and ends. So a waiting actor costs no task, and no message
waits for another actor. A task that was begun by `start` needs no second one: what it asks of an
actor at rest is handled in itself.
"""

from __future__ import annotations

import contextvars
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from math import inf

import trio

from actors.address import Address
from actors.behavior import Factory, Limits
from actors.deadlines import Deadlines
from actors.errors import AskTimeout, Draining, UnknownKind
from actors.kind import Activation, Kind, KindStats
from actors.mailbox import Letter
from actors.restarts import RestartLimit, Restarts
from actors.turns import OnCrash, Turns, log_crash

_turn_of: contextvars.ContextVar[System | None] = contextvars.ContextVar("turn_of", default=None)


class System:
    """Actors of several kinds, run in one nursery. Open it with `open_system`.

    All methods are for the trio thread. A turn sees the context variables of the task that
    opened the system, not those of the sender: one turn follows another in the same task.
    """

    def __init__(self, nursery: trio.Nursery, askers: trio.Nursery, turns: Turns) -> None:
        self._nursery = nursery
        self._askers = askers
        self._turns = turns
        self._kinds: dict[str, Kind] = {}
        self._deadlines = Deadlines()
        self._nap = trio.CancelScope()
        self._outside = contextvars.copy_context()
        self._context = contextvars.copy_context()
        self._context.run(_turn_of.set, self)
        self._running = 0
        self._quiet = trio.Event()
        self._draining = False
        self._stopped = False

    def register(
        self,
        kind: str,
        factory: Factory,
        limits: Limits | None = None,
        refusals: tuple[type[Exception], ...] = (),
        *,
        prompt: bool = False,
    ) -> None:
        """Let addresses of `kind` be sent to; `factory` makes the behavior of each activation.

        `refusals` are the exceptions by which the behavior says no: they are no crashes.
        `prompt`: the factory makes `PromptBehavior`s.
        Raises ValueError if `kind` is registered already.
        """
        if kind in self._kinds:
            raise ValueError(f"kind {kind!r} is registered already")
        self._kinds[kind] = Kind(kind, factory, limits or Limits(), refusals, prompt=prompt)

    def start(self, run: Callable[..., Awaitable[object]], *args: object) -> None:
        """Run a task of the system's own, which only the system's end cancels.

        What it asks of an actor at rest costs a fraction of what it costs other tasks. It must
        contain its errors: one that escapes ends the system. Not from a turn.
        """
        self._outside.run(self._start, run, args)

    async def ask(self, address: Address, message: object, timeout: float) -> object:
        """Send `message` and return the reply, if it comes within `timeout` seconds.

        Raises at once, with nothing queued: UnknownKind, MailboxFull, ActorFailing, Draining.
        ActorFailing and Draining may also come later, as long as the turn has not begun.
        Raises one of the kind's refusals, as the behavior raised it; ActorCrashed, from what it
        failed with; TurnAbandoned or AskTimeout, after which the outcome is unknown.

        Neither a timeout nor cancelling the asker takes the message back (A3). An asker that is
        cancelled already sends nothing. A task of `start` is not timed out while the actor handles
        its message, for it is what does the handling; only while it waits behind others.
        """
        if not timeout >= 0:
            raise ValueError("timeout must be non-negative")
        await trio.lowlevel.checkpoint_if_cancelled()
        letter = Letter(message, told=False)
        kind, activation = self._put(address, letter)
        if activation.running:
            await self._wait(letter, trio.current_time() + timeout)
        elif trio.lowlevel.current_task().parent_nursery is self._askers:
            await self._handle_here(kind, activation)
        else:
            self._begin(kind, activation)
            await self._wait(letter, trio.current_time() + timeout)
        if not letter.settled:
            raise AskTimeout(address, timeout)
        return letter.result()

    def tell(self, address: Address, message: object) -> None:
        """Queue `message`; only the system's `on_crash` hears of its failure (A2).

        Raises UnknownKind, MailboxFull, ActorFailing, Draining; then nothing was queued.
        """
        letter = Letter(message, told=True)
        if not self._handle_now(address, letter):
            kind, activation = self._put(address, letter)
            if not activation.running:
                self._begin(kind, activation)

    async def drain(self, grace_seconds: float) -> int:
        """Refuse messages from outside, finish what is queued, and stop (A6).

        Turns may still send to one another. What is not done after `grace_seconds` is given up:
        queued messages are refused, turns in hand are cancelled. Returns how many messages
        those were. A turn that shields itself ends in its own time; leaving `open_system` waits
        for it, this does not.
        """
        self._draining = True
        with trio.move_on_after(grace_seconds):
            await trio.lowlevel.checkpoint()
            if self._running:
                await self._quiet.wait()
        return self._abandon()

    def drop_all(self, kind: str | None = None) -> None:
        """Let no activation, of `kind` or of all kinds, outlive its present turn.

        Idle ones are passivated. Whatever is sent after this call meets a fresh one.
        Raises KeyError if `kind` is not registered.
        """
        for dropped in self._kinds.values() if kind is None else [self._kinds[kind]]:
            dropped.drop_all()

    def stats(self) -> dict[str, KindStats]:
        """Return the figures of each kind; the cost does not grow with the actors."""
        return {name: kind.stats() for name, kind in self._kinds.items()}

    def _start(self, run: Callable[..., Awaitable[object]], args: tuple[object, ...]) -> None:
        self._askers.start_soon(run, *args)

    def _put(self, address: Address, letter: Letter) -> tuple[Kind, Activation]:
        kind = self._kinds.get(address.kind)
        if kind is None:
            raise UnknownKind(address)
        if self._draining and (self._stopped or _turn_of.get() is not self):
            raise Draining(address)
        self._turns.check(address)
        return kind, kind.put(address, letter)

    def _begin(self, kind: Kind, activation: Activation) -> None:
        kind.start(activation)
        self._running += 1
        # Not in the sender's context: the next message of the task may have another sender.
        self._context.run(self._spawn, kind, activation)

    def _handle_now(self, address: Address, letter: Letter) -> bool:
        kind = self._kinds.get(address.kind)
        if kind is None or not kind.prompt or self._draining:
            return False
        activation = kind.at_rest(address)
        return activation is not None and self._turns.handle_now(kind, activation, letter)

    def _spawn(self, kind: Kind, activation: Activation) -> None:
        self._nursery.start_soon(self._run, kind, activation, name=kind.task_name)

    async def _wait(self, letter: Letter, at: float) -> None:
        self._deadlines.add(letter, at)
        self._wake_by(at)
        try:
            await letter.wait()
        finally:
            self._deadlines.remove()

    async def _handle_here(self, kind: Kind, activation: Activation) -> None:
        """Handle what was just put into the mailbox of an actor at rest, in the asker's task."""
        kind.start(activation)
        self._running += 1
        inside = _turn_of.set(self)
        try:
            await self._turns.handle(kind, activation)
        except BaseException:
            self._abandon()
            raise
        finally:
            _turn_of.reset(inside)
            if activation.queue and not self._stopped:
                self._context.run(self._spawn, kind, activation)
            else:
                self._rest(kind, activation)

    async def _run(self, kind: Kind, activation: Activation) -> None:
        """Handle what is in the mailbox of `activation`, and what comes meanwhile."""
        try:
            while activation.queue:
                await self._turns.handle(kind, activation)
                if activation.queue:
                    # A behavior that never waits must not keep the loop from the others.
                    await trio.lowlevel.cancel_shielded_checkpoint()
        except BaseException:
            self._abandon()
            raise
        finally:
            self._rest(kind, activation)

    def _rest(self, kind: Kind, activation: Activation) -> None:
        kind.rest(activation, trio.current_time())
        self._wake_by(kind.next_expiry())
        self._running -= 1
        if self._draining and not self._running:
            self._quiet.set()

    def _abandon(self) -> int:
        """Settle whatever is not, stop what can be stopped, and take nothing any more."""
        if self._stopped:
            return 0
        self._draining = self._stopped = True
        self._nursery.cancel_scope.cancel()
        return sum(kind.abandon() for kind in self._kinds.values())

    def _wake_by(self, at: float) -> None:
        if at < self._nap.deadline:
            self._nap.deadline = at

    async def _keep_time(self) -> None:
        """Time out asks and passivate the idle; sleeps until the first of them is due (A5)."""
        try:
            while True:
                with trio.CancelScope(deadline=self._next_due()) as self._nap:
                    await trio.sleep(inf)
                now = trio.current_time()
                self._deadlines.fire(now)
                for kind in self._kinds.values():
                    kind.expire(now)
        finally:
            self._abandon()

    def _next_due(self) -> float:
        return min(
            self._deadlines.next(),
            *(kind.next_expiry() for kind in self._kinds.values()),
            inf,
        )

    @classmethod
    async def _live(
        cls, turns: Turns, *, task_status: trio.TaskStatus[System] = trio.TASK_STATUS_IGNORED
    ) -> None:
        # A nursery of its own: stopping the turns must not cancel whoever opened the system.
        async with trio.open_nursery() as nursery, trio.open_nursery() as askers:
            system = cls(nursery, askers, turns)
            task_status.started(system)
            await system._keep_time()


@asynccontextmanager
async def open_system(
    *, restarts: RestartLimit | None = None, on_crash: OnCrash = log_crash
) -> AsyncIterator[System]:
    """Run a system of actors for as long as the block lasts.

    Leaving the block abandons what is not done; call `drain` first to let it finish. Then it
    waits for turns that shield themselves from cancellation. As with any nursery, an exception
    of the block arrives in an exception group.
    """
    turns = Turns(Restarts(restarts or RestartLimit()), on_crash)
    async with trio.open_nursery() as nursery:
        system: System = await nursery.start(System._live, turns)
        try:
            yield system
        finally:
            system._abandon()
