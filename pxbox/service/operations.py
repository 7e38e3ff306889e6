"""Every operation by name: what it takes, who may call it, what does it.

Both transports serve this one table, REST what is beside it too; `schemas/openapi.json` and
`schemas/asyncapi.json` are held to them by the tests.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from pxbox.domain.access import require_scope
from pxbox.domain.inbox import Touch
from pxbox.model import wire
from pxbox.model.errors import UnknownOperation
from pxbox.model.principal import ADMIN, AUDIT, FLOW, OPERATE, OVERRIDE, REQUEST, RESPOND, Principal
from pxbox.model.wire import flows as flow_wire
from pxbox.service import (
    asked,
    asking,
    checkpoints,
    drafts,
    entities,
    files,
    flows,
    inquiries,
    jobs,
    marks,
    registry,
    requests,
    tickets,
    timelines,
    validate,
    workers,
)
from pxbox.service.core import Call, Outcome, Parts
from pxbox.service.served import Line

Run = Callable[[Parts, Call], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Operation:
    """`scopes`: any one of them admits the caller; none: every valid token does. `large` names
    the members of the input that may be longer than a message: they carry payloads."""

    name: str
    input: type[wire.Input]
    scopes: tuple[str, ...]
    run: Run
    large: tuple[str, ...] = ()


_TABLE = (
    Operation("createRequest", wire.CreateRequest, (REQUEST,), asking.create, ("prefill",)),
    Operation(
        "bulkCreateRequests",
        wire.BulkCreateRequests,
        (REQUEST,),
        asking.create_many,
        ("items",),
    ),
    Operation("listRequests", wire.ListRequests, (REQUEST, ADMIN), asked.requests),
    Operation("getRequest", wire.GetRequest, (REQUEST, RESPOND, ADMIN), requests.read),
    Operation("claimRequest", wire.ClaimRequest, (RESPOND,), requests.claim),
    Operation("releaseRequest", wire.ReleaseRequest, (RESPOND, OVERRIDE), requests.release),
    Operation("postResponse", wire.PostResponse, (RESPOND,), requests.answer, ("payload",)),
    Operation("declineRequest", wire.DeclineRequest, (RESPOND,), requests.decline),
    Operation("cancelRequest", wire.CancelRequest, (REQUEST,), requests.cancel),
    Operation("reassignRequest", wire.ReassignRequest, (RESPOND, OVERRIDE), requests.reassign),
    Operation("delegateRequest", wire.DelegateRequest, (RESPOND, OVERRIDE), requests.delegate),
    Operation("putDraft", wire.PutDraft, (RESPOND,), drafts.put),
    Operation("getDraft", wire.GetDraft, (RESPOND,), drafts.read),
    Operation("deleteDraft", wire.DeleteDraft, (RESPOND,), drafts.delete),
    Operation("getResponse", wire.GetResponse, (REQUEST, RESPOND, ADMIN), requests.read_answer),
    Operation(
        "listRequestEvents",
        wire.ListRequestEvents,
        (REQUEST, RESPOND, ADMIN),
        requests.read_events,
    ),
    Operation(
        "getRequestTimeline",
        wire.GetRequestTimeline,
        (REQUEST, ADMIN, AUDIT),
        timelines.of_request,
    ),
    Operation("getEntityTimeline", wire.GetEntityTimeline, (AUDIT,), timelines.of_entity),
    Operation("listQueue", wire.ListQueue, (RESPOND, ADMIN), inquiries.queue),
    Operation("listInquiries", wire.ListInquiries, (RESPOND, ADMIN), inquiries.inquiries),
    Operation("markRead", wire.MarkRead, (RESPOND,), marks.touching("markRead", Touch.MARK_READ)),
    Operation(
        "markUnread", wire.MarkUnread, (RESPOND,), marks.touching("markUnread", Touch.MARK_UNREAD)
    ),
    Operation("snooze", wire.Snooze, (RESPOND,), marks.snooze),
    Operation("wake", wire.Wake, (RESPOND,), marks.wake),
    Operation(
        "deleteInquiry",
        wire.DeleteInquiry,
        (RESPOND,),
        marks.touching("deleteInquiry", Touch.DELETE),
    ),
    Operation(
        "restoreInquiry",
        wire.RestoreInquiry,
        (RESPOND,),
        marks.touching("restoreInquiry", Touch.RESTORE),
    ),
    Operation("updateInquiries", wire.UpdateInquiries, (RESPOND,), marks.update_many),
    Operation("signFile", wire.SignFile, (RESPOND,), files.sign),
    Operation("getFile", wire.GetFile, (REQUEST, RESPOND, ADMIN), files.read),
    Operation("validate", wire.Validate, (), validate.validate),
    Operation("putSchema", wire.PutSchema, (ADMIN,), registry.put),
    Operation("getSchema", wire.GetSchema, (REQUEST, ADMIN), registry.read),
    Operation("createEntity", wire.CreateEntity, (ADMIN,), entities.create),
    Operation("getEntity", wire.GetEntity, (), entities.read),
    Operation("addMember", wire.Member, (ADMIN,), entities.add_member),
    Operation("removeMember", wire.Member, (ADMIN,), entities.remove_member),
    Operation("eraseEntity", wire.EraseEntity, (ADMIN,), jobs.erase),
    Operation("exportRequests", wire.ExportRequests, (ADMIN,), jobs.export),
    Operation("runRetention", wire.RunRetention, (OPERATE,), jobs.retain),
    Operation("createFlow", flow_wire.CreateFlow, (FLOW,), flows.create),
    Operation("getFlow", flow_wire.GetFlow, (), flows.read),
    Operation("listFlows", flow_wire.ListFlows, (FLOW, ADMIN), flows.list_flows),
    Operation("resumeFlow", flow_wire.ResumeFlow, (FLOW,), flows.resume),
    Operation("signalFlow", flow_wire.SignalFlow, (FLOW,), flows.signal),
    Operation("cancelFlow", flow_wire.CancelFlow, (FLOW,), flows.cancel),
    Operation("retryFlow", flow_wire.RetryFlow, (FLOW,), flows.retry),
    Operation("getFlowTimeline", flow_wire.GetFlowTimeline, (), flows.timeline),
    Operation("getFlowHistory", flow_wire.GetFlowHistory, (), checkpoints.history),
    Operation("checkpointFlow", flow_wire.CheckpointFlow, (), checkpoints.checkpoint),
    Operation("openSession", flow_wire.OpenSession, (), workers.open_session),
    Operation("renewSession", flow_wire.RenewSession, (), workers.renew_session),
    Operation("closeSession", flow_wire.CloseSession, (), workers.close_session),
    Operation("leaseFlows", flow_wire.LeaseFlows, (), workers.lease),
    Operation("handBack", flow_wire.HandBack, (), workers.hand_back),
)

OPERATIONS: dict[str, Operation] = {operation.name: operation for operation in _TABLE}

OVER_REST_ALONE: dict[str, Operation] = {
    "createTicket": Operation("createTicket", wire.CreateTicket, (), tickets.create)
}
"""A WebSocket that is open needs no ticket."""


def find(name: str) -> Operation:
    """The operation of this name, by both transports. Raises UnknownOperation."""
    operation = OPERATIONS.get(name)
    if operation is None:
        raise UnknownOperation(f"there is no operation {name[:64]!r}; see the contract")
    return operation


def find_for_rest(name: str) -> Operation:
    """The same, of all that REST offers."""
    return OVER_REST_ALONE.get(name) or find(name)


def admit(principal: Principal, scopes: tuple[str, ...]) -> None:
    """Raise Forbidden unless the principal has one of these scopes; none admits everybody."""
    require_scope(principal, scopes)


async def perform(
    parts: Parts,
    principal: Principal,
    operation: Operation,
    input: wire.Input,
    idempotency_key: str | None = None,
    line: Line | None = None,
) -> Outcome:
    """Call an operation for a principal, who has come by `line`. Raises PxErrors."""
    require_scope(principal, operation.scopes)
    caller = await parts.directory.caller(principal)
    return await operation.run(parts, Call(caller, input, idempotency_key, line=line))
