"""One suite for each port, run against every implementation of it."""

import pytest

# Only test modules have their asserts explained by default, and these are imported by them.
pytest.register_assert_rewrite(
    "tests.suites.journal",
    "tests.suites.journal_fixtures",
    "tests.suites.journal_log",
    "tests.suites.journal_state",
)
