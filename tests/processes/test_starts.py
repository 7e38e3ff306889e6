"""`pxbox serve` on a data directory of its own: fresh, again, beside another, after a kill -9."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.brokers import NO_TLS, SECRET, Broker, BrokerFailed, end, start_broker
from tests.embedded.holder import dwellers, server_pids

MOST_SECONDS = 30.0
"""What a start may take on the slowest machine; the README promises less."""


class House:
    """A data directory, and the brokers that are started on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: list[Broker] = []

    def start(self) -> Broker:
        """Start a broker with embedded servers, ready in time."""
        before = time.monotonic()
        broker = start_broker(self.path, environ={"PXBOX_SECRET": SECRET})
        self.started.append(broker)
        assert time.monotonic() - before < MOST_SECONDS
        # It says that it listens only once a request could be served.
        assert httpx.get(f"{broker.url}/readyz", verify=NO_TLS).status_code == 200
        return broker


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path / "data")
    try:
        yield house
    finally:
        for broker in house.started:
            end(broker.process)
        for process in dwellers(house.path):
            process.kill()


def ask(broker: Broker) -> str:
    """Have a request made; its path."""
    with client(broker) as rest:
        assert rest.post("/v1/entities", json={"kind": "user", "handle": "ana"}).is_success
        made = rest.post("/v1/requests", json={"to": "ana", "schema": {"type": "string"}})
        assert made.status_code == 201, made.text
        return f"/v1/requests/{made.json()['id']}"


def status(broker: Broker, path: str) -> str:
    with client(broker) as rest:
        text: str = rest.get(path).json()["status"]
        return text


def client(broker: Broker) -> httpx.Client:
    headers = {"authorization": f"Bearer {broker.token('ana')}"}
    return httpx.Client(base_url=broker.url, headers=headers, verify=NO_TLS)


def test_what_was_asked_is_there_after_every_stop_kill_and_start(house: House) -> None:
    """The servers are started with the first broker, stopped by SIGTERM, and adopted by the one
    that follows a kill -9."""
    broker = house.start()
    path = ask(broker)
    assert broker.stop() == 0
    assert dwellers(house.path) == []

    broker = house.start()
    assert status(broker, path) == "PENDING"
    servers = server_pids(house.path)
    broker.kill()

    broker = house.start()
    assert server_pids(house.path) == servers
    assert status(broker, path) == "PENDING"
    with pytest.raises(BrokerFailed) as refused:
        house.start()
    assert "exit code 1\n" in str(refused.value)
    assert f"is in use by process {broker.pid}" in str(refused.value)
    assert "Traceback" not in str(refused.value)
    assert status(broker, path) == "PENDING"
    assert broker.stop() == 0
    assert dwellers(house.path) == []
