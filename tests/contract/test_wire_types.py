"""The types that the broker decodes and encodes with, against the schemas and their examples."""

from __future__ import annotations

import inspect
import json
from typing import Any, get_args

import msgspec
import pytest
from msgspec import inspect as types

from pxbox.domain import flow_events, routing
from pxbox.model import flow, request, wire
from pxbox.model.decoding import decode_input
from pxbox.model.errors import InvalidRequest, PxError
from pxbox.model.wire import flows as flow_wire
from pxbox.rest.call import RestCall, read_input
from pxbox.ws.messages import ClientFrame, ServerFrame
from tests.contract.documents import (
    SCHEMAS,
    Json,
    example_bytes,
    examples,
    members,
    planned,
    resolved,
    validator,
)

NOT_ON_THE_WIRE = {"Input", "Reply", "RequestId", "FlowId", "SessionId"}


def subclasses(base: type[msgspec.Struct]) -> dict[str, type[Any]]:
    def kind(one: object) -> bool:
        return inspect.isclass(one) and issubclass(one, base)

    found = [*inspect.getmembers(wire, kind), *inspect.getmembers(flow_wire, kind)]
    return {name: one for name, one in found if name not in NOT_ON_THE_WIRE}


INPUTS = subclasses(wire.Input)
REPLIES: dict[str, type[Any]] = {
    **subclasses(wire.Reply), "Claim": request.Claim, "Parked": flow.Parked,
}  # fmt: skip
EVENTS: dict[str, type[Any]] = {
    "RequestEvent": routing.EventData,
    "MembershipEvent": routing.MembershipData,
    "InboxEvent": routing.InboxData,
    "FlowEvent": flow_events.FlowData,
    "WorkEvent": flow_events.WorkData,
}
BODIES: dict[str, tuple[type[Any], ...]] = {
    "PostResponseBody": (wire.PostResponse,),
    "ReasonBody": (wire.DeclineRequest, wire.CancelRequest, flow_wire.CancelFlow),
    "EmptyBody": (
        wire.ClaimRequest,
        wire.ReleaseRequest,
        wire.MarkRead,
        wire.MarkUnread,
        wire.Wake,
        wire.RestoreInquiry,
        flow_wire.RetryFlow,
        flow_wire.RenewSession,
        flow_wire.CloseSession,
    ),
    "ReassignBody": (wire.ReassignRequest,),
    "DelegateBody": (wire.DelegateRequest,),
    "PutDraftBody": (wire.PutDraft,),
    "SnoozeBody": (wire.Snooze,),
    "ResumeFlowBody": (flow_wire.ResumeFlow,),
    "SignalFlowBody": (flow_wire.SignalFlow,),
    "CheckpointFlowBody": (flow_wire.CheckpointFlow,),
    "LeaseFlowsBody": (flow_wire.LeaseFlows,),
    "HandBackBody": (flow_wire.HandBack,),
    "EraseBody": (wire.EraseEntity,),
    "PutSchemaBody": (wire.PutSchema,),
}

_ID = "any text is taken; one that is no ULID names no request: `not_found`"
_ADDRESSEE = "of the addressee the service finds that it is not said exactly once"
_TOGETHER = "the service finds which members come together"
LEFT_TO_THE_SERVICE = {
    ("CreateRequest", "no_addressee"): _ADDRESSEE,
    ("CreateRequest", "two_addressees"): _ADDRESSEE,
    ("CreateRequest", "entity_has_both_names"): _ADDRESSEE,
    ("CreateRequest", "to_nobody"): "the service counts addressees",
    ("CreateRequest", "to_thirty_three"): "the service counts addressees",
    ("CreateRequest", "schema_is_a_string"): "admission reads the schema: `invalid_schema`",
    ("CreateRequest", "reference_is_text"): "admission reads the schema: `invalid_schema`",
    ("CreateRequest", "deadline_without_offset"): "the service compares times: `invalid_time`",
    ("CreateRequest", "default_answer_without_deadline"): "the service looks for the deadline",
    ("FilesPolicy", "extension_with_a_slash"): "the service reads what it names",
    ("UpdateInquiries", "a_time_without_snoozing"): _TOGETHER,
    ("UpdateInquiries", "snoozing_without_a_time"): _TOGETHER,
    ("CreateFlow", "cursor_with_a_version"): _TOGETHER,
    ("RunRetention", "no_age"): _TOGETHER,
    ("NewWait", "ask_without_request"): _TOGETHER,
    ("CheckpointFlow", "waits_without_wake"): _TOGETHER,
    ("BulkCreateRequests", "item_without_addressee"): "each item is judged on its own",
    ("EntityRef", "neither"): _ADDRESSEE,
    ("EntityRef", "both"): _ADDRESSEE,
    ("Validate", "schema_is_a_string"): "admission reads the schema: `invalid_schema`",
    ("GetRequest", "id_is_no_ulid"): _ID,
    ("GetResponse", "id_is_no_ulid"): _ID,
    ("ClaimRequest", "id_is_no_ulid"): _ID,
    ("ReleaseRequest", "id_is_no_ulid"): _ID,
    ("PostResponse", "id_is_no_ulid"): _ID,
}
SERVICE_RULES: dict[tuple[str, str], Json] = {
    ("CreateRequest", "to"): {"minItems": 1, "maxItems": 32},
    ("EscalationStep", "to"): {"minItems": 1, "maxItems": 32},
    ("ReassignRequest", "to"): {"minItems": 1, "maxItems": 32},
}


def of(kind: str, table: dict[str, Any]) -> list[tuple[str, str]]:
    return [(schema, stem) for schema, stem in examples(kind) if schema in table]


def test_every_input_and_reply_of_the_broker_has_a_schema() -> None:
    assert INPUTS.keys() | REPLIES.keys() <= SCHEMAS.keys()


def test_every_closed_schema_is_an_input_a_body_or_a_frame_of_a_client() -> None:
    closed = {name for name, one in SCHEMAS.items() if one.get("additionalProperties") is False}
    frames = {
        reference["$ref"].removesuffix(".json") for reference in SCHEMAS["ClientFrame"]["oneOf"]
    }
    assert closed == INPUTS.keys() | BODIES.keys() | frames


@pytest.mark.parametrize(("schema", "stem"), of("valid", INPUTS))
def test_valid_input_is_decoded(schema: str, stem: str) -> None:
    decode_input(example_bytes("valid", schema, stem), INPUTS[schema])


@pytest.mark.parametrize(("schema", "stem"), of("invalid", INPUTS))
def test_invalid_input_is_refused_unless_only_the_service_can_tell(schema: str, stem: str) -> None:
    raw = example_bytes("invalid", schema, stem)
    if (schema, stem) in LEFT_TO_THE_SERVICE:
        decode_input(raw, INPUTS[schema])
    else:
        with pytest.raises(InvalidRequest) as refusal:
            decode_input(raw, INPUTS[schema])
        assert refusal.value.errors


def test_what_is_left_to_the_service_are_invalid_examples() -> None:
    assert LEFT_TO_THE_SERVICE.keys() <= set(of("invalid", INPUTS))


def decode_body(raw: bytes, input: type[msgspec.Struct]) -> None:
    path = {"name": "address"} if input is wire.PutSchema else {"id": "01JZQ8A6P9Y5V4X3W2S1RQNMKJ"}
    call = RestCall({}, path, {}, raw)
    read_input(call, input)


@pytest.mark.parametrize(("schema", "stem"), of("valid", BODIES))
def test_valid_body_is_decoded_together_with_its_path(schema: str, stem: str) -> None:
    for type_ in BODIES[schema]:
        decode_body(example_bytes("valid", schema, stem), type_)


@pytest.mark.parametrize(("schema", "stem"), of("invalid", BODIES))
def test_invalid_body_is_refused(schema: str, stem: str) -> None:
    for type_ in BODIES[schema]:
        with pytest.raises(PxError):
            decode_body(example_bytes("invalid", schema, stem), type_)


@pytest.mark.parametrize("name", INPUTS)
def test_input_has_the_members_of_its_schema(name: str) -> None:
    properties, required = members(name)
    fields = struct(INPUTS[name]).fields
    assert {field.encode_name for field in fields} == properties.keys()
    assert {field.encode_name for field in fields if field.required} == required
    not_built = {field.encode_name for field in fields if isinstance(field.type, types.AnyType)}
    assert not_built == {key for key, one in properties.items() if planned(one)}


@pytest.mark.parametrize("name", INPUTS)
def test_members_of_an_input_have_the_bounds_of_its_schema(name: str) -> None:
    properties, _ = members(name)
    for field in struct(INPUTS[name]).fields:
        by_schema = bounds(properties[field.encode_name])
        by_service = SERVICE_RULES.get((name, field.encode_name), {})
        assert {**rules(field.type), **default(field), **by_service} == by_schema, field.name


@pytest.mark.parametrize("name", REPLIES)
def test_reply_has_the_members_of_its_schema(name: str) -> None:
    properties, required = members(name)
    fields = struct(REPLIES[name]).fields
    names = {field.encode_name for field in fields}
    if name == "Problem":  # the rest stands beside them: each code has members of its own
        assert names <= properties.keys()
        assert required - names == {"retryable"}
    else:
        assert names == properties.keys()
        assert {field.encode_name for field in fields if field.required} == required


@pytest.mark.parametrize(("schema", "stem"), of("valid", REPLIES))
def test_reply_that_was_decoded_and_encoded_again_is_valid(schema: str, stem: str) -> None:
    reply = msgspec.json.decode(example_bytes("valid", schema, stem), type=REPLIES[schema])
    again = json.loads(msgspec.json.encode(reply))
    if schema == "Problem":
        again["retryable"] = False
    assert [error.message for error in validator(schema).iter_errors(again)] == []


@pytest.mark.parametrize("name", EVENTS)
def test_event_has_the_members_of_its_schema(name: str) -> None:
    properties, required = members(name)
    fields = struct(EVENTS[name]).fields
    assert {field.encode_name for field in fields} == properties.keys()
    assert {field.encode_name for field in fields if field.required} == required


@pytest.mark.parametrize(("schema", "stem"), of("valid", {"ClientFrame": None, "CmdFrame": None}))
def test_frame_of_a_client_is_decoded(schema: str, stem: str) -> None:
    msgspec.json.decode(example_bytes("valid", schema, stem), type=ClientFrame)


@pytest.mark.parametrize(
    ("union", "frame"), [("ClientFrame", ClientFrame), ("ServerFrame", ServerFrame)]
)
def test_frames_of_the_contract_use_every_member_of_the_envelope(union: str, frame: Any) -> None:
    frames = [one["$ref"].removesuffix(".json") for one in SCHEMAS[union]["oneOf"]]
    used = {member for one in frames for member in members(one)[0]}
    kinds = [struct(one) for one in get_args(frame) or (frame,)]
    assert used == {field.encode_name for kind in kinds for field in kind.fields} | {"type"}


def struct(of: type[Any]) -> types.StructType:
    found = types.type_info(of)
    assert isinstance(found, types.StructType)
    return found


BOUNDS = (
    "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "enum", "const",
    "default",
)  # fmt: skip


def bounds(schema: Json) -> Json:
    """What a schema says in BOUNDS, that of its alternatives merged in."""
    whole = resolved(schema)
    found = {key: whole[key] for key in BOUNDS if key in whole}
    for one in whole.get("anyOf", ()):
        found |= bounds(one)
    if "enum" in found:
        found["enum"] = set(found["enum"])
    if "const" in found:
        found.pop("default", None)
    return found


def rules(type: types.Type) -> Json:
    """The same of a msgspec type."""
    said: Json = {}
    match type:
        case types.UnionType(options):
            return {key: rule for one in options for key, rule in rules(one).items()}
        case types.IntType() | types.FloatType():
            said = {"minimum": type.ge, "maximum": type.le}
        case types.StrType():
            said = {"minLength": type.min_length, "maxLength": type.max_length}
        case types.ListType():
            said = {"minItems": type.min_length or None, "maxItems": type.max_length}
        case types.LiteralType(values):
            said = {"enum": set(values)}
        case types.EnumType(cls):
            said = {"enum": {one.value for one in cls}}
    return {key: value for key, value in said.items() if value is not None}


def default(field: types.Field) -> Json:
    """The default of a member; null and what stands for "left out" are not said by schemas."""
    if field.default_factory is not msgspec.NODEFAULT:
        return {"default": field.default_factory()}
    said = field.default
    silent = said in (msgspec.NODEFAULT, msgspec.UNSET, None) or isinstance(said, msgspec.Raw)
    return {} if silent else {"default": said}
