"""Every operation does the same over both transports: the same replies, the same problems.

One list of steps is carried out twice, over REST and over WebSocket, each on things of its own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import msgspec

from pxbox.service import operations
from tests.contract.documents import Json
from tests.transports.clients import (
    CITY,
    Outcome,
    Party,
    over_rest,
    over_websocket,
    unique,
)

Make = Callable[..., Party]
Perform = Callable[[str, str, Json, str | None], Awaitable[Outcome]]

NOBODY = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
NO_ENTITY = "00000000-0000-4000-8000-000000000000"
DRAFT4 = "http://json-schema.org/draft-04/schema#"

# A flow that workers run; one that is external; and what nobody may do to either.
FLOW_STEPS: list[tuple[str, str, Any, str | None]] = [
    ("maker", "createFlow#20", {"kind": "$kind", "version": 2, "input": {"n": 1}}, None),
    ("maker", "createFlow#20", {"kind": "$kind", "version": 2, "input": {"n": 1}}, None),
    ("maker", "createFlow#20", {"kind": "$kind"}, "idempotency_key_reused"),
    ("maker", "createFlow", {"kind": "two words"}, "invalid_request"),
    ("maker", "createFlow", {"kind": "$kind", "ownerEntity": "$ana"}, "not_found"),
    ("maker", "createFlow", {"kind": "$kind", "version": 1, "cursor": 1}, "invalid_request"),
    ("asker", "createFlow", {"kind": "$kind"}, "forbidden"),
    ("hands", "openSession", {"kinds": [{"kind": "$kind", "version": 2}]}, None),
    ("maker", "openSession", {"kinds": [{"kind": "$kind", "version": 2}]}, "forbidden"),
    ("hands", "openSession", {"kinds": []}, "invalid_request"),
    ("hands", "renewSession", {"id": "$openSession"}, None),
    ("maker", "renewSession", {"id": "$openSession"}, "stale_checkpoint"),
    ("hands", "leaseFlows", {"id": "$openSession", "limit": 1}, None),
    ("hands", "leaseFlows", {"id": "$openSession", "held": {NOBODY: 3}}, None),
    ("hands", "leaseFlows", {"id": NOBODY}, "stale_checkpoint"),
    ("hands", "leaseFlows", {"id": "$openSession", "limit": 501}, "invalid_request"),
    ("hands", "checkpointFlow", {
        "id": "$createFlow", "sessionId": "$openSession", "fence": 1, "revision": 0, "wake": 0,
        "status": "SUSPENDED", "steps": [{"key": "a#1", "digest": "d", "result": [1, None]}],
        "waits": [{"key": "go#1", "kind": "signal", "name": "go", "digest": ""},
                  {"key": "nap#1", "kind": "timer", "after": 3600, "digest": ""}], "text": "naps",
    }, None),
    ("hands", "checkpointFlow", {
        "id": "$createFlow", "sessionId": "$openSession", "fence": 2, "revision": 1,
        "status": "RUNNING",
    }, "stale_checkpoint"),
    ("hands", "checkpointFlow", {
        "id": "$createFlow", "sessionId": "$openSession", "fence": 1, "revision": 1,
        "status": "RUNNING", "waits": [{"key": "ask#1", "kind": "ask", "digest": "",
                                        "request": {"to": "nobody", "schema": True}}],
    }, "unknown_addressee"),
    ("maker", "signalFlow#21", {"id": "$createFlow", "name": "go", "data": {"x": 1}}, None),
    ("maker", "signalFlow#21", {"id": "$createFlow", "name": "go", "data": {"x": 1}}, None),
    ("hands", "signalFlow", {"id": "$createFlow", "name": "go"}, "forbidden"),
    ("maker", "signalFlow", {"id": "$createFlow", "name": ""}, "invalid_request"),
    ("hands", "getFlow", {"id": "$createFlow"}, None),
    ("asker", "getFlow", {"id": "$createFlow"}, "not_found"),
    ("hands", "getFlowHistory", {"id": "$createFlow", "sinceWake": 0}, None),
    ("ana", "getFlowHistory", {"id": "$createFlow"}, "not_found"),
    ("maker", "getFlowTimeline", {"id": "$createFlow", "limit": 2}, None),
    ("ana", "getFlowTimeline", {"id": "$createFlow"}, "not_found"),
    ("hands", "handBack", {"id": "$openSession", "flowIds": ["$createFlow"]}, None),
    ("hands", "handBack", {"id": NOBODY, "flowIds": []}, "stale_checkpoint"),
    ("maker", "retryFlow", {"id": "$createFlow"}, None),
    ("ana", "retryFlow", {"id": "$createFlow"}, "forbidden"),
    ("maker", "cancelFlow#22", {"id": "$createFlow", "reason": "enough"}, None),
    ("maker", "cancelFlow#22", {"id": "$createFlow", "reason": "enough"}, None),
    ("maker", "cancelFlow", {"id": NOBODY}, "not_found"),
    ("maker", "retryFlow", {"id": "$createFlow"}, "wrong_status"),
    ("hands", "closeSession", {"id": "$openSession"}, None),
    ("hands", "closeSession", {"id": "$openSession"}, "stale_checkpoint"),
    ("maker", "createFlow", {"kind": "$kind", "cursor": {"line": 0}}, None),
    ("maker", "checkpointFlow", {"id": "$createFlow", "revision": 0, "status": "WAITING_INPUT",
                                 "wake": 0, "cursor": {"line": 9}}, None),
    ("maker", "checkpointFlow", {"id": "$createFlow", "revision": 0, "status": "COMPLETED"},
     "stale_checkpoint"),
    ("maker", "checkpointFlow", {"id": "$createFlow", "revision": 1, "status": "RUNNING",
                                 "fence": 1}, "invalid_request"),
    ("maker", "resumeFlow#23", {"id": "$createFlow", "event": "paid", "data": {"n": 1}}, None),
    ("maker", "resumeFlow#23", {"id": "$createFlow", "event": "paid", "data": {"n": 1}}, None),
    ("maker", "resumeFlow", {"id": "$createFlow", "event": "paid", "data": {"n": 1}}, None),
    ("hands", "resumeFlow", {"id": "$createFlow", "event": "paid"}, "forbidden"),
    ("maker", "getFlow", {"id": "$createFlow"}, None),
    ("maker", "checkpointFlow", {"id": "$createFlow", "revision": 1, "status": "RUNNING",
                                 "parked": {"code": "odd", "reason": "look at it"}}, None),
    ("maker", "checkpointFlow", {"id": "$createFlow", "revision": 2, "status": "COMPLETED"},
     "flow_parked"),
    ("maker", "listFlows", {"kind": "$kind", "parked": True, "limit": 1}, None),
    ("maker", "listFlows", {"kind": "$kind", "limit": 1}, None),
    ("maker", "listFlows", {"status": "CANCELLED", "kind": "$kind"}, None),
    ("maker", "listFlows", {"cursor": "garbage"}, "invalid_cursor"),
    ("asker", "listFlows", {}, "forbidden"),
]  # fmt: skip

# Who, what, with what, and the code of the problem that is to come; `$name` stands for what an
# earlier step made. An idempotency key is the part of the name after `#`.
STEPS: list[tuple[str, str, Any, str | None]] = [
    ("admin", "createEntity", {"kind": "group", "handle": "$handle", "meta": {"n": 1}}, None),
    ("admin", "createEntity", {"kind": "group", "handle": "$handle"}, "address_taken"),
    ("admin", "createEntity", {"kind": "robot", "handle": "x"}, "invalid_request"),
    ("ana", "createEntity", {"kind": "user", "handle": "x"}, "forbidden"),
    ("admin", "getEntity", {"id": "group:$handle"}, None),
    ("ana", "getEntity", {"id": "$createEntity"}, "not_found"),
    ("admin", "addMember", {"id": "$createEntity", "member": "$ana"}, None),
    ("admin", "addMember", {"id": "$createEntity", "member": "$ana"}, None),
    ("admin", "addMember", {"id": "$createEntity", "member": NO_ENTITY}, "not_found"),
    ("admin", "addMember", {"id": "$ana", "member": "$ben"}, "invalid_request"),
    ("ben", "addMember", {"id": "$createEntity", "member": "$ben"}, "forbidden"),
    ("admin", "removeMember", {"id": "$createEntity", "member": "$ana"}, None),
    ("asker", "createRequest#1", {"to": "$ana", "schema": CITY, "meta": {"a": 1}}, None),
    ("asker", "createRequest#1", {"to": "$ana", "schema": CITY, "meta": {"a": 1}}, None),
    ("asker", "createRequest#1", {"to": "$ana", "schema": CITY}, "idempotency_key_reused"),
    ("asker", "createRequest#", {"to": "$ana", "schema": CITY}, "invalid_request"),
    ("asker", "createRequest", {"to": "nobody", "schema": CITY}, "unknown_addressee"),
    ("asker", "createRequest", {"to": "$ana"}, "invalid_request"),
    ("asker", "createRequest", {"to": "$ana", "schema": CITY, "x": 1}, "invalid_request"),
    ("asker", "createRequest", {"to": "$ana", "schema": CITY, "why": 1}, "invalid_request"),
    ("asker", "createRequest", {"to": "$ana", "schema": CITY, "quorum": 2}, "not_supported"),
    ("asker", "createRequest", {"to": "$ana", "schema": CITY, "defaultAnswer": {}},
     "invalid_request"),
    ("asker", "createRequest", {"to": "$ana", "schema": CITY, "defaultAnswer": {},
                                "deadlineAt": "2990-01-01T00:00:00Z"}, "invalid_answer"),
    ("asker", "createRequest", {"to": "$ana", "schema": CITY,
                                "escalate": [{"after": 1, "to": "nobody"}]}, "unknown_addressee"),
    ("asker", "createRequest", {"to": "$ana", "schema": {"type": 5}}, "invalid_schema"),
    ("asker", "createRequest", {"to": "$ana", "schema": {"$schema": DRAFT4}},
     "unsupported_dialect"),
    ("asker", "createRequest", {"to": "$ana", "schema": CITY, "deadlineAt": "2020-01-01T00:00:00Z"},
     "invalid_time"),
    ("asker", "createRequest", {"to": "$ana\0", "schema": CITY}, "unsupported_text"),
    ("asker", "createRequest", {"to": "$ana", "schema": CITY, "claimTtl": 2**70},
     "number_out_of_range"),
    ("ana", "createRequest", {"to": "$ana", "schema": CITY}, "forbidden"),
    ("asker", "bulkCreateRequests", {"items": [{"to": "$ana", "schema": CITY}, {}, 5]}, None),
    ("asker", "bulkCreateRequests", {"items": []}, "invalid_request"),
    ("ana", "getRequest", {"id": "$createRequest"}, None),
    ("ben", "getRequest", {"id": "$createRequest"}, "not_found"),
    ("ana", "getRequest", {"id": NOBODY}, "not_found"),
    ("ana", "listQueue", {"id": "$ana"}, None),
    ("ana", "listQueue", {"id": "$ben"}, "not_found"),
    ("ana", "listInquiries", {"limit": 1, "sortBy": "created"}, None),
    ("ana", "listInquiries", {"status": "PENDING", "q": "where"}, None),
    ("ana", "listInquiries", {"limit": 0}, "invalid_request"),
    ("ana", "listInquiries", {"limit": 201}, "invalid_request"),
    ("ana", "listInquiries", {"cursor": "garbage"}, "invalid_cursor"),
    ("ana", "listInquiries", {"sortBy": "title"}, "invalid_request"),
    ("ana", "listInquiries", {"unread": True, "includeDeleted": True, "section": "pending"}, None),
    ("ana", "listInquiries", {"snoozed": True, "tag": "t", "flowId": "f"}, None),
    ("ana", "listInquiries", {"dueBefore": "2990-01-01T00:00:00"}, "invalid_time"),
    ("ana", "listInquiries", {"unread": "maybe"}, "invalid_request"),
    ("ana", "markRead#7", {"id": "$createRequest"}, None),
    ("ana", "markRead#7", {"id": "$createRequest"}, None),
    ("ben", "markRead", {"id": "$createRequest"}, "not_found"),
    ("ana", "markUnread", {"id": "$createRequest"}, None),
    ("asker", "markUnread", {"id": "$createRequest"}, "forbidden"),
    ("ana", "snooze#8", {"id": "$createRequest", "remindAt": "2980-01-01T00:00:00+02:00"}, None),
    ("ana", "snooze#8", {"id": "$createRequest", "remindAt": "2980-01-01T00:00:00+02:00"}, None),
    ("ana", "snooze", {"id": "$createRequest", "remindAt": "2020-01-01T00:00:00Z"},
     "invalid_time"),
    ("ana", "snooze", {"id": "$createRequest"}, "invalid_request"),
    ("ana", "wake", {"id": "$createRequest"}, None),
    ("ben", "wake", {"id": "$createRequest"}, "not_found"),
    ("ana", "deleteInquiry", {"id": "$createRequest"}, None),
    ("ben", "deleteInquiry", {"id": "$createRequest"}, "not_found"),
    ("ana", "restoreInquiry", {"id": "$createRequest"}, None),
    ("ben", "restoreInquiry", {"id": "$createRequest"}, "not_found"),
    ("ana", "updateInquiries#9", {"action": "markRead", "ids": ["$createRequest", NOBODY]}, None),
    ("ana", "updateInquiries#9", {"action": "markRead", "ids": ["$createRequest", NOBODY]}, None),
    ("ana", "updateInquiries", {"action": "snooze", "ids": ["$createRequest"]},
     "invalid_request"),
    ("ana", "getDraft", {"id": "$createRequest"}, "not_found"),
    ("ana", "putDraft", {"id": "$createRequest", "payload": [1, None]}, None),
    ("ben", "putDraft", {"id": "$createRequest", "payload": 1}, "not_found"),
    ("ana", "getDraft", {"id": "$createRequest"}, None),
    ("ana", "deleteDraft", {"id": "$createRequest"}, None),
    ("ben", "deleteDraft", {"id": "$createRequest"}, "not_found"),
    ("ana", "reassignRequest", {"id": "$createRequest", "to": "$ben"}, "claim_required"),
    ("ana", "delegateRequest", {"id": "$createRequest", "to": "$ben"}, "claim_required"),
    ("ana", "delegateRequest", {"id": "$createRequest", "to": "nobody"}, "unknown_addressee"),
    ("asker", "listInquiries", {}, "forbidden"),
    ("asker", "getResponse", {"id": "$createRequest"}, "not_answered"),
    ("ana", "releaseRequest", {"id": "$createRequest"}, "wrong_status"),
    ("ana", "claimRequest#2", {"id": "$createRequest"}, None),
    ("ana", "claimRequest#2", {"id": "$createRequest"}, None),
    ("ben", "claimRequest", {"id": "$createRequest"}, "not_found"),
    ("ana", "postResponse", {"id": "$createRequest", "payload": {}}, "invalid_answer"),
    ("ana", "postResponse", {"id": "$createRequest"}, "invalid_request"),
    ("ana", "postResponse", {"id": "$createRequest", "payload": 1, "draft": True},
     "not_supported"),
    ("ana", "releaseRequest", {"id": "$createRequest"}, None),
    ("ana", "postResponse#3", {"id": "$createRequest", "payload": {"city": "Aix"}}, None),
    ("ana", "postResponse#3", {"id": "$createRequest", "payload": {"city": "Aix"}}, None),
    ("ana", "postResponse", {"id": "$createRequest", "payload": {"city": "Aix"}}, None),
    ("ana", "postResponse", {"id": "$createRequest", "payload": {"city": "B"}}, "wrong_status"),
    ("ana", "claimRequest", {"id": "$createRequest"}, "wrong_status"),
    ("asker", "getResponse", {"id": "$createRequest"}, None),
    ("asker", "listRequestEvents", {"id": "$createRequest"}, None),
    ("asker", "listRequestEvents", {"id": "$createRequest", "since": 2, "limit": 1}, None),
    ("asker", "listRequestEvents", {"id": "$createRequest", "since": -1}, "invalid_request"),
    ("asker", "listRequestEvents", {"id": "$createRequest", "since": 2**64 - 1}, None),
    ("asker", "createRequest", {"to": "$ana", "schema": True, "subjectKey": "s"}, None),
    ("asker", "createRequest", {"to": "$ana", "schema": True, "subjectKey": "s"}, None),
    ("ana", "claimRequest", {"id": "$createRequest"}, None),
    ("ana", "delegateRequest#10", {"id": "$createRequest", "to": "$ben", "reason": "you"}, None),
    ("ana", "delegateRequest#10", {"id": "$createRequest", "to": "$ben", "reason": "you"}, None),
    ("ben", "reassignRequest#11", {"id": "$createRequest", "to": ["$ana"]}, None),
    ("ben", "reassignRequest#11", {"id": "$createRequest", "to": ["$ana"]}, None),
    ("asker", "createRequest", {"to": ["$ana", "$ben"], "schema": True}, None),
    ("ben", "claimRequest", {"id": "$createRequest"}, None),
    ("ana", "claimRequest", {"id": "$createRequest"}, "claimed_by_other"),
    ("ana", "declineRequest", {"id": "$createRequest", "reason": "x" * 4097}, "invalid_request"),
    ("ana", "declineRequest#4", {"id": "$createRequest", "reason": "no"}, None),
    ("ana", "declineRequest#4", {"id": "$createRequest", "reason": "no"}, None),
    ("asker", "cancelRequest#5", {"id": "$createRequest", "reason": "solved"}, None),
    ("asker", "cancelRequest#5", {"id": "$createRequest", "reason": "solved"}, None),
    ("ana", "cancelRequest", {"id": "$createRequest"}, "forbidden"),
    ("asker", "getResponse", {"id": "$createRequest"}, "no_response"),
    ("asker", "validate", {"schema": CITY, "data": {"city": ""}}, None),
    ("asker", "validate", {"schema": {"pattern": "(?=a)"}}, "unsupported_pattern"),
    ("asker", "validate", {}, "invalid_request"),
    ("asker", "listRequests", {"limit": 2}, None),
    ("ana", "listRequests", {}, "forbidden"),
    ("asker", "getRequestTimeline", {"id": "$createRequest"}, None),
    ("asker", "getRequestTimeline", {"id": NOBODY}, "not_found"),
    ("auditor", "getEntityTimeline", {"id": "$ana", "limit": 1}, None),
    ("ana", "getEntityTimeline", {"id": "$ana"}, "forbidden"),
    ("admin", "exportRequests", {"requestor": "nobody"}, None),
    ("asker", "exportRequests", {}, "forbidden"),
    ("auditor", "runRetention", {"answeredDays": 3650, "dryRun": True}, None),
    ("asker", "runRetention", {"answeredDays": 3650}, "forbidden"),
    ("admin", "eraseEntity", {"id": "$ben", "dryRun": True}, None),
    ("asker", "eraseEntity", {"id": "$ben"}, "forbidden"),
    ("admin", "putSchema", {"name": "$handle", "schema": CITY}, None),
    ("asker", "putSchema", {"name": "$handle", "schema": CITY}, "forbidden"),
    ("asker", "getSchema", {"name": "$handle"}, None),
    ("asker", "getSchema", {"name": "nothing-of-this-name"}, "not_found"),
    ("asker", "createRequest", {"to": "$ana", "schema": True, "filesPolicy": {}}, None),
    ("ana", "signFile",
     {"requestId": "$createRequest", "name": "a", "contentType": "a/b", "size": 1}, None),
    ("ana", "getFile", {"id": NOBODY}, "not_found"),
    ("auditor", "getFile", {"id": NOBODY}, "forbidden"),
    *FLOW_STEPS,
    ("ana", "signFile", {"requestId": NOBODY, "name": "a", "contentType": "a/b", "size": 1},
     "not_found"),
    ("asker", "signFile", {"requestId": NOBODY, "name": "a", "contentType": "a/b", "size": 1},
     "forbidden"),
]  # fmt: skip


def filled(value: Any, world: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: filled(one, world) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, world) for one in value]
    if isinstance(value, str):
        return re.sub(
            r"\$(ana|ben|handle|kind|createEntity|createRequest|createFlow|openSession)",
            lambda m: world[m[1]],
            value,
        )
    return value


def leveled(body: Any) -> Any:
    """A reply without what differs between any two: ids, names, times."""
    text = msgspec.json.encode(body).decode()
    for pattern, word in (
        (r"[0-7][0-9A-HJKMNP-TV-Z]{25}", "<ulid>"),
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<uuid>"),
        (r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>"),
        (r"-[0-9a-f]{12}\b", "<name>"),
        (r'(?<="nextCursor":")[^"]+', "<cursor>"),
        (r'(?<="tokenId":")[^"]+', "<token>"),
        (r'(?<="(?:put|get)Url":")[^"]+|(?<="resumeUrl":")[^"]+', "<url>"),
        # How far it got is known a moment later.
        (r'(?<="delivery":)\{[^}]*\}', '"<delivery>"'),
        (r'(?<="tokenId":")[^"]+', "<token>"),
        # How far it got is known a moment later.
        (r'(?<="delivery":)\{[^}]*\}', '"<delivery>"'),
    ):
        text = re.sub(pattern, word, text)
    return msgspec.json.decode(text)


async def carried_out(perform: Perform, world: dict[str, str]) -> list[tuple[str, Any, bool]]:
    told = []
    for who, named, data, code in STEPS:
        op, marked, key = named.partition("#")
        outcome = await perform(who, op, filled(data, world), key if marked else None)
        assert outcome.code == code, (who, named, data, outcome.body)
        if outcome.code is None and op in (
            "createEntity",
            "createRequest",
            "createFlow",
            "openSession",
        ):
            world[op] = outcome.body["id"]
        told.append((named, leveled(outcome.body), outcome.replayed))
    return told


async def people(make: Make) -> tuple[dict[str, Party], dict[str, str]]:
    admin = make(unique("admin"), "admin")
    everybody = {"admin": admin, "asker": make(unique("asker"), "request")}
    world = {"handle": unique("group"), "kind": unique("kind")}
    everybody["auditor"] = make(unique("auditor"), "audit")
    everybody["auditor"] = make(unique("auditor"), "audit operate")
    everybody["maker"] = make(unique("maker"), "flow request")
    everybody["hands"] = make(unique("hands"), f"worker:{world['kind']}")
    for name in ("ana", "ben"):
        everybody[name] = make(unique(name), "respond")
        world[name] = (await admin.entity("user", everybody[name].sub))["id"]
    return everybody, world


async def test_both_transports_do_and_say_the_same(party: Make) -> None:
    by_rest, rest_world = await people(party)
    over_http = await carried_out(
        lambda who, op, data, key: over_rest(by_rest[who].rest, op, data, key), rest_world
    )
    by_socket, socket_world = await people(party)
    async with AsyncExitStack() as stack:
        sockets = {
            name: await stack.enter_async_context(one.socket()) for name, one in by_socket.items()
        }
        over_ws = await carried_out(
            lambda who, op, data, key: over_websocket(sockets[who], op, data, key), socket_world
        )
    for first, second in zip(over_http, over_ws, strict=True):
        assert first == second


def test_the_steps_try_every_operation_both_ways() -> None:
    done = {named.partition("#")[0] for _, named, _, code in STEPS if code is None}
    refused = {named.partition("#")[0] for _, named, _, code in STEPS if code is not None}
    # There is a file only after an upload, which is no operation: see test_rest_files.py.
    assert done | {"getFile"} == operations.OPERATIONS.keys()
    # Who may remove a member is who may add one: one function.
    assert refused | {"removeMember"} == operations.OPERATIONS.keys()
