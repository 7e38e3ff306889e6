"""A valid input of every operation, and JSON as no library would write it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from tests.contract.documents import Json

SCHEMA: Json = {
    "title": "Lunch",
    "type": "object",
    "properties": {"dish": {"enum": ["soup", "pie"]}, "note": {"pattern": "^[a-z]*$"}},
}

# `$name` stands for what is known only while a test runs: see `filled`. Who performs it is beside.
SAMPLES: dict[str, tuple[str, Json]] = {
    "createRequest": ("asker", {
        "to": ["$ana", "$ben"],
        "schema": SCHEMA,
        "uiHints": {"order": ["note", "dish"]},
        "prefill": {"dish": "soup"},
        "deadlineAt": "2041-01-31T12:00:00Z",
        "attentionAt": "2041-01-30T12:00:00+01:00",
        "claimTtl": 60,
        "claimRequired": False,
        "meta": {"flavour": {"of": ["the", "day"]}},
        "subjectKey": "lunch of $ana",
        "tags": ["food", "$handle"],
        "why": "The kitchen asks.",
        "context": "# Today",
        "escalate": [{"after": 60, "to": "$ben"}, {"after": 61, "to": ["$ana"], "replace": True}],
        "noSelfAnswer": True,
        "defaultAnswer": {"dish": "soup"},
        "deadlineNear": 60,
        "filesPolicy": {"maxFiles": 1, "mime": ["image/*"], "extensions": ["png"]},
    }),
    "bulkCreateRequests": ("asker", {"items": [{"entity": {"handle": "$ana"}, "schema": SCHEMA}]}),
    "listRequests": ("asker", {"reached": "none", "tag": "food", "limit": 5}),
    "getRequest": ("asker", {"id": "$request"}),
    "claimRequest": ("ana", {"id": "$request"}),
    "releaseRequest": ("ana", {"id": "$request"}),
    "postResponse": ("ana", {"id": "$request", "payload": {"dish": "pie", "note": "hot"}}),
    "declineRequest": ("ana", {"id": "$request", "reason": "not hungry"}),
    "cancelRequest": ("asker", {"id": "$request", "reason": "too late"}),
    "getResponse": ("asker", {"id": "$request"}),
    "listRequestEvents": ("asker", {"id": "$request", "since": 0, "limit": 10}),
    "getRequestTimeline": ("asker", {"id": "$request", "limit": 10}),
    "getEntityTimeline": ("audit", {"id": "$ana", "limit": 10}),
    "runRetention": ("audit", {"answeredDays": 3650, "unansweredDays": 3650, "dryRun": True}),
    "exportRequests": ("admin", {
        "status": "ANSWERED", "requestor": "$asker", "tag": "food", "limit": 5,
        "createdAfter": "2031-01-31T12:00:00Z", "createdBefore": "2041-01-31T12:00:00Z",
    }),
    "eraseEntity": ("admin", {"id": "$nobody", "dryRun": True}),
    "signFile": ("ana", {
        "requestId": "$request", "name": "a.png", "contentType": "image/png", "size": 8,
    }),
    "getFile": ("asker", {"id": "$request"}),
    "validate": ("asker", {"schema": SCHEMA, "data": {"dish": "pie"}}),
    "createEntity": ("admin", {
        "kind": "user", "handle": "$handle", "aliases": ["mailto:$handle@example.org"],
        "meta": {"team": "kitchen"},
    }),
    "putSchema": ("admin", {"name": "$handle", "schema": SCHEMA}),
    "getSchema": ("asker", {"name": "lunch", "version": 1}),
    "getEntity": ("admin", {"id": "$ana"}),
    "addMember": ("admin", {"id": "$group", "member": "$ana"}),
    "removeMember": ("admin", {"id": "$group", "member": "$ben"}),
    "listQueue": ("ana", {"id": "$ana", "limit": 5}),
    "listInquiries": ("ana", {
        "entityId": "$ana", "status": "PENDING", "requestor": "$asker", "q": "lunch",
        "sortBy": "created", "limit": 5, "section": "pending", "unread": True,
        "includeDeleted": True, "snoozed": False, "flowId": "f", "tag": "food",
        "dueBefore": "2041-01-31T12:00:00Z", "dueAfter": "2031-01-31T12:00:00+05:30",
    }),
    "reassignRequest": ("ana", {"id": "$request", "to": ["$ben"], "reason": "not mine"}),
    "delegateRequest": ("ana", {"id": "$request", "to": "$ben", "reason": "better so"}),
    "putDraft": ("ana", {"id": "$request", "payload": {"dish": ["pie", None]}}),
    "getDraft": ("ana", {"id": "$request"}),
    "deleteDraft": ("ana", {"id": "$request"}),
    "markRead": ("ana", {"id": "$request"}),
    "markUnread": ("ana", {"id": "$request"}),
    "snooze": ("ana", {"id": "$request", "remindAt": "2041-01-31T12:00:00Z"}),
    "wake": ("ana", {"id": "$request"}),
    "deleteInquiry": ("ana", {"id": "$request"}),
    "restoreInquiry": ("ana", {"id": "$request"}),
    "updateInquiries": ("ana", {
        "action": "snooze", "ids": ["$request"], "remindAt": "2041-01-31T12:00:00Z",
    }),
    "createFlow": ("maker", {"kind": "expense", "input": {"n": [1, None]}, "cursor": "there"}),
    "getFlow": ("maker", {"id": "$flow"}),
    "listFlows": ("maker", {"kind": "expense", "status": "RUNNING", "parked": False, "limit": 5}),
    "resumeFlow": ("maker", {"id": "$flow", "event": "paid", "data": {"by": ["bank"]}}),
    "signalFlow": ("maker", {"id": "$flow", "name": "paid", "data": {"by": ["bank"]}}),
    "cancelFlow": ("maker", {"id": "$flow", "reason": "enough"}),
    "retryFlow": ("maker", {"id": "$flow"}),
    "getFlowTimeline": ("maker", {"id": "$flow", "after": 0, "limit": 5}),
    "getFlowHistory": ("maker", {"id": "$flow", "afterStep": 0, "sinceWake": 0}),
    "checkpointFlow": ("maker", {
        "id": "$flow", "revision": 0, "status": "WAITING_INPUT", "wake": 0, "cursor": {"a": "b"},
        "steps": [{"key": "a#1", "digest": "d", "result": {"r": "s"}}], "text": "waits",
        "waits": [{"key": "b#1", "kind": "ask", "digest": "d",
                   "request": {"to": "$ana", "schema": SCHEMA}}],
        "cancels": ["$request"], "compensations": 0,
    }),
    "openSession": ("maker", {"kinds": [{"kind": "$handle", "version": 2}]}),
    "renewSession": ("maker", {"id": "$session"}),
    "closeSession": ("maker", {"id": "$session"}),
    "leaseFlows": ("maker", {"id": "$session", "limit": 5, "held": {"$flow": 1}}),
    "handBack": ("maker", {"id": "$session", "flowIds": ["$flow"]}),
}  # fmt: skip


def filled(value: Any, world: dict[str, str]) -> Any:
    """`value` with every `$name` replaced by what `world` has under it."""
    if isinstance(value, dict):
        return {name: filled(one, world) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, world) for one in value]
    if isinstance(value, str):
        return re.sub(r"\$(\w+)", lambda found: world.get(found[1], found[0]), value)
    return value


def written(value: Any) -> bytes:
    """JSON in which everything beyond ASCII is escaped, lone surrogates too."""
    return json.dumps(value).encode()


def texts(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every text in `value`."""
    if isinstance(value, str):
        yield path
    elif isinstance(value, dict | list):
        members = value.items() if isinstance(value, dict) else enumerate(value)
        for name, one in members:
            yield from texts(one, (*path, name))


def changed(value: Any, path: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """A copy of `value` in which what stands at `path` is changed."""
    if not path:
        return change(value)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], change)
    return copy
