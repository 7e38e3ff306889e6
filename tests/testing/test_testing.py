"""What users' tests are given, as they would use it."""

from __future__ import annotations

from collections.abc import Iterator

import anyio
import pytest

from pxbox.client import errors
from pxbox.model import wire
from pxbox.testing import LEAVE, Decline, TestBroker, in_turn, open_broker
from tests.client.people import CITY
from tests.client.running import on_both
from tests.servers import AsyncpgThread, with_database


@pytest.fixture(scope="module")
def users_broker(
    postgres_url: str, postgres_admin: AsyncpgThread, template_database: str, redis_url: str
) -> Iterator[TestBroker]:
    name = "users_broker"
    postgres_admin.execute(f"create database {name} template {template_database}")
    database_url = with_database(postgres_url, name)
    with open_broker(database_url=database_url, redis_url=redis_url) as broker:
        yield broker
    postgres_admin.execute(f"drop database {name} with (force)")


def test_a_broker_of_its_own_answers_by_a_script_and_leaves_nothing() -> None:
    with open_broker() as broker, broker.responder("alice", {"city": "Oslo"}) as alice:
        with broker.client("program") as px:
            assert px.ask(CITY, to="alice") == {"city": "Oslo"}
        assert [request.title for request in alice.seen] == ["Where"]
        directory = broker.log.parent
    assert not directory.exists()


def test_scripts_answer_in_turn_decline_and_leave(users_broker: TestBroker) -> None:
    def city(request: wire.RequestDetail) -> object:
        return {"city": f"{request.requestor}'s"}

    script = in_turn(city, Decline("not my job"), LEAVE)
    with users_broker.responder("bob", script), users_broker.client("program") as px:
        assert px.ask(CITY, to="bob") == {"city": "program's"}
        with pytest.raises(errors.Declined, match="not my job"):
            px.ask(CITY, to="bob")
        handle = px.requests.create(CITY, to="bob")
        with pytest.raises(TimeoutError):
            handle.wait(timeout=0.2)


@on_both
async def test_an_answer_that_its_schema_refuses_fails_the_test(users_broker: TestBroker) -> None:
    await anyio.to_thread.run_sync(users_broker.add_user, "carol")
    with pytest.raises(errors.ValidationFailed):
        await ask_carol(users_broker, {"town": "Oslo"})


async def ask_carol(broker: TestBroker, answer: object) -> None:
    async with broker.async_client("program") as px, broker.async_responder("carol", answer):
        await px.ask(CITY, to="carol", cancel_on_exit=True)


@on_both
async def test_responders_work_in_async_tests_and_over_restarts(users_broker: TestBroker) -> None:
    await anyio.to_thread.run_sync(users_broker.add_user, "dave")
    async with users_broker.async_client("program") as px:
        handle = await px.requests.create(CITY, to="dave")
        await anyio.to_thread.run_sync(users_broker.restart)
        async with users_broker.async_responder("dave", {"city": "Oslo"}):
            assert (await handle.wait()).data == {"city": "Oslo"}
