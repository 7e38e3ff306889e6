"""Fixtures that every folder of tests can ask for, and what has to be there before the first."""

from __future__ import annotations

import pytest

from tests.chromium import ensure_chromium

pytest_plugins = (
    "tests.servers",
    "tests.brokers",
    "tests.inspection",
    "tests.object_store",
    "tests.crash.launching",
)


def pytest_sessionstart(session: pytest.Session) -> None:
    # Once, before any worker of xdist starts.
    if not hasattr(session.config, "workerinput"):
        ensure_chromium(session.config.args)
