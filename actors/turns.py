"""One turn: a message is handled, and its sender learns how that went (A1, A4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import inf
from typing import cast

import trio

from actors.address import Address
from actors.behavior import Drop, PromptBehavior
from actors.errors import ActorCrashed, ActorFailing, TurnAbandoned
from actors.kind import Activation, Kind
from actors.mailbox import Letter
from actors.restarts import Restarts

OnCrash = Callable[[Address, BaseException], None]
"""Told of every crash, and of every told message that failed: nobody else would hear of it."""

_log = logging.getLogger("actors")


def log_crash(address: Address, error: BaseException) -> None:
    """Log that `address` failed, and the type of `error`: its text may quote the message (X5)."""
    _log.error("actor %s failed: %s", address, type(error).__qualname__)


class Turns:
    """Runs behaviors, and keeps what they raise from everybody but the asker."""

    def __init__(self, restarts: Restarts, on_crash: OnCrash) -> None:
        self._restarts = restarts
        self._on_crash = on_crash

    def check(self, address: Address) -> None:
        """Raise ActorFailing if `address` crashed too often to be tried now."""
        if not self._restarts:
            return
        if wait := self._restarts.retry_after(address, trio.current_time()):
            raise ActorFailing(address, wait)

    async def handle(self, kind: Kind, activation: Activation) -> None:
        """Handle the oldest message of `activation`; no fault of the behavior leaves this.

        Raises only what ends the whole system: cancellation, or an interrupt of the program.
        """
        letter = kind.take(activation)
        try:
            reply = await self._receive(kind, activation, letter)
        except kind.refusals as refusal:
            self._refuse(kind, activation, letter, refusal)
        except Exception as error:
            self._crash(kind, activation, letter, error)
        except BaseException as error:
            if not _is_fault(error):
                letter.fail(TurnAbandoned(activation.address))
                raise
            self._crash(kind, activation, letter, error)
        else:
            self._reply(kind, activation, letter, reply)
        finally:
            activation.end_turn()

    def handle_now(self, kind: Kind, activation: Activation, letter: Letter) -> bool:
        """Have `activation`, which is at rest, handle a told message at once, if it will.

        False: it has to be queued. No fault of the behavior leaves this.
        """
        behavior = cast(PromptBehavior, activation.behavior)
        try:
            handled = behavior.receive_now(letter.message)
        except Exception as error:
            kind.start(activation)
            self._crash(kind, activation, letter, error)
            kind.rest(activation, trio.current_time())
            return True
        if handled:
            kind.turns += 1
            kind.used(activation, trio.current_time())
        return handled

    async def _receive(self, kind: Kind, activation: Activation, letter: Letter) -> object:
        if activation.behavior is None:
            try:
                self.check(activation.address)
            except ActorFailing as failing:
                return Drop(error=failing)
            activation.behavior = kind.factory(activation.address)
        kind.turns += 1
        return await activation.behavior.receive(letter.open())

    def _reply(self, kind: Kind, activation: Activation, letter: Letter, reply: object) -> None:
        if not isinstance(reply, Drop):
            letter.reply(reply)
            return
        activation.behavior = None
        if reply.error is None:
            letter.reply(reply.value)
        else:
            self._refuse(kind, activation, letter, reply.error)

    def _refuse(self, kind: Kind, activation: Activation, letter: Letter, error: Exception) -> None:
        letter.fail(error)
        if letter.told:
            kind.failed_tells += 1
            self._report(activation.address, error)

    def _crash(
        self, kind: Kind, activation: Activation, letter: Letter, error: BaseException
    ) -> None:
        activation.behavior = None
        kind.crashes += 1
        kind.failed_tells += letter.told
        self._restarts.note(activation.address, trio.current_time())
        crashed = ActorCrashed(activation.address)
        crashed.__cause__ = error
        letter.fail(crashed)
        self._report(activation.address, error)

    def _report(self, address: Address, error: BaseException) -> None:
        try:
            self._on_crash(address, error)
        except Exception as again:
            # It is not the actor's fault, and must not end the system either.
            _log.error("on_crash failed for %s: %s", address, type(again).__qualname__)


def _is_fault(error: BaseException) -> bool:
    """Whether `error`, which is no Exception, is the behavior's own doing after all.

    A Cancelled that it kept from elsewhere is: this task was not cancelled. So is the failure of
    one of its child tasks that arrives together with the cancellation of the others.
    """
    rest: BaseException | None = error
    if isinstance(error, BaseExceptionGroup):
        rest = error.split(trio.Cancelled)[1]
    elif isinstance(error, trio.Cancelled):
        rest = None
    if rest is None:
        return trio.current_effective_deadline() > -inf
    return isinstance(rest, Exception)
