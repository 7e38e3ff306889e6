"""What a flow can end with, and why one is parked."""

from __future__ import annotations


class FlowError(Exception):
    """Anything that is wrong with a flow or its code."""


class StepFailed(FlowError):
    """A step failed as often as its policy lets it. It was recorded: a replay fails alike.

    `step` is its key, `kind` the name of the exception's class, `where` the lines that raised it.
    """

    def __init__(self, step: str, kind: str, message: str, where: str = "") -> None:
        super().__init__(f"step {step} failed: {kind}: {message}")
        if where:
            self.add_note(where)
        self.step = step
        self.kind = kind
        self.message = message


class ChildFailed(FlowError):
    """A child flow failed or was cancelled; `outcome` says which."""

    def __init__(self, wait: str, outcome: str, message: str) -> None:
        super().__init__(f"child {wait} {outcome}: {message}")
        self.wait = wait
        self.outcome = outcome


class Parked(FlowError):
    """The flow cannot go on until its code or its cursor is mended (F5); see `code`."""

    code = "parked"


class NotDeterministic(Parked):
    """The code does something else than what is recorded (F1); `step` is where."""

    code = "not_deterministic"

    def __init__(self, step: str, detail: str) -> None:
        super().__init__(
            f"{step}: {detail}. A flow that is under way has to do again what it did: put the old "
            "code back, or give the new one another version and a migration, then retry it"
        )
        self.step = step


class UnknownVersion(Parked):
    """No code and no migration for the version that the flow was written with."""

    code = "unknown_version"


class InvalidCursor(Parked):
    """A migration does not accept the flow's cursor."""

    code = "invalid_cursor"


class InvalidInput(Parked):
    """The flow's input is not what its code takes."""

    code = "invalid_input"


class Restarting(BaseException):
    """Ends a handler whose flow begins anew. Not an Exception: code that catches those is not to
    catch it."""


class Lost(BaseException):
    """The flow is no longer ours: nothing of it may be written any more (F4)."""
