"""REST: requests through their life, each route with its reply, its headers and its errors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from tests.contract.documents import Json
from tests.transports.clients import ANYTHING, CITY, Party, unique

Make = Callable[..., Party]
NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def ahead(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def test_a_request_is_created_at_its_location(asker: Party, ana: Party) -> None:
    reply = await asker.rest.post("/v1/requests", json={"to": ana.sub, "schema": CITY})
    made = reply.json()
    assert reply.status_code == 201
    assert reply.headers["location"] == f"/v1/requests/{made['requestId']}"
    assert (made["id"], made["status"], made["version"]) == (made["requestId"], "PENDING", 1)
    assert (made["to"], made["requestor"], made["title"]) == ([ana.entity_id], asker.sub, "Where")
    found = await asker.rest.get(reply.headers["location"])
    detail = found.json()
    of_creation = {"requestId", "existing"}
    assert {name: detail[name] for name in made if name not in of_creation} == {
        name: value for name, value in made.items() if name not in of_creation
    }
    assert (detail["schemaKind"], detail["schemaPayload"]) == ("jsonschema", CITY)


async def test_what_was_sent_with_a_request_comes_back_as_it_was(asker: Party, ana: Party) -> None:
    kept: Json = {
        "uiHints": {"order": ["b", "a"], "n": 18446744073709551615},
        "prefill": {"city": "Zürich \U0001f600", "x": None},
        "meta": {"note": [1, 2.5, True]},
        "claimTtl": 60,
        "claimRequired": True,
    }
    id = await asker.ask(ana.sub, schema=CITY, **kept)
    detail = await asker.done("getRequest", id=id)
    assert {name: detail[name] for name in kept} == kept


async def test_times_are_told_in_utc_whatever_their_offset(asker: Party, ana: Party) -> None:
    made = await asker.done(
        "createRequest", to=ana.sub, schema=ANYTHING,
        deadlineAt="2041-06-01T12:00:00+02:00", attentionAt="2041-06-01T01:00:00-05:00",
    )  # fmt: skip
    assert made["deadlineAt"] == "2041-06-01T10:00:00Z"
    assert made["attentionAt"] == "2041-06-01T06:00:00Z"
    named_otherwise = await asker.done(
        "createRequest", to=ana.sub, schema=ANYTHING, expiresAt="2041-06-01T10:00:00Z",
        deadlineAt="2041-06-01T12:00:00+02:00",
    )  # fmt: skip
    assert named_otherwise["deadlineAt"] == made["deadlineAt"]


@pytest.mark.parametrize("by", ["id", "handle"])
async def test_an_entity_is_addressed_by_id_or_handle(asker: Party, ana: Party, by: str) -> None:
    entity = {by: ana.sub if by == "handle" else ana.entity_id}
    made = await asker.done("createRequest", entity=entity, schema=ANYTHING)
    assert made["to"] == [ana.entity_id]


async def test_several_addressees_are_kept_in_order_and_each_once(
    asker: Party, ana: Party, ben: Party
) -> None:
    made = await asker.done(
        "createRequest", to=[ben.sub, ana.entity_id, ben.entity_id], schema=ANYTHING
    )
    assert made["to"] == [ben.entity_id, ana.entity_id]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"to": "nobody-at-all"}, "unknown_addressee"),
        ({"schema": {"type": "nonsense"}}, "invalid_schema"),
        ({"schema": {"pattern": "(?=a)b"}}, "unsupported_pattern"),
        ({"schema": {"$schema": "http://json-schema.org/draft-04/schema#"}}, "unsupported_dialect"),
        ({"schema": {"$ref": "https://example.org/other.json"}}, "unresolvable_ref"),
        ({"schema": {"description": "x" * 70_000}}, "schema_too_large"),
        ({"deadlineAt": "2020-01-01T00:00:00Z"}, "invalid_time"),
        ({"attentionAt": "2042-01-01T00:00:00Z", "deadlineAt": "2041-01-01T00:00:00Z"},
         "invalid_time"),
        ({"quorum": 2}, "not_supported"),
        ({"schemaKind": "xml"}, "invalid_request"),
        ({"colour": "red"}, "invalid_request"),
        ({"claimTtl": 0}, "invalid_request"),
    ],
)  # fmt: skip
async def test_a_request_that_cannot_be_is_refused(
    asker: Party, ana: Party, members: Json, code: str
) -> None:
    sent = {"to": ana.sub, "schema": ANYTHING, **members}
    assert await asker.refused("createRequest", **sent) == code


async def test_a_claim_is_taken_renewed_and_given_back(asker: Party, ana: Party) -> None:
    id = await asker.ask(ana.sub)
    claimed = await ana.done("claimRequest", id=id)
    assert (claimed["status"], claimed["claim"]["by"]) == ("CLAIMED", ana.entity_id)
    renewed = await ana.done("claimRequest", id=id)
    assert renewed["claim"]["expiresAt"] > claimed["claim"]["expiresAt"]
    released = await ana.done("releaseRequest", id=id)
    assert (released["status"], released["claim"]) == ("PENDING", None)
    assert await ana.refused("releaseRequest", id=id) == "wrong_status"


async def test_who_comes_second_is_told_who_holds_the_claim(
    asker: Party, ana: Party, ben: Party
) -> None:
    id = await asker.ask(ana.sub, ben.sub)
    claimed = await ana.done("claimRequest", id=id)
    for route, body in (("claim", None), ("response", {"payload": 1}), ("release", None)):
        reply = await ben.rest.post(f"/v1/requests/{id}/{route}", json=body or {})
        problem = reply.json()
        assert (reply.status_code, problem["code"]) == (409, "claimed_by_other")
        assert problem["holder"] == ana.entity_id
        assert problem["claimExpiresAt"] == claimed["claim"]["expiresAt"]
        assert int(reply.headers["retry-after"]) >= 1


async def test_override_releases_the_claim_of_another(
    asker: Party, ana: Party, party: Make
) -> None:
    id = await asker.ask(ana.sub)
    await ana.done("claimRequest", id=id)
    supervisor = party(scope="override")
    released = await supervisor.done("releaseRequest", id=id)
    assert released["status"] == "PENDING"


async def test_an_answer_that_does_not_fit_lists_every_error_and_changes_nothing(
    asker: Party, ana: Party
) -> None:
    schema = {
        "type": "object",
        "required": ["name"],
        "properties": {"age": {"type": "integer", "minimum": 0}, "mail": {"format": "email"}},
    }
    id = await asker.ask(ana.sub, schema=schema)
    await ana.done("claimRequest", id=id)
    reply = await ana.rest.post(
        f"/v1/requests/{id}/response", json={"payload": {"age": -1, "mail": "no"}}
    )
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_answer")
    found = {(one["pointer"], one["keyword"]) for one in reply.json()["errors"]}
    assert found == {("", "required"), ("/age", "minimum"), ("/mail", "format")}
    now = await ana.done("getRequest", id=id)
    assert (now["status"], now["claim"]["by"]) == ("CLAIMED", ana.entity_id)


async def test_an_answer_is_kept_and_read_by_asker_answerer_and_admin(
    asker: Party, ana: Party, admin: Party
) -> None:
    id = await asker.ask(ana.sub, schema=CITY)
    answered = await ana.done("postResponse", id=id, payload={"city": "Aix", "extra": [0.1]})
    assert (answered["requestId"], answered["answeredBy"]) == (id, ana.entity_id)
    assert answered["payload"] == {"city": "Aix", "extra": [0.1]}
    for reader in (asker, ana, admin):
        assert await reader.done("getResponse", id=id) == answered
    closed = await asker.done("getRequest", id=id)
    assert (closed["status"], closed["responseId"]) == ("ANSWERED", answered["id"])


async def test_the_same_answer_again_is_fine_and_another_one_is_late(
    asker: Party, ana: Party, ben: Party
) -> None:
    id = await asker.ask(ana.sub, ben.sub)
    first = await ana.done("postResponse", id=id, payload={"a": 1, "b": 2})
    again = await ana.rest.post(
        f"/v1/requests/{id}/response", content=b'{"payload": {"b":2,  "a":1}}'
    )
    assert (again.status_code, again.json()) == (200, first)
    late = await ben.rest.post(f"/v1/requests/{id}/response", json={"payload": {"a": 1, "b": 2}})
    assert (late.status_code, late.json()["code"]) == (409, "wrong_status")
    assert late.json()["requestStatus"] == "ANSWERED"
    assert late.json()["closedBy"] == ana.entity_id
    assert late.json()["closedAt"] == first["answeredAt"]


async def test_claim_required_holds_an_answer_back_until_it_is_claimed(
    asker: Party, ana: Party
) -> None:
    id = await asker.ask(ana.sub, claimRequired=True)
    assert await ana.refused("postResponse", id=id, payload=1) == "claim_required"
    await ana.done("claimRequest", id=id)
    assert (await ana.done("postResponse", id=id, payload=1))["payload"] == 1


async def test_a_lone_candidate_declines_for_good(asker: Party, ana: Party) -> None:
    id = await asker.ask(ana.sub)
    declined = await ana.done("declineRequest", id=id, reason="no idea")
    assert (declined["status"], declined["reason"]) == ("DECLINED", "no idea")
    assert (await ana.done("declineRequest", id=id))["status"] == "DECLINED"
    gone = await asker.rest.get(f"/v1/requests/{id}/response")
    assert (gone.status_code, gone.json()["code"]) == (410, "no_response")
    assert gone.json()["requestStatus"] == "DECLINED"


async def test_one_of_several_steps_back_and_the_others_go_on(
    asker: Party, ana: Party, ben: Party
) -> None:
    id = await asker.ask(ana.sub, ben.sub)
    assert (await ana.done("declineRequest", id=id))["status"] == "PENDING"
    assert await ana.refused("getRequest", id=id) == "not_found"
    assert await ana.refused("claimRequest", id=id) == "not_found"
    assert (await ben.done("declineRequest", id=id))["status"] == "DECLINED"


@pytest.mark.parametrize("path", ["/v1/requests/{}/cancel", "/v1/inquiries/{}/cancel"])
async def test_the_asker_cancels_and_may_repeat_it(asker: Party, ana: Party, path: str) -> None:
    id = await asker.ask(ana.sub)
    for _ in range(2):
        reply = await asker.rest.post(path.format(id), json={"reason": "solved"})
        assert (reply.status_code, reply.json()["status"]) == (200, "CANCELLED")
        assert reply.json()["reason"] == "solved"
    assert await ana.refused("postResponse", id=id, payload=1) == "wrong_status"
    assert await asker.refused("getResponse", id=id) == "no_response"


async def test_a_deadline_closes_a_request_by_itself(asker: Party, ana: Party) -> None:
    id = await asker.ask(ana.sub, deadlineAt=ahead(4))
    await ana.done("claimRequest", id=id)
    seen = await asker.rest.get(
        f"/v1/requests/{id}/events", params={"since": 2}, headers={"Prefer": "wait=30"}
    )
    assert [event["data"]["type"] for event in seen.json()["items"]] == ["request.expired"]
    assert await ana.refused("postResponse", id=id, payload=1) == "wrong_status"
    assert (await asker.done("getRequest", id=id))["status"] == "EXPIRED"


async def test_every_change_is_an_event_in_order_without_content(asker: Party, ana: Party) -> None:
    secret = unique("secret")
    id = await asker.ask(ana.sub, prefill={"city": secret}, schema={"title": "T", "const": secret})
    await ana.done("claimRequest", id=id)
    await ana.done("releaseRequest", id=id)
    await ana.done("postResponse", id=id, payload=secret)
    reply = await asker.rest.get(f"/v1/requests/{id}/events")
    page = reply.json()
    assert [one["seq"] for one in page["items"]] == [1, 2, 3, 4]
    assert page["head"] == 4
    assert [one["data"]["type"] for one in page["items"]] == [
        "request.created", "request.claimed", "request.released", "request.answered",
    ]  # fmt: skip
    assert [one["data"]["id"] for one in page["items"]] == [f"{id}.{n}.0" for n in range(1, 5)]
    assert [one["data"]["actor"] for one in page["items"]] == [asker.sub, *[ana.entity_id] * 3]
    assert secret not in reply.text
    rest = await asker.done("listRequestEvents", id=id, since=1, limit=2)
    assert [one["seq"] for one in rest["items"]] == [2, 3]
    assert rest["head"] == 4


async def test_an_event_is_small_whatever_the_title(asker: Party, ana: Party) -> None:
    id = await asker.ask(*[ana.sub], schema={"title": "\U0001f600" * 15_000})
    reply = await asker.rest.get(f"/v1/requests/{id}/events")
    assert len(reply.content) < 4096 + 512


async def test_what_can_be_read_tells_its_version(asker: Party, ana: Party) -> None:
    id = await asker.ask(ana.sub)
    first = await asker.rest.get(f"/v1/requests/{id}")
    await ana.done("claimRequest", id=id)
    second = await asker.rest.get(f"/v1/requests/{id}")
    assert first.headers["etag"] != second.headers["etag"]
    modified = parsedate_to_datetime(second.headers["last-modified"])
    updated = datetime.fromisoformat(second.json()["updatedAt"])
    assert modified == updated.replace(microsecond=0)
    head = await asker.rest.head(f"/v1/requests/{id}")
    assert head.headers["etag"] == second.headers["etag"]
    assert head.content == b""


@pytest.mark.parametrize(
    ("op", "more"),
    [
        ("getRequest", {}), ("claimRequest", {}), ("releaseRequest", {}), ("declineRequest", {}),
        ("cancelRequest", {}), ("getResponse", {}), ("listRequestEvents", {}),
        ("postResponse", {"payload": 1}),
    ],
)  # fmt: skip
async def test_an_unknown_request_is_not_found(
    party: Make, admin: Party, op: str, more: dict[str, Any]
) -> None:
    one = party()
    await admin.entity("user", one.sub)
    for id in (NOBODY, "not-an-id", NOBODY.lower()):
        assert await one.refused(op, id=id, **more) == "not_found"
