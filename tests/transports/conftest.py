"""One broker for the whole folder, and clients who play the usual parts.

Tests tell their things apart by names of their own. After every test the broker has logged no
fault of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from tests.brokers import EVERYTHING, Broker, Brokers
from tests.servers import AsyncpgThread, with_database
from tests.transports.clients import APP, GRACE_SECONDS, Party, unique

FAULTS = ('"fault', "actor failed", "Traceback")


@pytest.fixture(scope="package")
def shared_brokers(
    postgres_url: str,
    postgres_admin: AsyncpgThread,
    template_database: str,
    redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Brokers]:
    """Starts brokers on the one database of this folder."""
    name = f"transports_{uuid4().hex}"
    postgres_admin.execute(f"create database {name} template {template_database}")
    urls = (with_database(postgres_url, name), f"{redis_url.partition('?')[0]}?db=0")
    starter = Brokers(*urls, tmp_path_factory.mktemp("brokers"))
    with ExitStack() as stack:
        stack.callback(postgres_admin.execute, f"drop database {name} with (force)")
        stack.callback(starter.close)
        yield starter


@pytest.fixture(scope="package")
def shared_broker(shared_brokers: Brokers) -> Broker:
    """One broker for all tests of this folder."""
    return shared_brokers()


@pytest.fixture(scope="package")
def strict_broker(shared_brokers: Brokers) -> Broker:
    """Another one on the same database. It closes connections a second after their token counts no
    more, and admits pages of APP and of a server that somebody develops with."""
    times = ("--token-notice-seconds", "2", "--token-grace-seconds", str(GRACE_SECONDS))
    return shared_brokers(*times, "--allow-origin", f"{APP},http://localhost:3000")


@pytest.fixture(autouse=True)
def no_fault(shared_broker: Broker) -> Iterator[None]:
    """Fails a test during which the broker logged a fault of its own."""
    before = shared_broker.log.stat().st_size
    yield
    with shared_broker.log.open() as log:
        log.seek(before)
        logged = log.read()
    assert not any(sign in logged for sign in FAULTS), logged


@pytest.fixture
async def party(shared_broker: Broker) -> AsyncIterator[Callable[..., Party]]:
    """A function that makes a client: `party(sub, scope, entity)`, all of them optional."""
    made: list[Party] = []

    def make(sub: str | None = None, scope: str = EVERYTHING, entity: str | None = None) -> Party:
        made.append(Party(shared_broker, sub or unique("client"), scope, entity))
        return made[-1]

    yield make
    for one in made:
        await one.rest.aclose()


@pytest.fixture
def admin(party: Callable[..., Party]) -> Party:
    """Who may manage entities and read everything, and acts as none."""
    return party(unique("admin"), "admin")


@pytest.fixture
def asker(party: Callable[..., Party]) -> Party:
    """A program that asks."""
    return party(unique("asker"), "request")


@pytest.fixture
async def ana(party: Callable[..., Party], admin: Party) -> Party:
    """A user who may answer, by her handle; `entity_id` is hers."""
    return await _responder(party, admin, "ana")


@pytest.fixture
async def ben(party: Callable[..., Party], admin: Party) -> Party:
    """Another one."""
    return await _responder(party, admin, "ben")


async def _responder(party: Callable[..., Party], admin: Party, stem: str) -> Party:
    one = party(unique(stem), "respond")
    one.entity_id = (await admin.entity("user", one.sub))["id"]
    return one
