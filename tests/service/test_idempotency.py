"""A command with an idempotency key is carried out once, whichever broker gets it (S7)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pxbox.model.errors import (
    ClaimedByOther,
    IdempotencyKeyReused,
    InvalidAnswer,
    InvalidRequest,
    InvalidTime,
    NotFound,
    PxError,
)
from tests.service.brokers import CITY, ROME, Broker, Client, unique

Brokers = tuple[Broker, Broker]
PAST = "2001-01-01T00:00:00Z"

# operation -> (who calls, the members of its input beside `id`, those of another input).
COMMANDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "claimRequest": ("ada", {}, {}),
    "releaseRequest": ("ada", {}, {}),
    "postResponse": ("ada", {"payload": ROME}, {"payload": {"city": "Paris"}}),
    "declineRequest": ("ada", {"reason": "busy"}, {"reason": "other"}),
    "cancelRequest": ("asker", {"reason": "done"}, {}),
}


class Cast:
    """An asker, a responder, and a request of the one to the other, on both brokers."""

    def __init__(self, brokers: Brokers, ada: str, asker: str, id: str) -> None:
        self.brokers, self.ada, self.asker, self.id = brokers, ada, asker, id

    def client(self, who: str, side: int = 0) -> Client:
        broker = self.brokers[side]
        return broker.asker(self.asker) if who == "asker" else broker.responder(self.ada)

    async def told(self) -> list[str]:
        return [event["type"] for event in await self.brokers[0].events(f"request:{self.id}")]


@pytest.fixture
async def cast(brokers: Brokers) -> Cast:
    ada, asker = await brokers[0].user(), unique("asker")
    made = await brokers[0].asker(asker).ask(ada)
    return Cast(brokers, ada, asker, made["id"])


async def prepare(cast: Cast, operation: str) -> None:
    if operation == "releaseRequest":
        await cast.client("ada").call("claimRequest", id=cast.id)


@pytest.mark.parametrize("operation", COMMANDS)
async def test_a_repeated_command_gets_the_first_reply(cast: Cast, operation: str) -> None:
    who, members, _ = COMMANDS[operation]
    await prepare(cast, operation)
    first = await cast.client(who).outcome(operation, "key", id=cast.id, **members)
    assert not first.replayed
    told = await cast.told()
    # Something else happens meanwhile, where it still can.
    if operation == "claimRequest":
        await cast.client("ada", 1).call("releaseRequest", id=cast.id)
        told.append("request.released")
    for side in (0, 1, 0):
        again = await cast.client(who, side).outcome(operation, "key", id=cast.id, **members)
        assert again.replayed
        reply = await cast.client(who, side).call(operation, "key", id=cast.id, **members)
        assert reply["requestId" if operation == "postResponse" else "id"] == cast.id
        if operation != "postResponse":
            assert reply["version"] == getattr(first.reply, "version", None)
    assert await cast.told() == told


@pytest.mark.parametrize("operation", [name for name, c in COMMANDS.items() if c[1] != c[2]])
async def test_a_key_with_another_input_is_refused(cast: Cast, operation: str) -> None:
    who, members, other = COMMANDS[operation]
    await cast.client(who).call(operation, "key", id=cast.id, **members)
    for side in (0, 1):
        with pytest.raises(IdempotencyKeyReused):
            await cast.client(who, side).call(operation, "key", id=cast.id, **other)


async def test_what_differs_only_in_its_writing_is_the_same_input(brokers: Brokers) -> None:
    ada, asker = await brokers[0].user(), unique("asker")
    first = await brokers[0].asker(asker).ask(ada, "key", meta={"a": 1, "b": 2})
    turned = dict(reversed(CITY.items()))
    again = (
        await brokers[1]
        .asker(asker)
        .outcome(
            "createRequest",
            "key",
            meta={"b": 2, "a": 1},
            to=ada,
            schema=turned,
            claimTtl=900,
            deadlineAt=None,
        )
    )
    assert again.replayed
    assert (
        first["id"] == (await brokers[1].asker(asker).ask(ada, "key", meta={"b": 2, "a": 1}))["id"]
    )


async def test_keys_are_kept_apart_by_client_operation_and_request(brokers: Brokers) -> None:
    ada = await brokers[0].user()
    one, other = (brokers[0].asker(unique("asker")) for _ in range(2))
    first, second = await one.ask(ada, "key"), await other.ask(ada, "key")
    assert first["id"] != second["id"]
    responder = brokers[0].responder(ada)
    claims = [
        await responder.outcome("claimRequest", "key", id=request["id"])
        for request in (first, second)
    ]
    assert [claim.replayed for claim in claims] == [False, False]
    released = await responder.outcome("releaseRequest", "key", id=first["id"])
    assert not released.replayed


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb", "schlüssel", "a\x7f"])
async def test_a_key_that_is_none_is_refused(broker: Broker, key: str) -> None:
    with pytest.raises(InvalidRequest):
        await broker.asker().ask(await broker.user(), key)


async def test_the_longest_key_is_one(broker: Broker) -> None:
    asker, ada = broker.asker(unique("asker")), await broker.user()
    made = await asker.ask(ada, "~" * 255)
    assert (await asker.ask(ada, "~" * 255))["id"] == made["id"]


async def test_a_refused_command_may_be_corrected_and_sent_with_the_same_key(
    brokers: Brokers,
) -> None:
    ada, bob, asker = await brokers[0].user(), await brokers[0].user(), unique("asker")
    group = await brokers[0].group(ada, bob)
    with pytest.raises(InvalidTime):
        await brokers[0].asker(asker).ask(group, "key", deadlineAt=PAST)
    id = (await brokers[0].asker(asker).ask(group, "key"))["id"]
    for side in (0, 1):
        responder = brokers[side].responder(ada)
        with pytest.raises(InvalidAnswer):
            await responder.call("postResponse", "key", id=id, payload={})
    await brokers[1].responder(bob).call("claimRequest", id=id)
    with pytest.raises(ClaimedByOther):
        await brokers[0].responder(ada).call("postResponse", "key", id=id, payload=ROME)
    await brokers[1].responder(bob).call("releaseRequest", id=id)
    await brokers[0].responder(ada).call("postResponse", "key", id=id, payload=ROME)


async def test_a_repeated_creation_is_replayed_even_where_it_would_be_refused_now(
    brokers: Brokers,
) -> None:
    ada, asker = await brokers[0].user(), brokers[0].asker(unique("asker"))
    deadline = await brokers[0].parts.views.now() + timedelta(seconds=2)
    members = {"deadlineAt": deadline.isoformat()}
    made = await asker.ask(ada, "key", **members)
    while await brokers[0].parts.views.now() <= deadline:
        pass
    assert (await asker.ask(ada, "key", **members))["id"] == made["id"]
    with pytest.raises(InvalidTime):
        await asker.ask(ada, "another key", **members)


async def test_an_entity_is_made_once_for_a_key(brokers: Brokers) -> None:
    handle = unique()
    made = await brokers[0].admin().call("createEntity", handle, kind="user", handle=handle)
    again = await brokers[1].admin().outcome("createEntity", handle, kind="user", handle=handle)
    assert again.replayed
    repeated = await brokers[1].admin().call("createEntity", handle, kind="user", handle=handle)
    assert repeated == made
    assert (await brokers[1].admin().call("getEntity", id=handle))["id"] == made["id"]
    with pytest.raises(IdempotencyKeyReused):
        await brokers[0].admin().call("createEntity", handle, kind="bot", handle=handle)


async def test_a_key_opens_nothing_to_who_may_not(brokers: Brokers) -> None:
    """A replay needs the same scopes as the command did."""
    ada, asker = await brokers[0].user(), unique("asker")
    await brokers[0].asker(asker).ask(ada, "key")
    with pytest.raises(PxError, match="scope"):
        await brokers[0].client(asker, "respond").ask(ada, "key")
    with pytest.raises(NotFound):
        await brokers[0].responder(ada).call("getRequest", id="01ARZ3NDEKTSV4RRFFQ69G5FAV")
