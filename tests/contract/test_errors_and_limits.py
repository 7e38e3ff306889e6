"""`errors.json` and `limits.json` against the errors and the bounds of the broker."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from operator import attrgetter
from typing import Any

import pytest

import pxbox.model
from pxbox.edge import refusals
from pxbox.model.errors import PxError
from pxbox.model.file import MEGABYTE
from pxbox.service.problems import problem
from pxbox.settings import Settings
from tests.contract.documents import read, validator

ERRORS = read("errors.json")
LIMITS = read("limits.json")["limits"]
CLOSE_CODES = read("limits.json")["closeCodes"]

RAISED_BY_THE_TRANSPORT_ALONE = {
    "malformed_http": "the edge, before there is a call",
    "head_too_large": "the edge, before there is a call",
    "upgrade_required": "the edge, before there is a connection",
    "method_not_allowed": "the routes, which alone know methods",
}


def error_classes() -> Iterator[type[PxError]]:
    for module in pkgutil.iter_modules(pxbox.model.__path__, "pxbox.model."):
        importlib.import_module(module.name)
    waiting = [PxError]
    while waiting:
        one = waiting.pop()
        waiting.extend(one.__subclasses__())
        if hasattr(one, "code"):
            yield one


def test_every_code_is_in_the_contract_and_every_code_of_the_contract_is_raised() -> None:
    codes = {one.code for one in error_classes()}
    assert codes | RAISED_BY_THE_TRANSPORT_ALONE.keys() == ERRORS.keys()


@pytest.mark.parametrize("code", ERRORS)
def test_error_says_all_that_a_client_needs(code: str) -> None:
    one = ERRORS[code]
    assert one.keys() - {"close"} == {"status", "retryable", "title", "description"}
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", code)
    assert HTTPStatus(one["status"]) >= HTTPStatus.BAD_REQUEST
    assert one["description"].endswith(".")
    assert not one["title"].endswith(".")


def test_titles_tell_codes_apart() -> None:
    assert len({one["title"] for one in ERRORS.values()}) == len(ERRORS)


def test_temporary_failures_are_retryable() -> None:
    assert all(one["retryable"] for one in ERRORS.values() if one["status"] == 503)
    assert not any(one["retryable"] for one in ERRORS.values() if one["status"] in {400, 422, 501})


@pytest.mark.parametrize("one", list(error_classes()), ids=attrgetter("code"))
def test_problem_document_of_an_error_is_valid(one: type[PxError]) -> None:
    error = one.__new__(one)
    PxError.__init__(error, "what happened")
    document = problem(error)
    assert [found.message for found in validator("Problem").iter_errors(document)] == []
    assert document["status"] == ERRORS[one.code]["status"]


@pytest.mark.parametrize(
    "refuse",
    [
        refusals.malformed,
        refusals.not_supported,
        refusals.head_too_large,
        refusals.too_slow,
        lambda detail: refusals.body_too_large(len(detail)),
        lambda _: refusals.too_many_connections(),
    ],
)
def test_what_the_edge_refuses_has_the_status_of_its_code(
    refuse: Callable[[str], refusals.Refusal],
) -> None:
    refusal = refuse("what happened")
    assert ERRORS[refusal.code]["status"] == refusal.status


def test_errors_close_with_codes_that_are_listed() -> None:
    listed = {one["code"] for one in CLOSE_CODES.values()}
    assert {one["close"] for one in ERRORS.values() if "close" in one} <= listed


def test_close_codes_say_by_their_range_whether_to_reconnect() -> None:
    ours = [one for one in CLOSE_CODES.values() if one["code"] >= 4000]
    assert ours
    for one in ours:
        assert one["reconnect"] is (one["code"] < 4500)
        assert one["code"] < 5000
    assert len({one["code"] for one in CLOSE_CODES.values()}) == len(CLOSE_CODES)


@pytest.mark.parametrize(
    ("limit", "module", "path"),
    [
        ("messageBytes", "pxbox.settings", "Settings().max_body_bytes"),
        ("payloadBytes", "pxbox.settings", "Settings().max_payload_bytes"),
        ("fileNameCharacters", "pxbox.domain.files", "MOST_NAME"),
        ("uploadSeconds", "pxbox.service.files", "UPLOAD_SECONDS"),
        ("resumeSeconds", "pxbox.service.files", "RESUME_SECONDS"),
        ("uploadSilenceSeconds", "pxbox.rest.resumable", "SILENCE_SECONDS"),
        ("downloadSeconds", "pxbox.service.requests", "DOWNLOAD_SECONDS"),
        ("partsSeconds", "pxbox.settings", "Settings().parts_seconds"),
        ("partsPerPayload", "pxbox.ws.parts", "MOST_PARTS"),
        ("connections", "pxbox.settings", "Settings().max_connections"),
        ("connectionsPerClient", "pxbox.settings", "Settings().max_connections_per_client"),
        ("schemaBytes", "pxbox.domain.schema_document", "MAX_SCHEMA_BYTES"),
        ("schemaDepth", "pxbox.domain.schema_document", "MAX_SCHEMA_DEPTH"),
        ("refDocuments", "pxbox.domain.bundle", "MOST_DOCUMENTS"),
        ("refHops", "pxbox.domain.bundle", "MOST_HOPS"),
        ("refBytes", "pxbox.references.fetcher", "MOST_BYTES"),
        ("documentDepth", "pxbox.model.decoding", "MAX_DEPTH"),
        ("addressees", "pxbox.service.requests", "MOST_ADDRESSEES"),
        ("commandsInFlight", "pxbox.ws.session", "COMMANDS_IN_FLIGHT"),
        ("channelsPerConnection", "pxbox.ws.subscriptions", "MOST_CHANNELS"),
        ("unreadableFrames", "pxbox.ws.session", "MOST_BAD_FRAMES"),
        ("heartbeatSeconds", "pxbox.settings", "Settings().heartbeat_seconds"),
        ("answerSeconds", "pxbox.settings", "Settings().answer_seconds"),
        ("eventDays", "pxbox.settings", "Settings().event_days"),
        ("lastEvents", "pxbox.ws.messages", "MOST_LAST"),
        ("sessionNameCharacters", "pxbox.ws.announced", "MOST_NAME"),
        ("waitSeconds", "pxbox.rest.call", "MOST_WAIT_SECONDS"),
        ("tokenBytes", "pxbox.auth.tokens", "MAX_TOKEN_BYTES"),
        ("tokenLeewaySeconds", "pxbox.auth.tokens", "LEEWAY_SECONDS"),
        ("tokenNoticeSeconds", "pxbox.settings", "Settings().token_notice_seconds"),
        ("tokenGraceSeconds", "pxbox.settings", "Settings().token_grace_seconds"),
        ("ticketSeconds", "pxbox.service.tickets", "TICKET_SECONDS"),
        ("flowInputBytes", "pxbox.service.flows", "MOST_INPUT_BYTES"),
        ("flowCursorBytes", "pxbox.service.flows", "MOST_CURSOR_BYTES"),
        ("flowSignals", "pxbox.domain.flow", "MOST_SIGNALS"),
        ("historySteps", "pxbox.postgres.flow_views", "MOST_STEPS"),
        ("workerSessionSeconds", "pxbox.service.workers", "SESSION_SECONDS"),
        ("loginSeconds", "pxbox.service.logins", "LOGIN_SECONDS"),
        ("loginMostSeconds", "pxbox.service.logins", "LOGIN_MOST_SECONDS"),
    ],
)
def test_broker_has_the_limits_of_the_contract(limit: str, module: str, path: str) -> None:
    assert bound(module, path) == LIMITS[limit]["value"]


def test_largest_file_is_that_of_the_contract() -> None:
    assert Settings().max_file_mb * MEGABYTE == LIMITS["fileBytes"]["value"]


def bound(module: str, path: str) -> Any:
    name, _, attribute = path.partition("().")
    found = getattr(importlib.import_module(module), name)
    return getattr(found(), attribute) if attribute else found


def test_schemas_have_the_limits_of_the_contract() -> None:
    member = read("v1/CreateRequest.json")["properties"]
    assert member["claimTtl"]["maximum"] == LIMITS["claimSeconds"]["value"]
    assert member["to"]["anyOf"][1]["maxItems"] == LIMITS["addressees"]["value"]
    items = read("v1/BulkCreateRequests.json")["properties"]["items"]
    assert items["maxItems"] == LIMITS["bulkItems"]["value"]
    assert read("v1/PageSize.json")["maximum"] == LIMITS["pageItems"]["value"]
    found = read("v1/Problem.json")["properties"]["errors"]
    assert found["maxItems"] == LIMITS["errorsReturned"]["value"]
    checkpoint = read("v1/CheckpointFlow.json")["properties"]
    for member in ("steps", "waits", "cancels"):
        assert checkpoint[member]["maxItems"] == LIMITS["checkpointItems"]["value"]
    lease = read("v1/LeaseFlows.json")["properties"]
    assert lease["limit"]["maximum"] == LIMITS["leasedFlows"]["value"]
    assert lease["waitSeconds"]["maximum"] == LIMITS["leaseWaitSeconds"]["value"]
    kinds = read("v1/OpenSession.json")["properties"]["kinds"]
    assert kinds["maxItems"] == LIMITS["workerKinds"]["value"]
    key = read("v1/IdempotencyKey.json")["pattern"]
    assert f",{LIMITS['idempotencyKeyCharacters']['value']}}}" in key
