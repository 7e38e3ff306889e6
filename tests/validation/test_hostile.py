"""No schema, pattern or payload from outside holds the event loop, or grows without bound (X4)."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import msgspec
import pytest

from tests.validation.hostile import ATTEMPTS

SOUND = {"valid", "invalid"}
REFUSED = {
    "schema_too_costly",
    "schema_too_deep",
    "schema_too_large",
    "invalid_schema",
    "unsupported_pattern",
}
CERTAIN = {
    "pattern that backtracks": ["invalid", "valid"],
    "pattern that repeats repeats": ["unsupported_pattern"],
    "look-around": ["unsupported_pattern"],
    "doubled references": ["schema_too_costly"],
    "doubled references just below the limit": ["schema_too_costly"],
    "a reference to itself": ["invalid_schema"],
    "a chain of references": ["invalid", "invalid"],
    "unique mixed items": ["valid", "valid"],
    "unevaluated beside doubled references": ["schema_too_costly"],
    "many alternatives": ["invalid", "invalid"],
    "an error for each item": ["invalid", "invalid"],
    "a deep value": ["invalid", "invalid"],
    "a large value of a plain schema": ["valid", "valid"],
    "mistakes in a schema": ["invalid_schema"],
    "nothing but mistakes": ["invalid_schema"],
    "too deep": ["schema_too_deep"],
    "too large": ["schema_too_large"],
}


@pytest.fixture(scope="module")
def report() -> Any:
    """What came of every attempt, in a broker's event loop of its own, which may be killed."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.validation.hostile"],
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_attempt_is_judged_or_refused(report: Any, name: str) -> None:
    first, *rest = report["outcomes"][name]
    assert {first, *rest} <= SOUND | REFUSED


@pytest.mark.parametrize("name", CERTAIN)
def test_outcome_is_that_of_the_schema_not_of_the_machine(report: Any, name: str) -> None:
    assert report["outcomes"][name] == CERTAIN[name]


def test_event_loop_is_never_held_for_long(report: Any) -> None:
    assert report["seconds"] < 0.1, report["slowest"]


def test_memory_does_not_follow_the_attempts(report: Any) -> None:
    # Most of it is the largest value itself, decoded.
    assert report["grownKiB"] < 200 * 1024
