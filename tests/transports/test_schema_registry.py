"""Schemas by name, over both transports: versions, what they take away, and references to them."""

from __future__ import annotations

import trio

from tests.contract.documents import Json
from tests.transports.clients import Party, unique

FIRST: Json = {"type": "object", "properties": {"zip": {"type": "string"}}}
SECOND: Json = {**FIRST, "required": ["zip"]}


async def test_versions_count_and_tell_what_they_take_away(admin: Party, asker: Party) -> None:
    name = unique("address")
    first = await admin.rest.put(f"/v1/schemas/{name}", json={"schema": FIRST})
    assert first.status_code == 201
    told = {"name": name, "version": 1, "ref": f"pxbox:{name}@1", "existing": False, "narrowed": []}
    assert first.json() | told == first.json()
    again = await admin.rest.put(f"/v1/schemas/{name}", json={"schema": FIRST})
    assert again.status_code == 200
    assert again.json() == {**first.json(), "existing": True}
    second = await admin.done("putSchema", name=name, schema=SECOND)
    assert second["version"] == 2
    assert [(one["pointer"], one["keyword"]) for one in second["narrowed"]] == [
        ("/required", "required")
    ]
    assert (await asker.done("getSchema", name=name))["schemaPayload"] == SECOND
    assert (await asker.done("getSchema", name=name, version=1))["schemaPayload"] == FIRST
    for version in (3, 2**31, 2**53):
        assert await asker.refused("getSchema", name=name, version=version) == "not_found"
    assert await asker.refused("putSchema", name=name, schema=FIRST) == "forbidden"
    assert await admin.refused("putSchema", name="A b", schema=FIRST) == "invalid_request"
    assert await admin.refused("putSchema", name=name, schema={"type": 1}) == "invalid_schema"


async def test_versions_made_at_once_are_numbered_without_a_gap(admin: Party) -> None:
    name = unique("many")
    made: list[int] = []

    async def put(minimum: int) -> None:
        body = {"schema": {"minimum": minimum}}
        reply = await admin.rest.put(f"/v1/schemas/{name}", json=body)
        if reply.status_code == 201:
            made.append(reply.json()["version"])
        else:
            assert reply.json()["code"] == "contended"

    async with trio.open_nursery() as nursery:
        for minimum in range(5):
            nursery.start_soon(put, minimum)
    assert sorted(made) == list(range(1, len(made) + 1))
    assert made


async def test_a_request_refers_to_a_version_and_keeps_it(
    admin: Party, asker: Party, ana: Party
) -> None:
    """X3: the latest version is that of the creation."""
    name, outer = unique("zip"), unique("outer")
    await admin.done("putSchema", name=name, schema=FIRST)
    latest = {"$ref": f"pxbox:{name}@latest", "title": "Where"}
    made = await asker.done("createRequest", to=ana.sub, schemaKind="ref", schema=latest)
    await admin.done("putSchema", name=name, schema=SECOND)
    assert made["schemaPayload"] == {"$id": f"pxbox:{name}@1", **FIRST, "title": "Where"}
    await ana.done("postResponse", id=made["id"], payload={})
    both = {"properties": {"a": {"$ref": f"pxbox:{name}@1"}, "b": {"$ref": f"pxbox:{name}@latest"}}}
    await admin.done("putSchema", name=outer, schema=True)
    made = await asker.done("createRequest", to=ana.sub, schemaKind="ref", schema=both)
    payload: Json = {"a": {}, "b": {}}
    assert await ana.refused("postResponse", id=made["id"], payload=payload) == "invalid_answer"
    await ana.done("postResponse", id=made["id"], payload={"a": {}, "b": {"zip": "8010"}})
    for wrong in (f"{name}@9", name, f"{name}@", f"{name}@-1", unique("none") + "@latest", "@1"):
        refused = await asker.refused(
            "createRequest", to=ana.sub, schemaKind="ref", schema={"$ref": f"pxbox:{wrong}"}
        )
        assert refused == "unresolvable_ref"
