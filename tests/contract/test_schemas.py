"""The schemas of `schemas/v1/` by themselves, and their examples."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from tests.contract.documents import SCHEMAS, example_bytes, examples, subschemas, validator

# Read alike by JSON Schema 2020-12 and by draft 7, which AsyncAPI tools take a schema for.
KEYWORDS = frozenset({
    "$schema", "$ref", "$comment", "title", "description", "default", "x-pxbox-status",
    "type", "enum", "const", "format", "pattern", "minLength", "maxLength", "minimum", "maximum",
    "items", "minItems", "maxItems", "properties", "required", "additionalProperties",
    "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "propertyNames",
})  # fmt: skip


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_is_valid_by_its_meta_schema_and_by_that_of_draft_7(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name])
    Draft7Validator.check_schema(SCHEMAS[name])


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_keeps_to_keywords_that_both_drafts_read_alike(name: str) -> None:
    used = {keyword for _, schema in subschemas(SCHEMAS[name]) for keyword in schema}
    assert used <= KEYWORDS


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_says_what_it_is_called_and_what_it_means(name: str) -> None:
    schema = SCHEMAS[name]
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == name
    assert schema["description"].endswith((".", ":"))


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_reference_names_a_schema_of_this_folder(name: str) -> None:
    references = [schema["$ref"] for _, schema in subschemas(SCHEMAS[name]) if "$ref" in schema]
    assert {reference.removesuffix(".json") for reference in references} <= SCHEMAS.keys()
    assert all(reference.endswith(".json") for reference in references)


@pytest.mark.parametrize("name", SCHEMAS)
def test_an_object_is_either_closed_or_says_that_it_is_open(name: str) -> None:
    schema = SCHEMAS[name]
    if schema.get("type") == "object":
        closed = schema.get("additionalProperties") is False
        assert closed is not ("$comment" in schema)


def test_every_member_is_explained() -> None:
    def explained(member: dict[str, object]) -> bool:
        return bool(member.keys() & {"description", "$ref", "const", "enum"})

    unexplained = [
        f"{name}{pointer}"
        for name, schema in SCHEMAS.items()
        for pointer, member in subschemas(schema)
        if pointer.rpartition("/")[0].endswith("properties")
        and "/then/" not in pointer
        and not explained(member)
    ]
    # Members that narrow those of a base: the base explains them.
    assert [name for name in unexplained if "/allOf/" not in name] == [
        "HeartbeatFrame/properties/data",
        "NoticeFrame/properties/data",
    ]


@pytest.mark.parametrize("kind", ["valid", "invalid"])
def test_every_schema_has_examples_and_every_example_a_schema(kind: str) -> None:
    assert {schema for schema, _ in examples(kind)} == SCHEMAS.keys()


@pytest.mark.parametrize(("schema", "stem"), examples("valid"))
def test_valid_example_is_valid(schema: str, stem: str) -> None:
    found = validator(schema).iter_errors(json.loads(example_bytes("valid", schema, stem)))
    assert [error.message for error in found] == []


@pytest.mark.parametrize(("schema", "stem"), examples("invalid"))
def test_invalid_example_is_not_valid(schema: str, stem: str) -> None:
    assert not validator(schema).is_valid(json.loads(example_bytes("invalid", schema, stem)))
