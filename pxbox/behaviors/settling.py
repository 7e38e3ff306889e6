"""What the end of something that a flow waits for adds to the commit of that end (F2, S4)."""

from __future__ import annotations

from datetime import datetime

from actors.journal import Event, Settlement
from pxbox.domain.flow_events import work_event
from pxbox.domain.routing import work_channel
from pxbox.model.flow import FlowRef, WaitOutcome


def settled(
    flow: FlowRef, wait: str, outcome: WaitOutcome, at: datetime, data: bytes | None = None
) -> tuple[Settlement, tuple[Event, ...]]:
    """The wait's outcome, and the news for the workers of that flow's kind.

    `data` is what came with the outcome, JSON; an answer stays where it is kept (E9).
    """
    values = {"outcome": outcome.value, "data": None if data is None else data.decode()}
    return Settlement(flow.id, wait, values), woken(flow, wait, at)


def woken(flow: FlowRef, cause: str, at: datetime) -> tuple[Event, ...]:
    """The news that a flow is to be run, if workers run it at all."""
    if flow.kind is None:
        return ()
    event_id, data = work_event(flow.id, cause, at)
    return (Event(event_id, (work_channel(flow.kind),), data),)
