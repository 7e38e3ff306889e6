"""Brokers without transports, on one database for each module, and clients who call them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.service.brokers import Broker, open_broker


@pytest.fixture
async def broker(shared_database_url: str) -> AsyncIterator[Broker]:
    async with open_broker(shared_database_url) as broker:
        yield broker


@pytest.fixture
async def brokers(shared_database_url: str) -> AsyncIterator[tuple[Broker, Broker]]:
    """Two processes' worth of broker on one database."""
    async with (
        open_broker(shared_database_url) as one,
        open_broker(shared_database_url) as other,
    ):
        yield one, other
