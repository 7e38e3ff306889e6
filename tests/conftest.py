"""Fixtures that every folder of tests can ask for."""

pytest_plugins = ("tests.servers", "tests.brokers", "tests.inspection", "tests.crash.launching")
