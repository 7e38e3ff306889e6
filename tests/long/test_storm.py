"""A storm of 2,000 reconnects; see tests/processes/test_storm.py. Run it by
`python -m pytest -s tests/long/test_storm.py`."""

from __future__ import annotations

from tests.brokers import Brokers
from tests.processes.test_storm import outlast


async def test_two_thousand_clients_that_all_come_back_at_once_are_served(brokers: Brokers) -> None:
    await outlast(brokers, 2_000, 120.0)
