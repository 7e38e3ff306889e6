"""Actors on trio: addresses, bounded mailboxes, supervised turns, passivation, durable commits.

An actor costs no task while it waits. What one may rely on is in README.md beside this file.
"""

from actors.address import Address
from actors.behavior import Behavior, Drop, Factory, Limits, PromptBehavior
from actors.errors import (
    ActorCrashed,
    ActorError,
    ActorFailing,
    AskTimeout,
    Draining,
    MailboxFull,
    TurnAbandoned,
    UnknownKind,
)
from actors.kind import KindStats
from actors.restarts import RestartLimit
from actors.system import System, open_system
from actors.turns import OnCrash, log_crash

__all__ = [
    "ActorCrashed",
    "ActorError",
    "ActorFailing",
    "Address",
    "AskTimeout",
    "Behavior",
    "Draining",
    "Drop",
    "Factory",
    "KindStats",
    "Limits",
    "MailboxFull",
    "OnCrash",
    "PromptBehavior",
    "RestartLimit",
    "System",
    "TurnAbandoned",
    "UnknownKind",
    "log_crash",
    "open_system",
]
