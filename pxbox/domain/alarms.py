"""Which alarms a request wants, as it stands now (S10)."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from pxbox.model.request import OPEN, Request

# How long before its deadline a request is said to be near it.
NEAR = timedelta(hours=1)


class AlarmKind(StrEnum):
    DEADLINE = "deadline"
    NEAR_DEADLINE = "near"
    ATTENTION = "attention"
    CLAIM = "claim"


def wanted(request: Request) -> dict[AlarmKind, datetime]:
    """The alarms that must be set while `request` stands as it does; none once it is closed."""
    if request.status not in OPEN:
        return {}
    alarms: dict[AlarmKind, datetime] = {}
    if request.deadline_at is not None:
        alarms[AlarmKind.DEADLINE] = request.deadline_at
        if request.deadline_at - request.created_at > NEAR:
            alarms[AlarmKind.NEAR_DEADLINE] = request.deadline_at - NEAR
    if request.attention_at is not None:
        alarms[AlarmKind.ATTENTION] = request.attention_at
    if request.claim is not None:
        alarms[AlarmKind.CLAIM] = request.claim.expires_at
    return alarms


def changes(before: Request | None, after: Request) -> dict[AlarmKind, datetime | None]:
    """What to set (a time) or to clear (None) between two states of one request."""
    had = {} if before is None else wanted(before)
    has = wanted(after)
    if had == has:
        return {}
    return {kind: has.get(kind) for kind in had | has if had.get(kind) != has.get(kind)}
