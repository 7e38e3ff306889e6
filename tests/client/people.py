"""Who takes part in the tests of the client: each test has entities of its own."""

from __future__ import annotations

from uuid import uuid4

from pxbox.client import AsyncPxBox
from tests.brokers import Broker

CITY = {
    "type": "object",
    "title": "Where",
    "properties": {"city": {"type": "string", "minLength": 1}},
    "required": ["city"],
}


class Cast:
    """An asker and a responder, by name, and clients for them."""

    def __init__(self, broker: Broker, alice: str | None = None, asker: str | None = None) -> None:
        self.broker = broker
        self.alice = alice or f"alice-{uuid4().hex[:8]}"
        self.asker = asker or f"asker-{uuid4().hex[:8]}"

    async def introduce(self) -> None:
        """Make the responder."""
        async with self.client("admin") as px:
            await px.entities.create("user", self.alice)

    def client(self, sub: str, url: str | None = None, patience: float = 30.0) -> AsyncPxBox:
        return AsyncPxBox(url or self.broker.url, self.broker.token(sub), patience=patience)

    def asking(self, url: str | None = None, patience: float = 30.0) -> AsyncPxBox:
        """A client of who asks."""
        return self.client(self.asker, url, patience)

    def responding(self, url: str | None = None) -> AsyncPxBox:
        """A client of who is asked."""
        return self.client(self.alice, url)
