"""The verdict on one thing that was looked at."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Severity(StrEnum):
    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


class Check(Struct, frozen=True):
    """What was looked at, what was found, and what to do about it.

    Only an error makes `ok` false: a warning is worth reading, and the broker works.
    """

    name: str
    ok: bool
    severity: Severity
    detail: str
    hint: str | None = None


def fine(name: str, detail: str) -> Check:
    return Check(name, True, Severity.OK, detail)


def warning(name: str, detail: str, hint: str) -> Check:
    return Check(name, True, Severity.WARNING, detail, hint)


def problem(name: str, detail: str, hint: str) -> Check:
    return Check(name, False, Severity.ERROR, detail, hint)
