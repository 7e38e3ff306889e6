"""The client without an event loop."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from pxbox.client import Event, PxBox, errors
from tests.brokers import Broker
from tests.client.people import CITY, Cast


@pytest.fixture
def people(module_broker: Broker) -> Cast:
    cast = Cast(module_broker)
    with PxBox(module_broker.url, module_broker.token("admin")) as px:
        px.entities.create("user", cast.alice)
    return cast


def client(people: Cast, sub: str) -> PxBox:
    return PxBox(people.broker.url, people.broker.token(sub))


def test_asking_blocks_until_somebody_has_answered(people: Cast) -> None:
    with (
        client(people, people.asker) as asker,
        client(people, people.alice) as alice,
        ThreadPoolExecutor(1) as pool,
        alice.inbox(people.alice) as inbox,
    ):
        asked = pool.submit(lambda: asker.ask(CITY, to=people.alice))
        change = next(inbox)
        assert [item.id for item in inbox.items] == [change.item.id]
        with pytest.raises(errors.ValidationFailed):
            alice.requests.answer(change.item.id, {})
        alice.requests.answer(change.item.id, {"city": "Oslo"})
        assert asked.result(30) == {"city": "Oslo"}


def test_events_are_iterated_and_handles_waited_on(people: Cast) -> None:
    with client(people, people.asker) as asker, client(people, people.alice) as alice:
        handle = asker.requests.create(CITY, to=people.alice)
        with asker.events(f"request:{handle.id}", since=0) as stream:
            first = next(stream)
            assert isinstance(first, Event)
            assert first.type == "request.created"
            stream.ack(first)
        with pytest.raises(TimeoutError):
            handle.wait(timeout=0.01)
        alice.requests.decline(handle.id, "on leave")
        with pytest.raises(errors.Declined) as declined:
            handle.wait()
        assert declined.value.reason == "on leave"


def test_nothing_is_left_running(people: Cast) -> None:
    before = threading.active_count()
    with client(people, people.asker) as asker:
        asker.validate(CITY)
        with pytest.raises(KeyError), client(people, people.alice):
            raise KeyError
    assert threading.active_count() <= before
