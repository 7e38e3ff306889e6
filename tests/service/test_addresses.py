"""Who is meant by an address, and who is behind a token (schemas/README.md, "Words", "Access")."""

from __future__ import annotations

import pytest

from pxbox.model.errors import (
    AddressTaken,
    Forbidden,
    InvalidRequest,
    NotFound,
    PxError,
    UnknownAddressee,
)
from pxbox.model.ids import new_uuid
from tests.service.brokers import CITY, Broker, unique


async def named(broker: Broker, kind: str, handle: str, *aliases: str) -> str:
    made = await broker.admin().call(
        "createEntity", None, kind=kind, handle=handle, aliases=list(aliases)
    )
    return str(made["id"])


@pytest.mark.parametrize("kind", ["user", "bot", "group", "role"])
async def test_an_entity_is_found_by_each_of_its_addresses_and_no_other(
    broker: Broker, kind: str
) -> None:
    handle, alias = unique(), f"mailto:{unique()}@example.org"
    id = await named(broker, kind, handle, alias)
    collective = kind in ("group", "role")
    mine = [id, id.upper(), id.replace("-", ""), alias]
    mine.append(f"{kind}:{handle}" if collective else handle)
    others = [handle] if collective else [f"{kind}:{handle}"]
    others += [f"{other}:{handle}" for other in ("user", "bot", "group", "role") if other != kind]
    others += [handle.upper(), f"{handle} ", f" {handle}", alias.upper(), "", ":", "group:"]
    for address in mine:
        assert (await broker.admin().call("getEntity", id=address))["id"] == id
        assert (await broker.asker().ask(address))["to"] == [id]
    for address in others:
        with pytest.raises(NotFound):
            await broker.admin().call("getEntity", id=address)
        with pytest.raises(UnknownAddressee):
            await broker.asker().ask(address)


@pytest.mark.parametrize("kind", ["user", "group"])
async def test_a_reference_is_an_id_or_a_handle_and_nothing_else(broker: Broker, kind: str) -> None:
    handle, alias = unique(), f"mailto:{unique()}@example.org"
    id = await named(broker, kind, handle, alias)

    async def ask(**reference: str) -> list[str]:
        made = await broker.asker().call("createRequest", schema=CITY, entity=reference)
        return list(made["to"])

    assert await ask(id=id) == await ask(handle=handle) == [id]
    for wrong in ({"id": handle}, {"id": alias}, {"handle": id}, {"handle": alias}):
        with pytest.raises(UnknownAddressee):
            await ask(**wrong)


async def test_a_name_belongs_to_one_entity_whatever_its_kind(broker: Broker) -> None:
    handle, alias = unique(), f"mailto:{unique()}@example.org"
    await named(broker, "user", handle, alias)
    for kind in ("user", "bot", "group", "role"):
        with pytest.raises(AddressTaken):
            await named(broker, kind, handle)
        with pytest.raises(AddressTaken) as refusal:
            await named(broker, kind, unique(), alias)
        assert refusal.value.members == {"address": alias}
    with pytest.raises(AddressTaken):
        await named(broker, "user", unique(), handle)


@pytest.mark.parametrize(
    "alias",
    [
        "group:x",
        "role:x",
        "0b9c2a52-7f0e-4a45-9a3e-5a0f2d1c7b11",
        "0b9c2a527f0e4a459a3e5a0f2d1c7b11",
    ],
)
async def test_a_name_does_not_read_as_another_kind_of_address(broker: Broker, alias: str) -> None:
    with pytest.raises(InvalidRequest):
        await named(broker, "user", unique(), alias)
    if ":" not in alias:
        with pytest.raises(InvalidRequest):
            await named(broker, "user", alias)


async def test_the_same_name_twice_is_one_name(broker: Broker) -> None:
    handle = unique()
    id = await named(broker, "user", handle, handle, "x:1" + handle, "x:1" + handle)
    view = await broker.admin().call("getEntity", id=id)
    assert view["aliases"] == ["x:1" + handle]


async def test_a_token_without_entity_acts_as_the_one_whose_handle_is_its_sub(
    broker: Broker,
) -> None:
    handle, alias, group = unique(), f"mailto:{unique()}@example.org", unique()
    id = await named(broker, "user", handle, alias)
    await named(broker, "group", group)
    request = (await broker.asker().ask(id))["id"]
    own = broker.client(handle, "respond")
    assert (await own.call("claimRequest", id=request))["claim"]["by"] == id
    # Not by an alias or an id, nor as a group of that handle.
    for sub in (alias, id, group, f"group:{group}", unique()):
        with pytest.raises(Forbidden):
            await broker.client(sub, "respond").call("claimRequest", id=request)


async def test_an_unknown_entity_in_a_token_is_nobody(broker: Broker) -> None:
    request = (await broker.asker().ask(await broker.user()))["id"]
    with pytest.raises(Forbidden):
        await broker.client("x", "respond", entity=unique()).call("claimRequest", id=request)


async def test_an_entity_is_seen_by_itself_its_members_and_the_admin(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    group = await broker.group(ada)
    for seen in (ada, group):
        assert (await broker.responder(ada).call("getEntity", id=seen))["id"] == seen
    details = set()
    for unseen in (bob, new_uuid(), unique()):
        with pytest.raises(PxError) as refusal:
            await broker.responder(ada).call("getEntity", id=unseen)
        details.add((refusal.value.code, refusal.value.detail))
    assert len(details) == 1
    assert (await broker.admin().call("getEntity", id=group))["members"] == [ada]


async def test_a_member_acts_and_one_who_left_does_not(broker: Broker) -> None:
    ada, bob = await broker.user(), await broker.user()
    group = await broker.group(ada, bob)
    asker = unique("asker")
    id = (await broker.asker(asker).ask(group))["id"]
    await broker.responder(ada).call("claimRequest", id=id)
    await broker.admin().call("removeMember", id=group, member=ada)
    for operation in ("claimRequest", "releaseRequest", "getRequest"):
        with pytest.raises(NotFound):
            await broker.responder(ada).call(operation, id=id)
    assert (await broker.responder(bob).call("claimRequest", id=id))["claim"]["by"] == bob
    told = [event["type"] for event in await broker.events(f"entity:{ada}")]
    assert told == [
        "membership.added",
        "request.claimed",
        "membership.removed",
        "request.released",
    ]
