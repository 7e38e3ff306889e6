"""The world that the cases are about, on a broker of the module's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.brokers import Broker
from tests.described.world import World


@pytest.fixture(scope="module")
def world(module_broker: Broker) -> Iterator[World]:
    made = World(module_broker)
    yield made
    made.close()
