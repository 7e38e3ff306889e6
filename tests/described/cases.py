"""What was made up gives place to what there is, in three of four cases: some end as 404."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

from schemathesis import Case
from schemathesis.core.parameters import ParameterLocation

from tests.described.world import FAR, PICTURE, World

# A wait of its own length, bounded by what a run may take.
WAIT = "wait=1"

# By the beginning of the path; the longest that fits counts.
IDS: dict[str, Callable[[World], str]] = {
    "/v1/requests/{id}": World.request,
    "/v1/inquiries/{id}": World.request,
    "/v1/flows/{id}": World.flow,
    "/v1/workers/{id}": World.session,
    "/v1/entities/{id}": lambda world: world.self_id,
    "/v1/entities/{id}/members": lambda world: world.group,
    "/v1/entities/{id}/erase": World.nobody,
}
# By its name, in the query or anywhere in a body but in JSON that is the client's own.
VALUES: dict[str, Callable[[World], Any]] = {
    "to": lambda world: world.sub,
    "entity": lambda world: {"id": world.self_id},
    "entityId": lambda world: world.self_id,
    "ownerEntity": lambda world: world.self_id,
    "requestor": lambda world: world.sub,
    "requestId": World.request,
    "flowId": lambda world: world.some_flow,
    # The flows that are placed are external: no worker has them.
    "sessionId": lambda world: None,
    "fence": lambda world: None,
    "wake": lambda world: 0,
    "ids": lambda world: [world.request(), world.request()],
    "flowIds": lambda world: [world.some_flow],
    "revision": lambda world: 0,
    "remindAt": lambda world: FAR,
    "deadlineAt": lambda world: FAR,
}
# They are answered with `not_supported`, which would hide whatever stands beside them.
PLANNED = {"draft", "quorum"}
THEIR_OWN = {"schema", "payload", "data", "prefill", "meta", "input", "cursor", "defaultAnswer"}


def place(case: Case[Any], world: World) -> None:
    """Change what was generated as valid; what was made invalid stays so."""
    if not _chosen(case):
        return
    if _is_valid(case, ParameterLocation.PATH):
        _place_in_path(case, world)
    if _is_valid(case, ParameterLocation.QUERY):
        case.query = _placed(case.query, world)
        _place_cursor(case, world)
    if _is_valid(case, ParameterLocation.BODY):
        _place_in_body(case, world)
    if case.operation.path.startswith("/v1/session") and case.method != "GET":
        _place_login(case, world)
    if case.headers.get("Prefer", "").startswith("wait="):
        case.headers["Prefer"] = WAIT


def _chosen(case: Case[Any]) -> bool:
    said = f"{case.path_parameters} {case.query} {case.body!r}"
    return crc32(said.encode(errors="replace")) % 4 != 0


def _is_valid(case: Case[Any], location: ParameterLocation) -> bool:
    component = case.meta.components.get(location) if case.meta else None
    return component is not None and component.mode.is_positive


def _place_in_path(case: Case[Any], world: World) -> None:
    path = case.operation.path
    if path.startswith("/v1/files/"):
        id, case.query = world.file(uploaded=case.method != "PUT")
        case.path_parameters = {"id": id}
        return
    if path == "/v1/schemas/{name}" and case.method == "GET":
        case.path_parameters = {"name": world.schema}
    for beginning in sorted(IDS, key=len):
        if path.startswith(beginning):
            case.path_parameters = {**case.path_parameters, "id": IDS[beginning](world)}
    if "member" in case.path_parameters:
        case.path_parameters = {**case.path_parameters, "member": world.self_id}


def _place_in_body(case: Case[Any], world: World) -> None:
    if case.operation.path.startswith("/v1/files/"):
        case.body = PICTURE
    elif case.operation.path == "/v1/session" and isinstance(case.body, dict) and case.body:
        case.body = {"token": world.token}
    else:
        case.body = _placed(case.body, world)


def _place_login(case: Case[Any], world: World) -> None:
    case.headers.update(world.page)
    cookie = case.meta.components.get(ParameterLocation.COOKIE) if case.meta else None
    if cookie is None or cookie.mode.is_positive:
        case.cookies = {**case.cookies, **world.login()}


def _placed(value: Any, world: World) -> Any:
    if isinstance(value, list):
        return [_placed(one, world) for one in value]
    if isinstance(value, dict):
        return {
            name: _placed_as(name, one, world) for name, one in value.items() if name not in PLANNED
        }
    return value


def _placed_as(name: str, value: Any, world: World) -> Any:
    if name in THEIR_OWN:
        return value
    if name in VALUES:
        found = VALUES[name](world)
        return [found] if name == "to" and isinstance(value, list) else found
    return _placed(value, world)


def _place_cursor(case: Case[Any], world: World) -> None:
    """A cursor is good for the list that gave it out, with the same filters."""
    if "cursor" in case.query:
        rest = {name: one for name, one in case.query.items() if name != "cursor"}
        case.query = {**rest, **world.cursor(case.formatted_path, rest)}
