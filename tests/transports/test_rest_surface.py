"""REST: what holds for every route, planned ones and those that are none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pxbox.rest.routes import ROUTES, Route
from tests.brokers import Broker
from tests.transports.checking import check_reply
from tests.transports.clients import ANYTHING, Party, checked

Make = Callable[..., Party]
SOME_ID = "01ARZ3NDEKTSV4RRFFQ69G5FAV"


def at(path: str) -> str:
    return path.replace("{id}", SOME_ID).replace("{member}", "somebody")


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_every_operation_needs_a_token(shared_broker: Broker, route: Route) -> None:
    async with checked(shared_broker) as nobody:
        reply = await nobody.request(route.method, at(route.path), json=None)
    assert (reply.status_code, reply.json()["code"]) == (401, "unauthenticated")
    assert reply.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("name", ["quorum"])
async def test_a_planned_member_of_a_request_is_not_ignored(
    asker: Party, ana: Party, name: str
) -> None:
    values: list[Any] = [None, False, {}, "x"]
    for value in values:
        body = {"to": ana.sub, "schema": ANYTHING, name: value}
        assert await asker.refused("createRequest", **body) == "not_supported"


@pytest.mark.parametrize("name", ["draft"])
async def test_a_planned_member_of_an_answer_is_not_ignored(
    asker: Party, ana: Party, name: str
) -> None:
    id = await asker.ask(ana.sub)
    refused = await ana.refused("postResponse", id=id, payload=1, **{name: None})
    assert refused == "not_supported"
    assert (await ana.done("getRequest", id=id))["status"] == "PENDING"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/requests", {"GET", "HEAD", "POST"}),
        ("DELETE", "/v1/requests/x", {"GET", "HEAD"}),
        ("OPTIONS", "/v1/requests", {"GET", "HEAD", "POST"}), ("POST", "/healthz", {"GET", "HEAD"}),
        ("FROB", "/v1/entities/x", {"GET", "HEAD"}), ("PATCH", "/v1/inquiries", {"GET", "HEAD"}),
        ("GET", "/v1/entities/x/members/y", {"PUT", "DELETE"}),
        ("PUT", "/v1/flows", {"GET", "HEAD", "POST"}),
    ],
)  # fmt: skip
async def test_a_path_names_the_methods_that_it_has(
    party: Make, method: str, path: str, allowed: set[str]
) -> None:
    reply = await party().rest.request(method, path)
    assert (reply.status_code, reply.json()["code"]) == (405, "method_not_allowed")
    assert set(reply.headers["allow"].split(", ")) == allowed


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/", "/v2/requests", "/v1/requests/", "/V1/inquiries", "/v1//inquiries",
     "/v1/requests/a/b", "/docs/", "/index.html", "/v1/ws"],
)  # fmt: skip
async def test_what_is_no_path_is_not_found_and_redirects_nowhere(party: Make, path: str) -> None:
    reply = await party().rest.get(path, headers={"Host": "elsewhere.example"})
    assert (reply.status_code, reply.json()["code"]) == (404, "not_found")
    assert "location" not in reply.headers


async def test_every_reply_has_an_id_of_its_own(party: Make) -> None:
    client = party().rest
    paths = ["/healthz", "/nowhere", "/v1/requests", f"/v1/requests/{SOME_ID}", "/docs"] * 2
    ids = [(await client.get(path)).headers["x-request-id"] for path in paths]
    assert len(set(ids)) == len(paths)


async def test_a_schema_is_checked_and_data_against_it(asker: Party) -> None:
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"maximum": 3}}}
    alone = await asker.done("validate", schema=schema)
    assert (alone["valid"], alone["errors"], alone["draft"]) == (True, [], "2020-12")
    good = await asker.done("validate", schema=schema, data={"a": 1})
    assert (good["valid"], good["schemaHash"]) == (True, alone["schemaHash"])
    bad = await asker.done("validate", schema=schema, data={"a": 5})
    assert [(one["pointer"], one["keyword"]) for one in bad["errors"]] == [("/a", "maximum")]
    null = await asker.done("validate", schema={"type": "string"}, data=None)
    assert null["valid"] is False
    older = {"$schema": "http://json-schema.org/draft-07/schema#"}
    assert (await asker.done("validate", schema=older))["draft"] == "7"


async def test_a_refused_schema_says_where(asker: Party) -> None:
    schema = {"properties": {"a": {"type": "nonsense"}, "b": {"minLength": -1}}}
    reply = await asker.rest.post("/v1/validate", json={"schema": schema})
    assert (reply.status_code, reply.json()["code"]) == (422, "invalid_schema")
    found = {one["pointer"] for one in reply.json()["errors"]}
    assert {"/properties/a/type", "/properties/b/minLength"} <= found


async def test_the_broker_says_that_it_lives_and_that_it_is_ready(shared_broker: Broker) -> None:
    async with checked(shared_broker) as nobody:
        for path in ("/healthz", "/readyz"):
            reply = await nobody.get(path)
            assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


async def test_a_connection_is_kept_for_the_next_call(party: Make) -> None:
    one = party()
    for path in ("/healthz", "/nowhere", "/v1/requests/x", "/docs"):
        reply = await one.rest.get(path)
        await check_reply(reply)
        assert "connection" not in reply.headers
