"""REST: lists, paging, groups and roles, and what a caller does not get to see (X2, E6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest
import trio

from tests.contract.documents import Json
from tests.transports.clients import Party, unique

Make = Callable[..., Party]
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


async def pages(party: Party, op: str, **query: Any) -> list[Json]:
    """All pages of a list, read to its end."""
    found = [await party.done(op, **query)]
    while found[-1]["nextCursor"] is not None:
        found.append(await party.done(op, **query, cursor=found[-1]["nextCursor"]))
    return found


def ids(found: list[Json]) -> list[str]:
    return [item["id"] for page in found for item in page["items"]]


async def test_pages_hold_everything_once_in_order(asker: Party, ana: Party) -> None:
    deadlines = [f"2041-01-{day:02}T00:00:00Z" for day in (5, 2, 9, 2, 7)]
    made = [await asker.ask(ana.sub, deadlineAt=time) for time in deadlines]
    made += [await asker.ask(ana.sub) for _ in range(3)]
    found = await pages(ana, "listInquiries", limit=3)
    assert [len(page["items"]) for page in found] == [3, 3, 2]
    assert {page["total"] for page in found} == {8}
    by_deadline = [id for _, id in sorted(zip(deadlines, made, strict=False))]
    assert ids(found) == by_deadline + sorted(made[5:])
    newest = await pages(ana, "listInquiries", limit=3, sortBy="created")
    assert ids(newest) == made[::-1]
    assert ids(await pages(ana, "listQueue", id=ana.sub, limit=2)) == ids(found)


async def test_a_cursor_goes_on_where_it_was_though_more_was_made(asker: Party, ana: Party) -> None:
    made = [await asker.ask(ana.sub) for _ in range(4)]
    first = await ana.done("listInquiries", sortBy="created", limit=2)
    await asker.ask(ana.sub)
    rest = await ana.done("listInquiries", sortBy="created", limit=2, cursor=first["nextCursor"])
    assert ids([first, rest]) == made[::-1]
    other_order = await ana.rest.get(
        "/v1/inquiries", params={"sortBy": "deadline", "cursor": first["nextCursor"]}
    )
    assert (other_order.status_code, other_order.json()["code"]) == (400, "invalid_cursor")


async def test_filters_narrow_a_list(asker: Party, ana: Party, party: Make) -> None:
    other = party(scope="request")
    pie = await asker.ask(ana.sub, schema={"title": "50% of the Pie's_crust"})
    soup = await other.ask(ana.sub, schema={"title": "Soup"}, meta={"with": "pie"})
    claimed = await asker.ask(ana.sub, schema={"title": "pie"})
    await ana.done("claimRequest", id=claimed)
    gone = await asker.ask(ana.sub)
    await asker.done("cancelRequest", id=gone)

    async def listed(**query: str) -> set[str]:
        return set(ids([await ana.done("listInquiries", **query)]))

    assert await listed() == {pie, soup, claimed, gone}
    assert await listed(requestor=other.sub) == {soup}
    assert await listed(status="CLAIMED") == {claimed}
    assert await listed(status="CANCELLED") == {gone}
    assert await listed(q="PIE") == {pie, soup, claimed}, "in the meta too"
    assert await listed(q="%") == {pie}
    assert await listed(q="'s_") == {pie}
    assert await listed(q="_") == {pie}
    assert await listed(q="\\") == set()
    assert await listed(q="' or 1=1 --") == set()
    assert await listed(q="pie", status="CLAIMED", requestor=asker.sub) == {claimed}
    assert await listed(requestor="nobody") == set()


async def test_a_queue_has_what_is_pending_for_that_entity_itself(
    asker: Party, ana: Party, admin: Party
) -> None:
    group = await admin.entity("group")
    await admin.done("addMember", id=group["address"], member=ana.sub)
    own, shared, taken = (
        await asker.ask(ana.sub), await asker.ask(group["address"]), await asker.ask(ana.sub),
    )  # fmt: skip
    await ana.done("claimRequest", id=taken)
    assert ids([await ana.done("listQueue", id=ana.sub)]) == [own]
    assert ids([await ana.done("listQueue", id=group["id"])]) == [shared]
    assert set(ids([await ana.done("listInquiries")])) == {own, shared, taken}
    assert ids([await ana.done("listInquiries", entityId=group["address"])]) == [shared]
    assert ids([await admin.done("listQueue", id=group["address"])]) == [shared]


async def test_a_list_tells_where_its_channels_stand(
    asker: Party, ana: Party, admin: Party
) -> None:
    group = await admin.entity("group")
    await admin.done("addMember", id=group["address"], member=ana.sub)
    await asker.ask(ana.sub)
    await asker.ask(ana.sub, group["address"])
    page = await ana.done("listInquiries")
    # Being added to the group was an event on her own channel, too.
    assert page["positions"] == {f"entity:{ana.entity_id}": 3, f"entity:{group['id']}": 1}


@pytest.mark.parametrize("kind", ["group", "role"])
async def test_members_act_on_what_is_addressed_to_their_group(
    asker: Party, ana: Party, ben: Party, admin: Party, kind: str
) -> None:
    group = await admin.entity(kind)
    assert group["address"] == f"{kind}:{group['handle']}"
    for one in (ana, ben):
        added = await admin.done("addMember", id=group["address"], member=one.sub)
        assert added == {"id": group["id"], "member": one.entity_id, "present": True}
    again = await admin.done("addMember", id=group["id"], member=ben.entity_id)
    assert again["present"] is True
    view = await ana.done("getEntity", id=group["address"])
    assert set(view["members"]) == {ana.entity_id, ben.entity_id}
    id = await asker.ask(group["address"])
    claimed = await ana.done("claimRequest", id=id)
    assert claimed["claim"]["by"] == ana.entity_id
    assert await ben.refused("claimRequest", id=id) == "claimed_by_other"
    await ana.done("postResponse", id=id, payload="from ana")
    # Who only might have answered does not read the answer.
    assert (await ben.done("getRequest", id=id))["status"] == "ANSWERED"
    assert await ben.refused("getResponse", id=id) == "not_found"


async def test_groups_do_not_nest_and_only_groups_have_members(
    ana: Party, ben: Party, admin: Party
) -> None:
    inner, outer = await admin.entity("group"), await admin.entity("role")
    for id, member in ((outer["id"], inner["id"]), (ana.sub, ben.sub)):
        assert await admin.refused("addMember", id=id, member=member) == "invalid_request"
    assert await admin.refused("addMember", id=outer["id"], member="nobody") == "not_found"
    assert await admin.refused("addMember", id="nobody", member=ana.sub) == "not_found"
    assert await ana.refused("addMember", id=outer["id"], member=ana.sub) == "forbidden"


async def test_membership_takes_effect_within_two_seconds(
    asker: Party, ana: Party, admin: Party
) -> None:
    group = await admin.entity("group")
    id = await asker.ask(group["address"])
    # What is known of her is as old as may be when it changes.
    assert await ana.refused("getRequest", id=id) == "not_found"

    async def until(code: str | None) -> None:
        # Generous: two seconds by the broker's clock, and this machine may be busy.
        with trio.fail_after(30):
            while (await ana.rest.get(f"/v1/requests/{id}")).json().get("code") != code:
                await trio.lowlevel.checkpoint()

    await admin.done("addMember", id=group["address"], member=ana.sub)
    await until(None)
    await ana.done("claimRequest", id=id)
    await admin.done("removeMember", id=group["address"], member=ana.sub)
    await until("not_found")
    assert await ana.refused("postResponse", id=id, payload=1) == "not_found"
    # The claimant who left has lost the claim at the next act of anybody.
    await admin.done("addMember", id=group["address"], member=ana.sub)
    await until(None)


async def test_an_entity_has_any_address_of_its_own_and_no_other_may_have_it(
    admin: Party,
) -> None:
    alias, odd = f"mailto:{unique('a')}@example.org", f"https://example.org/{uuid4()}?x=1#é/%41"
    made = await admin.rest.post(
        "/v1/entities",
        json={"kind": "bot", "handle": unique("bot"), "aliases": [alias, odd], "meta": {"n": 1}},
    )
    entity = made.json()
    assert made.headers["location"] == f"/v1/entities/{entity['entityId']}"
    for address in (entity["id"], entity["handle"], alias, odd):
        found = await admin.done("getEntity", id=address)
        assert found == {name: entity[name] for name in found}
    for taken in (
        {"handle": entity["handle"]},
        {"aliases": [alias]},
        {"aliases": [entity["handle"]]},
    ):
        body = {"kind": "user", "handle": unique("user"), **taken}
        reply = await admin.rest.post("/v1/entities", json=body)
        assert (reply.status_code, reply.json()["code"]) == (409, "address_taken")
        assert reply.json()["address"] in (entity["handle"], alias)


@pytest.mark.parametrize(
    "members",
    [
        {"kind": "robot"}, {"handle": "Upper"}, {"handle": "-x"}, {"handle": "x" * 65},
        {"handle": ""}, {"handle": "a b"}, {"handle": "a\n"}, {"aliases": [""]},
        {"aliases": ["x" * 257]}, {"aliases": ["a"] * 17}, {"aliases": ["group:x"]},
        {"aliases": [str(uuid4())]}, {"meta": []}, {"members": []},
    ],
)  # fmt: skip
async def test_an_entity_that_cannot_be_is_refused(admin: Party, members: Json) -> None:
    body = {"kind": "user", "handle": unique("user"), **members}
    assert await admin.refused("createEntity", **body) == "invalid_request"


def without_ids(reply: httpx.Response, *named: str) -> tuple[int, bytes, dict[str, str]]:
    """A reply but for the ids in it and what differs between any two replies."""
    headers = {k: v for k, v in reply.headers.items() if k not in ("date", "x-request-id")}
    content = reply.content
    for id in named:
        content = content.replace(id.encode(), b"*")
    return reply.status_code, content, headers


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/requests/{}", None), ("POST", "/v1/requests/{}/claim", {}),
        ("POST", "/v1/requests/{}/release", {}),
        ("POST", "/v1/requests/{}/response", {"payload": 1}),
        ("POST", "/v1/requests/{}/decline", {"reason": "x"}),
        ("POST", "/v1/requests/{}/cancel", {}), ("POST", "/v1/inquiries/{}/cancel", {}),
        ("GET", "/v1/requests/{}/response", None), ("GET", "/v1/requests/{}/events", None),
    ],
)  # fmt: skip
async def test_a_request_of_others_is_no_different_from_none(
    asker: Party, ana: Party, party: Make, admin: Party, method: str, path: str, body: Json | None
) -> None:
    stranger = party(unique("eve"), "request respond")
    await admin.entity("user", stranger.sub)
    pending, answered = await asker.ask(ana.sub), await asker.ask(ana.sub)
    await ana.done("postResponse", id=answered, payload=1)
    none = await stranger.rest.request(method, path.format(NOBODY), json=body)
    assert none.json()["code"] == "not_found"
    for id in (pending, answered):
        for headers in ({}, {"If-None-Match": "*"}, {"Idempotency-Key": unique("key")}):
            denied = await stranger.rest.request(
                method, path.format(id), json=body, headers=headers
            )
            assert without_ids(denied, id) == without_ids(none, NOBODY)


@pytest.mark.parametrize(
    "path", ["/v1/entities/{}", "/v1/entities/{}/queue", "/v1/inquiries?entityId={}"]
)
async def test_an_entity_of_others_is_no_different_from_none(
    ana: Party, ben: Party, admin: Party, path: str
) -> None:
    group = await admin.entity("group")
    nobody = [str(uuid4()), unique("ben"), f"group:{unique('group')}"]
    real = [ben.entity_id, ben.sub, group["address"]]
    for one, none in zip(real, nobody, strict=True):
        denied, missing = [await ana.rest.get(path.format(id)) for id in (one, none)]
        assert missing.json()["code"] == "not_found"
        assert without_ids(denied, one) == without_ids(missing, none)


async def test_a_list_holds_nothing_that_is_not_the_callers(
    asker: Party, ana: Party, ben: Party
) -> None:
    await asker.ask(ana.sub)
    hers = await ben.done("listInquiries")
    assert (hers["items"], hers["total"]) == ([], 0)
    assert list(hers["positions"]) == [f"entity:{ben.entity_id}"]


async def test_who_is_no_entity_can_only_ask(party: Make, asker: Party, ana: Party) -> None:
    nobody, id = party(scope="request respond"), await asker.ask(ana.sub)
    for op in ("claimRequest", "declineRequest", "releaseRequest"):
        assert await nobody.refused(op, id=id) == "forbidden"
    assert await nobody.refused("postResponse", id=id, payload=1) == "forbidden"
    assert await nobody.refused("listInquiries") == "forbidden"
    assert await nobody.ask(ana.sub)


@pytest.mark.parametrize(
    ("scope", "op", "data"),
    [
        ("respond", "createRequest", {"to": "x", "schema": {}}),
        ("respond", "bulkCreateRequests", {"items": [{}]}),
        ("respond", "cancelRequest", {"id": NOBODY}),
        ("request", "claimRequest", {"id": NOBODY}), ("admin", "claimRequest", {"id": NOBODY}),
        ("request", "postResponse", {"id": NOBODY, "payload": 1}),
        ("request", "declineRequest", {"id": NOBODY}),
        ("request admin", "releaseRequest", {"id": NOBODY}),
        ("operate audit flow", "getRequest", {"id": NOBODY}),
        ("operate", "getResponse", {"id": NOBODY}), ("flow", "listRequestEvents", {"id": NOBODY}),
        ("request", "listInquiries", {}), ("request", "listQueue", {"id": "x"}),
        ("request respond", "createEntity", {"kind": "user", "handle": "x"}),
        ("request respond override", "addMember", {"id": "x", "member": "y"}),
        ("", "removeMember", {"id": "x", "member": "y"}),
    ],
)  # fmt: skip
async def test_an_operation_needs_its_scope(party: Make, scope: str, op: str, data: Json) -> None:
    assert await party(scope=scope).refused(op, **data) == "forbidden"
