"""REST: a command under an idempotency key is carried out once (S7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
import trio

from tests.contract.documents import Json
from tests.transports.clients import ANYTHING, Party, unique

Make = Callable[..., Party]


async def sent(party: Party, path: str, body: Any, key: str) -> httpx.Response:
    return await party.rest.post(path, json=body, headers={"Idempotency-Key": key})


def same(first: httpx.Response, again: httpx.Response) -> None:
    """The second one is the first one once more, and says so."""
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert again.headers.get("location") == first.headers.get("location")
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"


async def test_a_repeated_create_makes_one_request(asker: Party, ana: Party) -> None:
    key, body = unique("key"), {"to": ana.sub, "schema": ANYTHING}
    first = await sent(asker, "/v1/requests", body, key)
    same(first, await sent(asker, "/v1/requests", body, key))
    assert (await ana.done("listInquiries"))["total"] == 1


async def test_a_key_compares_meaning_not_spelling(asker: Party, ana: Party) -> None:
    key = unique("key")
    first = await sent(asker, "/v1/requests", {"to": ana.sub, "schema": {"a": 1, "b": 2}}, key)
    spelled = f'{{ "schema": {{"b":2 , "a":1}},\n"to": "{ana.sub}"}}'
    again = await asker.rest.post(
        "/v1/requests", content=spelled.encode(), headers={"Idempotency-Key": key}
    )
    same(first, again)


async def test_every_command_replays_its_first_reply(asker: Party, ana: Party, ben: Party) -> None:
    steps: list[tuple[Party, str, Json]] = [
        (ana, "claim", {}), (ana, "release", {}), (ben, "decline", {"reason": "no"}),
        (ana, "response", {"payload": {"n": 1}}),
    ]  # fmt: skip
    id = await asker.ask(ana.sub, ben.sub)
    firsts = [await sent(who, f"/v1/requests/{id}/{route}", body, f"{route}-{id}")
              for who, route, body in steps]  # fmt: skip
    # All of them again, though the request is past the point where most would make sense.
    for (who, route, body), first in zip(steps, firsts, strict=True):
        assert first.status_code == 200
        same(first, await sent(who, f"/v1/requests/{id}/{route}", body, f"{route}-{id}"))


async def test_a_repeated_cancel_and_a_repeated_entity_are_replayed(
    asker: Party, ana: Party, admin: Party
) -> None:
    id = await asker.ask(ana.sub)
    first = await sent(asker, f"/v1/requests/{id}/cancel", {"reason": "x"}, "c")
    same(first, await sent(asker, f"/v1/inquiries/{id}/cancel", {"reason": "x"}, "c"))
    entity = {"kind": "user", "handle": unique("made")}
    made = await sent(admin, "/v1/entities", entity, unique("key"))
    key = made.request.headers["idempotency-key"]
    same(made, await sent(admin, "/v1/entities", entity, key))
    # Without the key, the handle is taken.
    taken = await sent(admin, "/v1/entities", entity, unique("key"))
    assert (taken.status_code, taken.json()["code"]) == (409, "address_taken")
    assert taken.json()["address"] == entity["handle"]


@pytest.mark.parametrize("route", ["create", "claim", "cancel"])
async def test_a_key_with_another_body_is_refused(asker: Party, ana: Party, route: str) -> None:
    key, id = unique("key"), await asker.ask(ana.sub)
    path = "/v1/requests" if route == "create" else f"/v1/requests/{id}/{route}"
    first: Json = {"to": ana.sub, "schema": ANYTHING} if route == "create" else {"reason": "a"}
    other: Json = {**first, **({"claimTtl": 5} if route == "create" else {"reason": "b"})}
    if route == "claim":
        # A claim has no body: its key is kept apart from that of another command.
        assert (await sent(ana, path, {}, key)).status_code == 200
        assert (await sent(ana, f"/v1/requests/{id}/release", {}, key)).status_code == 200
        return
    assert (await sent(asker, path, first, key)).is_success
    reused = await sent(asker, path, other, key)
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert (await sent(asker, path, first, key)).headers["idempotent-replayed"] == "true"


async def test_keys_of_two_clients_and_of_two_requests_have_nothing_to_do_with_each_other(
    party: Make, asker: Party, ana: Party
) -> None:
    other, body = party(scope="request"), {"to": ana.sub, "schema": ANYTHING}
    made = [await sent(one, "/v1/requests", body, "one key") for one in (asker, other)]
    assert len({reply.json()["requestId"] for reply in made}) == 2
    for reply in made:
        path = f"/v1/requests/{reply.json()['requestId']}/claim"
        claimed = await sent(ana, path, {}, "one key")
        assert (claimed.status_code, claimed.json()["status"]) == (200, "CLAIMED")
        assert "idempotent-replayed" not in claimed.headers


async def test_a_refused_command_may_be_mended_under_the_same_key(asker: Party, ana: Party) -> None:
    key, id = unique("key"), await asker.ask(ana.sub, schema={"type": "integer"})
    wrong = await sent(ana, f"/v1/requests/{id}/response", {"payload": "x"}, key)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_answer")
    mended = await sent(ana, f"/v1/requests/{id}/response", {"payload": 1}, key)
    assert mended.status_code == 200
    same(mended, await sent(ana, f"/v1/requests/{id}/response", {"payload": 1}, key))


async def test_one_key_many_times_at_once_is_carried_out_once(asker: Party, ana: Party) -> None:
    key, body = unique("key"), {"to": ana.sub, "schema": ANYTHING}
    replies: list[httpx.Response] = []

    async def send() -> None:
        replies.append(await sent(asker, "/v1/requests", body, key))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(send)
    assert {reply.status_code for reply in replies} == {201}
    assert len({reply.json()["requestId"] for reply in replies}) == 1
    fresh = [reply for reply in replies if "idempotent-replayed" not in reply.headers]
    assert len(fresh) == 1
    assert (await ana.done("listInquiries"))["total"] == 1


async def test_one_key_at_once_with_two_bodies_gives_one_of_them(asker: Party, ana: Party) -> None:
    key = unique("key")
    replies: list[httpx.Response] = []

    async def send(ttl: int) -> None:
        body = {"to": ana.sub, "schema": ANYTHING, "claimTtl": ttl}
        replies.append(await sent(asker, "/v1/requests", body, key))

    async with trio.open_nursery() as nursery:
        for n in range(10):
            nursery.start_soon(send, 60 + n % 2)
    made = {reply.json()["requestId"] for reply in replies if reply.is_success}
    refused = {reply.json()["code"] for reply in replies if not reply.is_success}
    assert (len(made), refused) == (1, {"idempotency_key_reused"})


async def test_a_bulk_under_a_key_creates_only_what_is_missing(asker: Party, ana: Party) -> None:
    key = unique("key")
    good = {"to": ana.sub, "schema": ANYTHING}
    bad = {"to": "nobody-at-all", "schema": ANYTHING}
    first = (await sent(asker, "/v1/requests/bulk", {"items": [good, bad, good]}, key)).json()
    assert (first["created"], first["failed"]) == (2, 1)
    again = (await sent(asker, "/v1/requests/bulk", {"items": [good, good, good]}, key)).json()
    assert (again["created"], again["failed"]) == (3, 0)
    for place in (0, 2):
        assert again["items"][place]["request"] == first["items"][place]["request"]
    assert (await ana.done("listInquiries"))["total"] == 3


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9", "a\tb"])
async def test_a_key_that_is_none_is_refused(asker: Party, ana: Party, key: str) -> None:
    reply = await asker.rest.post(
        "/v1/requests",
        json={"to": ana.sub, "schema": ANYTHING},
        headers=[(b"Idempotency-Key", key.encode("latin-1"))],
    )
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
    assert (await ana.done("listInquiries"))["total"] == 0
