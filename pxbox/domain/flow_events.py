"""Which event a change of a flow becomes on the wire, and on which channels (schemas/README.md)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from pxbox.domain.routing import entity_channel, flow_channel
from pxbox.model.flow import Flow

_encode = msgspec.json.Encoder().encode


class FlowData(msgspec.Struct, rename="camel"):
    """What an event of a flow carries: what a list row shows, never its data (E9)."""

    id: str
    type: str
    flow_id: str
    version: int
    kind: str
    status: str
    at: datetime
    actor: str | None
    text: str | None
    owner: str | None
    parked: str | None


class WorkData(msgspec.Struct, rename="camel"):
    """What workers hear: a flow of theirs is to be run. What woke it need not have written it, so
    there is no version of it to tell: 0."""

    id: str
    type: str
    flow_id: str
    version: int
    at: datetime


def channels_of(flow: Flow) -> tuple[str, ...]:
    """The flow's own channel and its owner's."""
    own = (flow_channel(flow.id),)
    return own if flow.owner is None else (*own, entity_channel(flow.owner))


def flow_event(flow: Flow, type: str, actor: str | None) -> tuple[str, bytes]:
    """The id and the encoded data of the event of `flow` as it stands after it."""
    event_id = f"{flow.id}.{flow.version}.0"
    data = FlowData(
        event_id, type, flow.id, flow.version, flow.kind, flow.status, flow.updated_at, actor,
        flow.text, flow.owner, flow.parked.code if flow.parked else None,
    )  # fmt: skip
    return event_id, _encode(data)


def work_event(flow_id: str, cause: str, at: datetime) -> tuple[str, bytes]:
    """The same for the internal channel of its kind; `cause` is what woke it, an id."""
    event_id = f"{cause}.work"
    return event_id, _encode(WorkData(event_id, "flow.runnable", flow_id, 0, at))
