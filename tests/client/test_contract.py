"""The client's own tables are those of the contract."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import schemas
from pxbox.client.errors import PxBoxError, from_problem
from pxbox.client.events import Event, MembershipEvent, Position, RequestEvent, decode_event
from pxbox.client.frames import Frame, Parts
from pxbox.client.link import MOST_CHANNELS
from pxbox.client.rest import BY_QUERY, ROUTES, call_of
from pxbox.client.retry import MOST_RETRY_AFTER_SECONDS, Backoff, Transient, judge, seconds_of
from tests.contract.documents import examples


def load(name: str) -> Any:
    return msgspec.json.decode(schemas.read(name))


def test_every_operation_has_its_route() -> None:
    promised = {
        operation["operationId"]: (method.upper(), path)
        for path, methods in load("openapi.json")["paths"].items()
        for method, operation in methods.items()
        if path.startswith("/v1/") and "x-pxbox-op" in operation
    }
    # The asker's cancel by its other name.
    del promised["cancelInquiry"]
    assert promised == ROUTES


def test_what_goes_in_the_query_is_what_the_contract_has_there() -> None:
    document = load("openapi.json")
    in_query = set()
    for op, (method, path) in ROUTES.items():
        call = document["paths"][path][method.lower()]
        names = [one["$ref"].rpartition("/")[2] for one in call.get("parameters", ())]
        places = {document["components"]["parameters"][name]["in"] for name in names}
        if method != "GET" and "query" in places:
            in_query.add(op)
            assert "requestBody" not in call
    assert in_query == BY_QUERY


@pytest.mark.parametrize("code", load("errors.json"))
def test_every_error_of_the_contract_is_one_of_ours(code: str) -> None:
    facts = load("errors.json")[code]
    problem = {"code": code, "status": facts["status"], "retryable": facts["retryable"]}
    error = from_problem(problem)
    assert isinstance(error, PxBoxError)
    # A class of its own for all but the broker's own faults, and what no client of ours sends.
    general = type(error) is PxBoxError
    assert general == (facts["status"] in {405, 408, 416, 426, 431, 500}), (code, type(error))


def test_the_channels_of_a_connection_are_as_many_as_allowed() -> None:
    assert load("limits.json")["limits"]["channelsPerConnection"]["value"] == MOST_CHANNELS


def test_addresses_are_encoded_into_paths_and_the_rest_goes_where_it_belongs() -> None:
    call = call_of("getEntity", b'{"id": "mailto:a/b@c.d?x"}', {}, None)
    assert call.path == "/v1/entities/mailto%3Aa%2Fb%40c.d%3Fx"
    call = call_of("listQueue", b'{"id": "a", "limit": 5, "cursor": null}', {}, None)
    assert call.query == {"limit": "5"}
    call = call_of("postResponse", b'{"id": "R", "payload": {"a": 1}}', {}, None)
    assert (call.path, call.content) == ("/v1/requests/R/response", b'{"payload":{"a": 1}}')
    call = call_of("signFile", b'{"requestId": "R", "size": 5}', {}, None)
    assert (call.query, call.content) == ({"requestId": "R", "size": "5"}, None)


@pytest.mark.parametrize(
    ("status", "problem", "transient"),
    [
        (503, {"retryable": True, "code": "overloaded", "status": 503}, True),
        (503, {"status": 503}, True),
        (502, {"status": 502}, True),
        (429, {"retryable": False, "code": "too_many_subscriptions", "status": 429}, False),
        (500, {"retryable": False, "code": "internal", "status": 500}, False),
        (425, {"status": 425}, True),
        (408, {"retryable": True, "code": "request_timeout", "status": 408}, True),
        (409, {"retryable": True, "code": "claimed_by_other", "status": 409}, False),
        (404, {"retryable": True, "code": "not_answered", "status": 404}, False),
        (501, {"retryable": False, "code": "not_supported", "status": 501}, False),
    ],
)
def test_what_is_repeated(status: int, problem: dict[str, object], transient: bool) -> None:
    assert isinstance(judge(status, problem), Transient) is transient


def test_retry_after_is_seconds_or_a_date_and_bounded() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert seconds_of("7") == 7.0
    assert 27 < seconds_of(soon) <= 30
    assert seconds_of("Mon, 01 Jan 2001 00:00:00 GMT") == 0.0
    assert seconds_of("1e9") == MOST_RETRY_AFTER_SECONDS
    for nonsense in (None, "", "soon", "nan"):
        assert seconds_of(nonsense) == 0.0


def test_waits_double_jittered_up_to_a_bound() -> None:
    backoff = Backoff(first=1.0, most=8.0)
    for bound in (1.0, 2.0, 4.0, 8.0, 8.0):
        assert 0.0 <= backoff.next() <= bound
    for _ in range(2_000):
        assert 3.0 <= backoff.next(at_least=3.0) <= 11.0
    backoff.reset()
    assert backoff.next() <= 1.0


EVENT = re.compile(r"(Request|Membership)\w+Event")
SEEN = [(schema, stem) for schema, stem in examples("valid") if EVENT.fullmatch(schema)]


@pytest.mark.parametrize(("schema", "stem"), SEEN)
def test_events_of_the_contract_are_read_as_their_types(schema: str, stem: str) -> None:
    data = schemas.read(f"examples/valid/{schema}/{stem}.json")
    event = decode_event("c", Position("e", 1), data)
    assert type(event) is (MembershipEvent if "Membership" in schema else RequestEvent)
    assert event.data == msgspec.json.decode(data)


def test_an_event_of_an_unknown_type_is_an_event() -> None:
    data = b'{"id":"x.1.0","type":"moon.rose","version":1,"at":"2030-01-01T00:00:00Z","new":1}'
    event = decode_event("c", Position("e", 7), data)
    assert type(event) is Event
    assert (event.seq, event.data["new"]) == (7, 1)


@given(
    st.text(min_size=1).filter(lambda t: not any("\ud800" <= c <= "\udfff" for c in t)),
    st.integers(0),
)
def test_a_position_is_text_and_back(epoch: str, seq: int) -> None:
    position = Position(epoch, seq)
    assert Position.parse(str(position)) == position


@pytest.mark.parametrize("text", ["", "7", ":7", "epoch:", "epoch:x"])
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Position.parse(text)


def part(text: str, number: int, of: int, digest: str, id: str = "1") -> Frame:
    meta = {"part": number, "of": of, "sha256": digest}
    return Frame("response", id=id, data=msgspec.Raw(msgspec.json.encode(text)), meta=meta)


def test_replies_in_parts_are_joined_and_checked() -> None:
    text = '{"a": "ø"}'
    digest = hashlib.sha256(text.encode()).hexdigest()
    parts = Parts()
    assert parts.join(part(text[:4], 1, 2, digest)) is None
    whole = parts.join(part(text[4:], 2, 2, digest))
    assert whole is not None
    assert whole.read() == {"a": "ø"}
    parts.join(part(text[:4], 1, 2, digest))
    with pytest.raises(ValueError, match="hash"):
        parts.join(part("x", 2, 2, digest))
    with pytest.raises(ValueError, match="turn"):
        parts.join(part("x", 2, 2, digest))


def test_importing_the_client_is_light_and_leaves_asyncio_alone() -> None:
    code = (
        "import sys, pxbox.client; "
        "print([m for m in ('httpx', 'httpcore', 'wsproto', 'trio', 'trio_asyncio', 'pydantic', "
        "'asyncpg', 'redis', 'jsonschema_rs') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
