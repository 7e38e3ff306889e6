"""`openapi.json` and `asyncapi.json`: valid, whole, and saying what the broker does."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate as validate_openapi
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from pxbox.model.principal import SCOPES
from pxbox.rest.logins import LOGIN_ROUTES
from pxbox.rest.openapi import DOCUMENTS, bundled
from pxbox.rest.routes import ROUTES
from pxbox.service import operations
from tests.contract.documents import SCHEMAS, Json, members, objects, planned, read

OPENAPI = read("openapi.json")
ASYNCAPI = read("asyncapi.json")
ERRORS = read("errors.json")
BUNDLES = {name: msgspec.json.decode(bundled(name)) for name in DOCUMENTS}
# Any token may call them; what they name decides: `worker:<kind>`, or who is asked.
NEEDS_MORE_THAN_A_SCOPE = {
    "checkpointFlow", "openSession", "closeSession", "leaseFlows", "handBack",
}  # fmt: skip
LOGINS = {(method, path) for method, path, _, _ in LOGIN_ROUTES}
SERVICE = {
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/asyncapi.json",
    "/docs",
    "/v1/files/{id}/content",
    "/v1/files/{id}/tus",
} | {path for _, path in LOGINS}

CALLS: dict[tuple[str, str], Json] = {
    (method.upper(), path): call
    for path, item in OPENAPI["paths"].items()
    for method, call in item.items()
    if method != "parameters"
}
BUILT = {key: call for key, call in CALLS.items() if key[1] not in SERVICE and not planned(call)}


def target(document: Json, reference: str) -> Any:
    """What a reference of a whole document leads to. Raises KeyError."""
    assert reference.startswith("#/"), reference
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def schema_name(media: Json) -> str:
    return str(media["schema"]["$ref"]).removeprefix("v1/").removesuffix(".json")


def replies(call: Json) -> dict[str, Json]:
    """The replies of a call by status, shared ones looked up."""
    return {
        status: target(OPENAPI, reply["$ref"]) if "$ref" in reply else reply
        for status, reply in call["responses"].items()
    }


def parameters(key: tuple[str, str]) -> list[Json]:
    shared = OPENAPI["paths"][key[1]].get("parameters", [])
    references = [*shared, *CALLS[key].get("parameters", [])]
    return [target(OPENAPI, one["$ref"]) for one in references]


def test_openapi_document_is_valid() -> None:
    validate_openapi(BUNDLES["openapi.json"])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_reference_of_a_whole_document_stays_inside_and_leads_somewhere(name: str) -> None:
    references = [one["$ref"] for one in objects(BUNDLES[name]) if isinstance(one.get("$ref"), str)]
    assert references
    for reference in references:
        target(BUNDLES[name], reference)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_whole_document_has_every_schema_that_its_source_refers_to(name: str) -> None:
    source = {one["$ref"] for one in objects(read(name)) if str(one.get("$ref")).startswith("v1/")}
    wanted = {reference.removeprefix("v1/").removesuffix(".json") for reference in source}
    assert wanted <= BUNDLES[name]["components"]["schemas"].keys()


def test_every_schema_is_used_by_a_document() -> None:
    used = {schema for one in BUNDLES.values() for schema in one["components"]["schemas"]}
    # The unions of all frames are for validators that see a message before they know its type.
    assert SCHEMAS.keys() - used == {"ClientFrame", "ServerFrame"}


def test_another_document_is_not_bundled() -> None:
    with pytest.raises(ValueError, match="no such API document"):
        bundled("errors.json")


def test_every_example_of_a_document_is_valid() -> None:
    checked = 0
    for document in BUNDLES.values():
        resource = DRAFT202012.create_resource(document)
        registry = Registry[Any]().with_resource("file:///document", resource)
        for one in objects(document):
            schema = one.get("schema") or one.get("payload")
            if "examples" not in one or not isinstance(schema, dict) or "$ref" not in schema:
                continue
            found = one["examples"]
            shown = found.values() if isinstance(found, dict) else found
            reference = {"$ref": f"file:///document{schema['$ref']}"}
            judge = Draft202012Validator(reference, registry=registry)
            for example in shown:
                judge.validate(example["value"] if "value" in example else example["payload"])
                checked += 1
    assert checked > 30


def test_routes_of_the_document_are_those_of_the_broker() -> None:
    served = {(route.method, route.path): route for route in ROUTES}
    assert BUILT.keys() == served.keys()
    for key, route in served.items():
        assert BUILT[key]["x-pxbox-op"] == route.operation
        assert str(route.status) in BUILT[key]["responses"]


def test_service_routes_are_all_described() -> None:
    assert {path for _, path in CALLS if path in SERVICE} == SERVICE


def test_routes_of_signing_in_are_those_of_the_document() -> None:
    served = {(method, path): name for method, path, name, _ in LOGIN_ROUTES}
    described = {key: call["operationId"] for key, call in CALLS.items() if "session" in key[1]}
    assert described == served


def test_operation_ids_are_unique() -> None:
    ids = [call["operationId"] for call in CALLS.values()]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("key", BUILT, ids=" ".join)
def test_route_asks_for_the_scopes_of_its_operation(key: tuple[str, str]) -> None:
    operation = operations.find_for_rest(BUILT[key]["x-pxbox-op"])
    scopes = {scope for one in BUILT[key]["security"] for scope in one["bearer"]}
    assert scopes == set(operation.scopes)
    assert scopes <= SCOPES
    needs_more = BUILT[key]["x-pxbox-op"] in NEEDS_MORE_THAN_A_SCOPE
    assert ("403" in BUILT[key]["responses"]) is (bool(scopes) or needs_more)


@pytest.mark.parametrize("key", BUILT, ids=" ".join)
def test_path_query_and_body_together_are_the_input_of_the_operation(key: tuple[str, str]) -> None:
    operation = operations.find_for_rest(BUILT[key]["x-pxbox-op"])
    named = {one["name"] for one in parameters(key) if one["in"] in {"path", "query"}}
    body = BUILT[key].get("requestBody")
    if body is not None:
        named |= members(schema_name(body["content"]["application/json"]))[0].keys()
    assert named == members(operation.input.__name__)[0].keys()


@pytest.mark.parametrize("key", BUILT, ids=" ".join)
def test_path_parameters_are_those_of_the_path(key: tuple[str, str]) -> None:
    in_path = [one["name"] for one in parameters(key) if one["in"] == "path"]
    assert in_path == re.findall(r"{(\w+)}", key[1])


@pytest.mark.parametrize("key", CALLS, ids=" ".join)
def test_every_code_of_a_reply_is_listed_under_its_own_status(key: tuple[str, str]) -> None:
    for status, reply in replies(CALLS[key]).items():
        codes = reply.get("x-pxbox-codes", [])
        assert codes or status < "400"
        if status != "default":
            assert {ERRORS[code]["status"] for code in codes} <= {int(status)}
        if codes:
            assert schema_name(reply["content"]["application/problem+json"]) == "Problem"


def test_every_code_is_met_somewhere() -> None:
    met = {code for call in CALLS.values() for one in replies(call).values()
           for code in one.get("x-pxbox-codes", [])}  # fmt: skip
    over_websocket_alone = {"invalid_ack", "not_subscribed", "too_many_subscriptions",
                            "invalid_parts", "too_many_connections",
                            "unknown_operation", "another_client"}  # fmt: skip
    assert ERRORS.keys() - met == over_websocket_alone


def test_an_idempotency_key_is_taken_by_what_writes_and_by_nothing_else() -> None:
    taking = {
        key for key in BUILT if any(one["name"] == "Idempotency-Key" for one in parameters(key))
    }
    repeatable = {("POST", "/v1/validate"), ("POST", "/v1/ws/ticket")}
    # Told apart by revision and fence: a repeat is found out without a key.
    repeatable |= {key for key in BUILT if key[1].startswith("/v1/workers")}
    repeatable |= {("POST", "/v1/flows/{id}/checkpoint")}
    # A draft is what was put last: putting or deleting it again changes nothing.
    repeatable |= {(method, "/v1/requests/{id}/draft") for method in ("PUT", "DELETE")}
    # Jobs do what is left to be done.
    repeatable |= {("POST", "/v1/retention"), ("POST", "/v1/entities/{id}/erase")}
    repeatable |= {("PUT", "/v1/schemas/{name}"), ("POST", "/v1/files/sign")}
    assert taking == {key for key in BUILT if key[0] != "GET"} - repeatable


# ---- the WebSocket


def by_op(frame: str) -> dict[str, str]:
    return {
        case["if"]["properties"]["op"]["const"]: case["then"]["properties"]["data"]["$ref"]
        for case in SCHEMAS[frame]["allOf"]
    }


def test_operations_of_the_contract_are_those_of_the_broker() -> None:
    built = SCHEMAS["CmdFrame"]["properties"]["op"]["enum"]
    assert set(built) == operations.OPERATIONS.keys()
    assert built == SCHEMAS["ResponseFrame"]["properties"]["op"]["enum"]
    assert list(by_op("CmdFrame")) == built == list(by_op("ResponseFrame"))
    over_rest = {call["x-pxbox-op"] for call in BUILT.values()}
    assert over_rest == operations.OPERATIONS.keys() | operations.OVER_REST_ALONE.keys()


@pytest.mark.parametrize("op", operations.OPERATIONS)
def test_command_takes_the_input_of_its_operation_and_gives_what_rest_gives(op: str) -> None:
    assert by_op("CmdFrame")[op] == f"{operations.OPERATIONS[op].input.__name__}.json"
    (call, *others) = [call for call in BUILT.values() if call["x-pxbox-op"] == op]
    for one in (call, *others):
        status = min(one["responses"])
        media = one["responses"][status]["content"]["application/json"]
        assert by_op("ResponseFrame")[op] == f"{schema_name(media)}.json"


@pytest.mark.parametrize("op", operations.OPERATIONS)
def test_command_may_leave_out_its_data_only_where_nothing_is_required(op: str) -> None:
    case = next(
        one for one in SCHEMAS["CmdFrame"]["allOf"] if one["if"]["properties"]["op"]["const"] == op
    )
    required = members(operations.OPERATIONS[op].input.__name__)[1]
    assert ("data" in case["then"].get("required", ())) is bool(required)


def test_asyncapi_document_has_the_parts_of_its_version() -> None:
    assert ASYNCAPI["asyncapi"] == "3.0.0"
    assert ASYNCAPI["info"].keys() >= {"title", "version"}
    assert ASYNCAPI["servers"]["broker"].keys() >= {"host", "protocol"}
    for operation in ASYNCAPI["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["channel"] == {"$ref": "#/channels/socket"}
        of_channel = target(ASYNCAPI, operation["channel"]["$ref"])["messages"]
        told = [*operation["messages"], *operation.get("reply", {}).get("messages", [])]
        for reference in told:
            # Messages of an operation are named through its channel (AsyncAPI 3.0).
            assert reference["$ref"].startswith("#/channels/socket/messages/")
            assert reference["$ref"].rpartition("/")[2] in of_channel


@pytest.mark.parametrize(("union", "action"), [("ClientFrame", "receive"), ("ServerFrame", "send")])
def test_asyncapi_document_has_every_frame_in_its_direction(union: str, action: str) -> None:
    listed = [one for one in ASYNCAPI["operations"].values() if one["action"] == action]
    told = [one for operation in listed for one in operation["messages"]]
    if action == "send":
        told += [one for operation in ASYNCAPI["operations"].values()
                 for one in operation.get("reply", {}).get("messages", [])]  # fmt: skip
    frames = {one["$ref"].rpartition("/")[2] for one in told}
    assert frames == {one["$ref"].removesuffix(".json") for one in SCHEMAS[union]["oneOf"]}
    for frame in frames:
        assert ASYNCAPI["components"]["messages"][frame]["payload"] == {"$ref": f"v1/{frame}.json"}
