"""Which alarms a request wants (S10)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from pxbox.domain.alarms import AlarmKind, changes, wanted
from pxbox.model.request import NEAR, OPEN, Claim, Request, Status

NOW = datetime(2030, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)

PLAIN = Request(
    id="r",
    requestor="asker",
    to=("ada",),
    schema_hash="h",
    claim_ttl=timedelta(minutes=15),
    created_at=NOW,
    updated_at=NOW,
)
FULL = replace(
    PLAIN,
    status=Status.CLAIMED,
    deadline_at=NOW + DAY,
    attention_at=NOW + DAY / 2,
    claim=Claim("ada", NOW + DAY / 4),
)
ALL = {
    AlarmKind.DEADLINE: NOW + DAY,
    AlarmKind.NEAR_DEADLINE: NOW + DAY - NEAR,
    AlarmKind.ATTENTION: NOW + DAY / 2,
    AlarmKind.CLAIM: NOW + DAY / 4,
}


def test_a_request_without_times_wants_no_alarm() -> None:
    assert wanted(PLAIN) == {}
    assert changes(None, PLAIN) == {}


def test_each_time_of_an_open_request_has_its_alarm() -> None:
    assert wanted(FULL) == ALL
    assert changes(None, FULL) == ALL


@pytest.mark.parametrize(
    ("life", "near"), [(NEAR, False), (NEAR + TICK, True), (NEAR - TICK, False)]
)
def test_only_a_request_that_had_more_than_an_hour_is_told_that_its_deadline_is_near(
    life: timedelta, near: bool
) -> None:
    request = replace(PLAIN, deadline_at=NOW + life)
    assert (AlarmKind.NEAR_DEADLINE in wanted(request)) == near
    assert AlarmKind.DEADLINE in wanted(request)


@pytest.mark.parametrize("status", [status for status in Status if status not in OPEN])
def test_closing_clears_every_alarm(status: Status) -> None:
    closed = replace(FULL, status=status, claim=None)
    assert wanted(closed) == {}
    assert changes(FULL, closed) == dict.fromkeys(ALL)


def test_only_what_differs_is_set_anew() -> None:
    assert changes(FULL, FULL) == {}
    renewed = replace(FULL, claim=Claim("ada", NOW + DAY / 3))
    assert changes(FULL, renewed) == {AlarmKind.CLAIM: NOW + DAY / 3}
    released = replace(FULL, status=Status.PENDING, claim=None)
    assert changes(FULL, released) == {AlarmKind.CLAIM: None}
    assert changes(released, FULL) == {AlarmKind.CLAIM: NOW + DAY / 4}
