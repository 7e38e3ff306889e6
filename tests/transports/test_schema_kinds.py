"""What may be given for a schema, over both transports: shown in the reply, and held to."""

from __future__ import annotations

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
