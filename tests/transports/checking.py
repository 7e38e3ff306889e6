"""Holds what a running broker sends to the contract: every reply to `openapi.json`, every frame to
`v1/ServerFrame.json`.
"""

from __future__ import annotations

import re
from functools import cache

import httpx
import jsonschema_rs
import msgspec

from pxbox.model.ids import is_ulid
from pxbox.rest.openapi import bundled
from tests.contract.documents import SCHEMAS, Json, read

DOCUMENT: Json = msgspec.json.decode(bundled("openapi.json"))
ERRORS: dict[str, Json] = read("errors.json")
PROBLEM = "application/problem+json"
# What comes only where its occasion is: an idempotency key that was seen, a wait that was made.
OCCASIONAL = {"Idempotent-Replayed", "Preference-Applied"}

# Any addresses do: nothing is fetched. By jsonschema-rs, for thousands of frames are checked.
_DOCUMENT_AT = "file:///openapi"
_SCHEMAS_AT = "file:///v1/"
_REGISTRY = jsonschema_rs.Registry([
    (_DOCUMENT_AT, DOCUMENT),
    *((f"{_SCHEMAS_AT}{name}.json", body) for name, body in SCHEMAS.items()),
])  # fmt: skip
_PATHS = {
    template: re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(template)))
    for template in DOCUMENT["paths"]
}


async def check_reply(response: httpx.Response) -> None:
    """An httpx hook: the reply is one that the contract has for its call."""
    await response.aread()
    check_read(response)


def check_read(response: httpx.Response) -> None:
    """The same of a reply that was read."""
    assert is_ulid(response.headers["x-request-id"])
    call = _call_of(response.request)
    said = None if call is None else _reply(call, str(response.status_code))
    if said is None:
        check_problem(response, _default_codes())
    elif "x-pxbox-codes" in said:
        check_problem(response, set(said["x-pxbox-codes"]))
    else:
        _check_success(response, said)
    if said is not None:
        _check_headers(response, said)


def check_problem(response: httpx.Response, codes: set[str]) -> None:
    """It is a problem document with one of these codes, and has the headers of its status."""
    assert response.headers["content-type"] == PROBLEM, response.text
    document = response.json()
    _validator(f"{_SCHEMAS_AT}Problem.json").validate(document)
    assert document["code"] in codes, document
    facts = ERRORS[document["code"]]
    assert response.status_code == document["status"] == facts["status"]
    assert document["type"] == f"urn:pxbox:problem:{document['code']}"
    assert document["title"] == facts["title"]
    assert document["retryable"] is facts["retryable"]
    assert ("retry-after" in response.headers) is facts["retryable"]
    assert ("www-authenticate" in response.headers) is (response.status_code == 401)


def check_frame(frame: Json) -> None:
    """The broker may send this frame."""
    _validator(f"{_SCHEMAS_AT}ServerFrame.json").validate(frame)
    if frame["type"] == "error":
        facts = ERRORS[frame["data"]["code"]]
        assert frame["data"]["status"] == facts["status"]
        assert frame["data"]["retryable"] is facts["retryable"]


def _call_of(request: httpx.Request) -> Json | None:
    path = request.url.raw_path.decode().partition("?")[0]
    method = "get" if request.method == "HEAD" else request.method.lower()
    # A path of no variables comes before one that has some.
    for template in sorted(_PATHS, key=lambda one: one.count("{")):
        if _PATHS[template].fullmatch(path):
            calls = DOCUMENT["paths"][template]
            call: Json | None = calls.get(request.method.lower()) or calls.get(method)
            return call
    return None


def _reply(call: Json, status: str) -> Json | None:
    reply = call["responses"].get(status)
    return _looked_up(reply) if reply is not None else None


def _looked_up(reply: Json) -> Json:
    if "$ref" not in reply:
        return reply
    name = reply["$ref"].rpartition("/")[2]
    found: Json = DOCUMENT["components"]["responses"][name]
    return found


def _default_codes() -> set[str]:
    any_problem = DOCUMENT["components"]["responses"]["AnyProblem"]
    # Of a path that is none, the broker says what it says of a thing that is none.
    return {*any_problem["x-pxbox-codes"], "not_found"}


def _check_success(response: httpx.Response, said: Json) -> None:
    media = said.get("content", {})
    if not media:
        assert response.content == b""
        assert "content-type" not in response.headers
        return
    (kind,) = media
    assert response.headers["content-type"].partition(";")[0] == kind
    if kind == "application/json" and response.request.method != "HEAD":
        schema = media[kind]["schema"]
        if "$ref" in schema:
            _validator(f"{_DOCUMENT_AT}{schema['$ref']}").validate(response.json())
        else:
            jsonschema_rs.validate(schema, response.json())


@cache
def _validator(reference: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        {"$ref": reference}, registry=_REGISTRY, validate_formats=True, offline=True
    )


def _check_headers(response: httpx.Response, said: Json) -> None:
    for name in said.get("headers", {}).keys() - OCCASIONAL - {"Retry-After"}:
        assert name in response.headers, name
