"""What travels of flows: the inputs and replies of their operations, the same over both transports.

The contract in `schemas/` is the authority; the tests hold these types to its examples.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from msgspec import UNSET, Meta, Raw, UnsetType, field

from pxbox.model.flow import FlowStatus, Parked, WaitKind, WaitOutcome
from pxbox.model.wire import Input, PageSize, Reason, Reply

Kind = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")]
Version = Annotated[int, Meta(ge=1, le=1_000_000)]
# A step or wait as its flow names it: name and occurrence.
Key = Annotated[str, Meta(min_length=1, max_length=256)]
Digest = Annotated[str, Meta(max_length=64)]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Ulid = Annotated[str, Meta(pattern=r"^[0-7][0-9A-HJKMNP-TV-Z]{25}\Z")]
Count = Annotated[int, Meta(ge=0, le=9_223_372_036_854_775_807)]


class CreateFlow(Input):
    """Start a flow. With `version` a worker runs its code, from `input`; without, it is external:
    its author keeps its state in `cursor`. `owner_entity` is by default the caller's own."""

    kind: Kind
    owner_entity: str | None = None
    version: Version | None = None
    input: Raw = Raw(b"null")
    cursor: Raw | UnsetType = UNSET


class FlowId(Input):
    id: str


class GetFlow(FlowId):
    pass


class ListFlows(Input):
    kind: Kind | None = None
    status: FlowStatus | None = None
    owner_entity: str | None = None
    parked: bool | None = None
    limit: PageSize = 50
    cursor: str | None = None


class ResumeFlow(FlowId):
    """Tell an external flow that something happened; a flow that workers run gets a signal."""

    event: Name
    data: Raw = Raw(b"null")


class SignalFlow(FlowId):
    name: Name
    data: Raw = Raw(b"null")


class CancelFlow(FlowId):
    reason: Reason | None = None


class RetryFlow(FlowId):
    """Run a parked or a failed flow again, from its last checkpoint."""


class GetFlowTimeline(FlowId):
    after: Count = 0
    limit: PageSize = 100


class GetFlowHistory(FlowId):
    """What a replay needs: the steps after the first `after_step`, and every wait with an outcome
    later than `since_wake`, or all of them where that is not given."""

    after_step: Count = 0
    since_wake: Count | None = None


class NewStep(Input):
    """A step that has run, and its result."""

    key: Key
    digest: Digest
    result: Raw


class NewChild(Input):
    kind: Kind
    version: Version
    input: Raw = Raw(b"null")


class NewWait(Input):
    """A wait to open: `request` is what an ask asks (a `CreateRequest`), `due_at` or `after`
    (seconds) when a timer fires or the wait for a signal expires, `name` the signal's, `child` the
    flow to start."""

    key: Key
    kind: WaitKind
    digest: Digest
    request: Raw | UnsetType = UNSET
    due_at: datetime | None = None
    after: Annotated[float, Meta(ge=0, le=3_153_600_000)] | None = None
    name: Name | None = None
    child: NewChild | None = None


class ParkedReason(Input):
    code: Name
    reason: Annotated[str, Meta(min_length=1, max_length=4096)]


class CheckpointFlow(FlowId):
    """Make durable what a run of the flow has come to, all or nothing.

    `revision` is the flow's as the run knows it. `session_id` and `fence` are given by workers.
    `wake` is the count of wakes whose outcomes it has seen, where `status` says that it waits.
    `cancels` are ids of waits that it needs no more. `version` is that of the code, where the
    cursor was migrated. `restart` begins the flow anew with this input, in place of all else.
    """

    revision: Count
    status: FlowStatus
    session_id: str | None = None
    fence: Count | None = None
    wake: Count | None = None
    steps: Annotated[list[NewStep], Meta(max_length=1000)] = field(default_factory=list)
    waits: Annotated[list[NewWait], Meta(max_length=1000)] = field(default_factory=list)
    cancels: Annotated[list[Ulid], Meta(max_length=1000)] = field(default_factory=list)
    cursor: Raw | UnsetType = UNSET
    text: Annotated[str, Meta(max_length=256)] | None = None
    result: Raw | UnsetType = UNSET
    error: Annotated[str, Meta(max_length=16_384)] | None = None
    parked: ParkedReason | None = None
    compensations: Annotated[int, Meta(ge=0, le=10_000)] = 0
    version: Version | None = None
    restart: Raw | UnsetType = UNSET


class WorkerKind(Input):
    """A kind that a worker runs, up to a version of its code."""

    kind: Kind
    version: Version


class OpenSession(Input):
    kinds: Annotated[list[WorkerKind], Meta(min_length=1, max_length=256)]


class SessionId(Input):
    id: str


class RenewSession(SessionId):
    pass


class CloseSession(SessionId):
    pass


class LeaseFlows(SessionId):
    """Take flows to run. `held`: those in memory, with the count of wakes that each has seen, after
    a lost connection. `wait_seconds`: how long to wait where there is nothing to run."""

    limit: Annotated[int, Meta(ge=1, le=500)] = 100
    wait_seconds: Annotated[int, Meta(ge=0, le=20)] = 0
    held: dict[Ulid, Count] | None = None


class HandBack(SessionId):
    """Give up flows; another worker may have them at once."""

    flow_ids: Annotated[list[Ulid], Meta(max_length=1000)]


class FlowSummary(Reply):
    """A flow as a list shows it."""

    id: str
    kind: str
    version: int | None
    status: FlowStatus
    revision: int
    text: str | None
    parked: Parked | None
    error: str | None
    owner_entity: str | None
    requestor: str
    steps: int
    created_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    closed_by: str | None


class FlowCreated(FlowSummary):
    flow_id: str


class FlowDetail(FlowSummary):
    """`waiting` are the waits without an outcome."""

    input: Raw
    cursor: Raw
    result: Raw
    wake: int
    waiting: list[WaitView]


class WaitView(Reply):
    """A wait and its outcome. `detail` is what came with it; `payload` the answer, if it is one."""

    id: str
    key: str
    kind: WaitKind
    name: str | None
    digest: str | None
    due_at: datetime | None
    opened_at: datetime
    outcome: WaitOutcome | None
    settled_at: datetime | None
    wake: int
    detail: Raw
    payload: Raw


class StepView(Reply):
    n: int
    key: str
    digest: str
    result: Raw
    at: datetime


class FlowHistory(Reply):
    """`more`: there are further steps."""

    flow_id: str
    wake: int
    steps: list[StepView]
    waits: list[WaitView]
    more: bool


class Checkpointed(Reply):
    """`wait_ids` are those of the waits opened, by key. `behind`: outcomes came before the flow
    could wait, it is not waiting, and `outcomes` are they."""

    flow_id: str
    revision: int
    status: FlowStatus
    wake: int
    behind: bool
    wait_ids: dict[str, str]
    outcomes: list[WaitView]


class LeasedFlow(Reply):
    """A flow to run. `resident`: this session had it already; `outcomes` are those it lacks."""

    flow_id: str
    kind: str
    version: int
    status: FlowStatus
    fence: int
    wake: int
    revision: int
    steps: int
    compensations: int
    resident: bool
    input: Raw
    cursor: Raw
    outcomes: list[WaitView]


class FlowsLeased(Reply):
    """`lost` are flows that the session holds no more. `more`: there is more to run."""

    flows: list[LeasedFlow]
    lost: list[str]
    more: bool


class WorkerSession(Reply):
    id: str
    session_id: str
    expires_at: datetime


class HandedBack(Reply):
    flow_ids: list[str]


class FlowPage(Reply):
    items: list[FlowSummary]
    next_cursor: str | None


class TimelineItem(Reply):
    """Something that happened to a flow: a `step`, or a wait that was `opened` or `settled`."""

    at: datetime
    what: str
    key: str
    kind: WaitKind | None
    outcome: WaitOutcome | None
    by: str | None
    request_id: str | None


class FlowTimeline(Reply):
    items: list[TimelineItem]
    more: bool
