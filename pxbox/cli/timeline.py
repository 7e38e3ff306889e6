"""What happened to a flow, as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pxbox.cli.names import Names
from pxbox.cli.times import lasting
from pxbox.model.flow import WaitKind, WaitOutcome
from pxbox.model.wire.flows import FlowDetail, TimelineItem

COLUMNS = ("TIME", "AFTER", "WHAT", "NAME", "BY")

Row = tuple[str, str, str, str, str]

_OPENED = {
    WaitKind.ASK: "asked",
    WaitKind.TIMER: "sleeps",
    WaitKind.SIGNAL: "waits for a signal",
    WaitKind.CHILD: "started a child",
}
_SETTLED = {
    (WaitKind.TIMER, WaitOutcome.FIRED): "slept",
    (WaitKind.SIGNAL, WaitOutcome.RECEIVED): "signal came",
    (WaitKind.SIGNAL, WaitOutcome.EXPIRED): "no signal came",
    (WaitKind.CHILD, WaitOutcome.COMPLETED): "child completed",
    (WaitKind.CHILD, WaitOutcome.FAILED): "child failed",
}


def rows(flow: FlowDetail, items: Sequence[TimelineItem], names: Names) -> list[Row]:
    """Everything from its start to its end, or to now; oldest first."""
    found = [begun(flow), *(row(flow, item, names) for item in items)]
    if flow.closed_at is not None:
        by = names.get(flow.closed_by or "", flow.closed_by or "")
        found.append(_row(flow, flow.closed_at, flow.status.lower(), "", by))
    elif flow.parked is not None:
        found.append(_row(flow, flow.parked.at, "parked", flow.parked.code, ""))
    return found


def begun(flow: FlowDetail) -> Row:
    """Its first row."""
    return _row(flow, flow.created_at, "started", "", flow.requestor)


def row(flow: FlowDetail, item: TimelineItem, names: Names) -> Row:
    """One thing that happened."""
    by = names.get(item.by or "", item.by or "")
    return _row(flow, item.at, _what(item), item.key, by)


def _row(flow: FlowDetail, at: datetime, what: str, name: str, by: str) -> Row:
    after = max(at - flow.created_at, timedelta())
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}", lasting(after), what, name, by


def _what(item: TimelineItem) -> str:
    if item.kind is None:
        return "step done"
    if item.outcome is None:
        return _OPENED[item.kind]
    return _SETTLED.get((item.kind, item.outcome), str(item.outcome))
