"""Which alarms a request wants, as it stands now (S10)."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pxbox.domain.request import next_escalation
from pxbox.model.request import OPEN, Request


class AlarmKind(StrEnum):
    """What an alarm is for; a reminder's name goes on with the entity that is reminded."""

    DEADLINE = "deadline"
    NEAR_DEADLINE = "near"
    ATTENTION = "attention"
    CLAIM = "claim"
    ESCALATION = "escalation"
    REMINDER = "reminder"


def reminder(entity: str) -> str:
    """The name of the alarm that reminds this responder."""
    return f"{AlarmKind.REMINDER}:{entity}"


def reminded(name: str) -> str | None:
    """Whom an alarm of this name reminds; None: it is none of those."""
    kind, _, entity = name.partition(":")
    return entity if kind == AlarmKind.REMINDER else None


def wanted(request: Request) -> dict[str, datetime]:
    """The alarms that must be set while `request` stands as it does; none once it is closed."""
    if request.status not in OPEN:
        return {}
    alarms: dict[str, datetime] = {}
    if request.deadline_at is not None:
        alarms[AlarmKind.DEADLINE] = request.deadline_at
        if request.near and request.deadline_at - request.created_at > request.near:
            alarms[AlarmKind.NEAR_DEADLINE] = request.deadline_at - request.near
    if request.attention_at is not None:
        alarms[AlarmKind.ATTENTION] = request.attention_at
    if request.claim is not None:
        alarms[AlarmKind.CLAIM] = request.claim.expires_at
    step = next_escalation(request)
    if step is not None:
        alarms[AlarmKind.ESCALATION] = step[0]
    for entity, at in request.reminders.items():
        alarms[reminder(entity)] = at
    return alarms


def changes(before: Request | None, after: Request) -> dict[str, datetime | None]:
    """What to set (a time) or to clear (None) between two states of one request."""
    had = {} if before is None else wanted(before)
    has = wanted(after)
    if had == has:
        return {}
    return {kind: has.get(kind) for kind in had | has if had.get(kind) != has.get(kind)}
