"""What may be given for a schema, over both transports: shown in the reply, and held to."""

from __future__ import annotations

import trio

from tests.brokers import Brokers
from tests.references.hosts import open_host
from tests.transports.clients import Party, unique

EXAMPLE = {"city": "Graz", "since": "2026-03-02", "rooms": [{"m2": 12}, {"m2": 9.5, "sunny": True}]}
INFERRED = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "since": {"type": "string", "format": "date"},
        "rooms": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"m2": {"type": "number"}, "sunny": {"type": "boolean"}},
                "required": ["m2"],
            },
        },
    },
    "required": ["city", "since", "rooms"],
}


async def test_the_schema_of_an_example_is_shown_and_answers_are_held_to_it(
    asker: Party, ana: Party
) -> None:
    made = await asker.done("createRequest", to=ana.sub, schemaKind="jsonexample", schema=EXAMPLE)
    assert made["schemaPayload"] == INFERRED
    detail = await ana.done("getRequest", id=made["id"])
    assert (detail["schemaKind"], detail["schemaPayload"]) == ("jsonschema", INFERRED)
    wrong = {**EXAMPLE, "since": "lately"}
    assert await ana.refused("postResponse", id=made["id"], payload=wrong) == "invalid_answer"
    answered = await ana.done("postResponse", id=made["id"], payload=EXAMPLE)
    assert answered["payload"] == EXAMPLE


async def test_a_json_schema_is_not_repeated_in_the_reply(asker: Party, ana: Party) -> None:
    made = await asker.done("createRequest", to=ana.sub, schema=INFERRED)
    assert "schemaPayload" not in made


async def test_a_repeated_command_is_shown_the_schema_again(asker: Party, ana: Party) -> None:
    """S7."""
    body = {"to": ana.sub, "schemaKind": "jsonexample", "schema": 3}
    key = {"Idempotency-Key": unique("key")}
    first = await asker.rest.post("/v1/requests", json=body, headers=key)
    again = await asker.rest.post("/v1/requests", json=body, headers=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == first.json()
    assert first.json()["schemaPayload"] == {"type": "integer"}


async def test_an_example_may_be_any_json_and_is_bounded(asker: Party, ana: Party) -> None:
    made = await asker.done(
        "createRequest", to=ana.sub, schemaKind="jsonexample", schema="a@b.example"
    )
    assert made["schemaPayload"] == {"type": "string", "format": "email"}
    large = ["a" * 70_000]
    refused = await asker.refused(
        "createRequest", to=ana.sub, schemaKind="jsonexample", schema=large
    )
    assert refused == "schema_too_large"
    deep: object = 1
    for _ in range(20):
        deep = {"a": deep}
    refused = await asker.refused(
        "createRequest", to=ana.sub, schemaKind="jsonexample", schema=deep
    )
    assert refused == "schema_too_deep"


async def test_an_example_can_be_tried_without_asking(asker: Party) -> None:
    found = await asker.done("validate", schemaKind="jsonexample", schema=[1], data=["a"])
    assert found["schemaPayload"] == {"type": "array", "items": {"type": "integer"}}
    assert [(one["pointer"], one["keyword"]) for one in found["errors"]] == [("/0", "type")]


async def test_references_are_bundled_from_where_the_operator_allows_it(
    shared_brokers: Brokers, admin: Party
) -> None:
    """X3. The request keeps what was there when it was made."""
    ana = unique("ana")
    await admin.entity("user", ana)
    async with open_host() as host:
        host.pages["/stay.json"] = {"title": "Stay", "properties": {"at": {"$ref": "city.json"}}}
        host.pages["/city.json"] = {"type": "string"}
        allowed = f"http://127.0.0.1:{host.port}@127.0.0.0/8"
        broker = await trio.to_thread.run_sync(shared_brokers, "--schema-allow", allowed)
        asker = Party(broker, unique("asker"), "request")
        made = await asker.done(
            "createRequest", to=ana, schemaKind="ref", schema={"$ref": host.url("/stay.json")}
        )
        host.pages.clear()
        shown = made["schemaPayload"]
        assert made["title"] == shown["title"] == "Stay"
        assert shown["$defs"][host.url("/city.json")]["type"] == "string"
        bob = Party(broker, ana, "respond")
        payload = {"at": 5}
        assert await bob.refused("postResponse", id=made["id"], payload=payload) == "invalid_answer"
        await bob.done("postResponse", id=made["id"], payload={"at": "Graz"})
        gone = {"$ref": host.url("/gone.json")}
        refused = await asker.refused("createRequest", to=ana, schemaKind="ref", schema=gone)
        assert refused == "unresolvable_ref"
        for one in (asker, bob):
            await one.rest.aclose()


async def test_by_default_nothing_is_fetched(asker: Party, ana: Party) -> None:
    """X3."""
    async with open_host() as host:
        host.pages["/a.json"] = True
        for kind in ("jsonschema", "ref"):
            schema = {"$ref": host.url("/a.json")}
            refused = await asker.refused(
                "createRequest", to=ana.sub, schemaKind=kind, schema=schema
            )
            assert refused == "unresolvable_ref"
        assert host.heads == []


async def test_hints_that_match_nothing_are_told_and_kept(asker: Party, ana: Party) -> None:
    hints = {"ui:order": ["city"], "ctiy": {"ui:widget": "text"}}
    made = await asker.done("createRequest", to=ana.sub, schema=INFERRED, uiHints=hints)
    assert [(one["pointer"], one["keyword"]) for one in made["warnings"]] == [("/ctiy", "match")]
    assert (await ana.done("getRequest", id=made["id"]))["uiHints"] == hints
    fine = await asker.done("createRequest", to=ana.sub, schema=INFERRED, uiHints={"city": {}})
    assert "warnings" not in fine
