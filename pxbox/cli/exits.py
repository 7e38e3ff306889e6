"""How a command ends: the exit codes, and the failure that carries one."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What a script can tell apart. Source: docs/cli.md, "Exit codes"."""

    DONE = 0
    PROBLEM = 1
    WRONG_CALL = 2
    NOT_FOUND = 3
    AUTH = 4
    INVALID = 5
    CONFLICT = 6
    TOO_LATE = 7
    UNREACHABLE = 8
    INTERRUPTED = 130


class CommandFailed(Exception):
    """The command cannot be carried out; the message says why and what to do, in plain words."""

    def __init__(self, message: str, exit: Exit = Exit.PROBLEM) -> None:
        super().__init__(message)
        self.exit = exit
