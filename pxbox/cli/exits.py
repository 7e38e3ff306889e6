"""How a command ends: the exit codes, and the failure that carries one."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


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
    """The command cannot be carried out; the message says why and what to do, in plain words.

    `problem` is the broker's own document, where it was the broker that refused.
    """

    def __init__(
        self,
        message: str,
        exit: Exit = Exit.PROBLEM,
        problem: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.exit = exit
        self.problem = problem


_PROBLEMS = {
    Exit.PROBLEM: ("failed", "Failed", 500),
    Exit.WRONG_CALL: ("invalid_request", "Invalid request", 400),
    Exit.NOT_FOUND: ("not_found", "Not found", 404),
    Exit.AUTH: ("unauthenticated", "Not authenticated", 401),
    Exit.INVALID: ("invalid_answer", "Invalid answer", 422),
    Exit.CONFLICT: ("wrong_status", "Wrong status", 409),
    Exit.TOO_LATE: ("wrong_status", "Wrong status", 409),
    Exit.UNREACHABLE: ("unreachable", "Unreachable", 503),
    Exit.INTERRUPTED: ("interrupted", "Interrupted", 500),
}


def problem_of(message: str, exit: Exit) -> dict[str, Any]:
    """What the broker had no part in as a problem document, of the shape that its own have
    (schemas/v1/Problem.json)."""
    code, title, status = _PROBLEMS[exit]
    return {
        "type": f"urn:pxbox:problem:{code}",
        "title": title,
        "status": status,
        "code": code,
        "detail": message,
        "retryable": exit is Exit.UNREACHABLE,
    }
